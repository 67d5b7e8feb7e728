//! Developer commands, run as `cargo xtask NAME`.
#![forbid(unsafe_code)]

mod aarch64;
mod check;
mod steps;

use clap::Parser;
use std::process::ExitCode;

/// Developer commands of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    Aarch64(aarch64::Options),
    Check(check::Options),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Aarch64(options) => aarch64::run(&options),
        Xtask::Check(options) => check::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
