//! `mobilevlm doctor`: what the machine has, where models are kept, and what is wrong.

mod machine;
mod models;

use std::io::{self, Write};

use serde::Serialize;

use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::terminal::{Terminal, print_json};
use machine::Machine;
use models::Models;

/// All that is known.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    machine: Machine,
    models: Models,
    /// What is wrong, each with what to do about it.
    problems: Vec<String>,
}

pub(crate) fn run(args: &DoctorArgs, _terminal: Terminal) -> Result<(), CliError> {
    let mut problems = Vec::new();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::examine(&mut problems),
        models: Models::examine(args.model.as_deref(), &mut problems),
        problems,
    };
    if args.json {
        print_json(&report)?;
    } else {
        print(&report)?;
    }
    match report.problems.len() {
        0 => Ok(()),
        1 => Err(CliError::Failed("1 problem was found".to_owned())),
        several => Err(CliError::Failed(format!("{several} problems were found"))),
    }
}

fn print(report: &Report) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "mobilevlm {}\n", report.version)?;
    report.machine.print(&mut out)?;
    writeln!(out)?;
    report.models.print(&mut out)?;
    writeln!(out)?;
    if report.problems.is_empty() {
        writeln!(out, "No problems found.")?;
    }
    for problem in &report.problems {
        writeln!(out, "problem: {problem}")?;
    }
    Ok(out.flush()?)
}
