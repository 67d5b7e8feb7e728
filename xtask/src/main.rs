//! Developer commands, run as `cargo xtask NAME`.
#![forbid(unsafe_code)]

mod aarch64;
mod ablation;
mod check;
mod demo;
mod docs;
mod fuzz;
mod hostile;
mod loaded;
mod steps;
mod toy;

use clap::Parser;
use std::process::ExitCode;

/// Counts what parsers allocate under `cargo xtask hostile`.
#[global_allocator]
static ALLOCATOR: mobilevlm_testing::alloc::Counting = mobilevlm_testing::alloc::Counting;

/// Developer commands of this repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    Aarch64(aarch64::Options),
    Ablation(ablation::Options),
    Check(check::Options),
    Demo(demo::Options),
    Docs(docs::Options),
    Fuzz(fuzz::Options),
    Hostile(hostile::Options),
    Loaded(loaded::Options),
    Toy(toy::Options),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Aarch64(options) => aarch64::run(&options),
        Xtask::Ablation(options) => ablation::run(&options),
        Xtask::Check(options) => check::run(&options),
        Xtask::Demo(options) => demo::run(&options),
        Xtask::Docs(options) => docs::run(&options),
        Xtask::Fuzz(options) => fuzz::run(&options),
        Xtask::Hostile(options) => hostile::run(&options),
        Xtask::Loaded(options) => loaded::run(&options),
        Xtask::Toy(options) => toy::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
