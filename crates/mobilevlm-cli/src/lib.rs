//! The command `mobilevlm`: arguments, terminal, exit codes; no arithmetic.
//!
//! `args` says what can be typed, `plan` what it means, `commands` does it, one file per verb.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod default_model;
mod demo;
mod error;
mod interrupt;
mod memory;
mod output;
mod plan;
mod run;
mod settings;
mod terminal;

pub use run::{command, run};
