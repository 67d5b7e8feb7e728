//! `cargo xtask hostile`: gives every parser input that was made to do harm.
//!
//! - `parsers`: what is attacked, how much memory each may take, what its samples are
//! - `targets`: gives a parser bytes and uses what it accepts
//! - `pictures`: what a picture declares, which its limit depends on
//! - `cases`: the inputs, each made from its number and the seed alone
//! - `generated`: inputs that are too large to keep in `attacks/`
//! - `worker`: gives the inputs to a parser, in a process of its own
//! - `supervisor`: starts workers, notices when one hangs or dies, and says on which input
//! - `report`: what is printed and recorded
//! - `broken`: parsers with faults, to show that faults are noticed (feature `broken-parser`)
//!
//! A panic can be caught, but a stack overflow, an abort and an endless loop take the process
//! with them. So a worker says after each input what came of it; where it falls silent, the next
//! input did it.

#[cfg(feature = "broken-parser")]
mod broken;
mod cases;
mod generated;
mod parsers;
mod pictures;
mod report;
mod supervisor;
mod targets;
#[cfg(test)]
mod tests;
mod worker;

use crate::steps::{Done, say};
use parsers::Parser;
use report::{ParserReport, Report};
use std::time::{Duration, Instant};
use supervisor::Plan;

/// Gives every parser prefixes, changed bytes and random mutations of small files, and the corpus
/// in `attacks/`; measures time and memory of each.
///
/// Fails if an input ends in anything but a message or a result: a panic, a hang, an abort, or
/// more memory than SECURITY.md allows. Such an input is saved below `target/hostile`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Prints the report as JSON.
    #[arg(long)]
    json: bool,
    /// Number from which the random mutations are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Takes every eighth input only.
    #[arg(long)]
    quick: bool,
    /// Attacks this parser only; may be repeated.
    #[arg(long, value_name = "NAME")]
    parser: Vec<String>,
    /// Calls an input a hang after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    patience: u64,
    /// Runs the inputs of one parser from this number on: how a worker is started.
    #[arg(long, value_name = "FIRST", hide = true)]
    worker: Option<usize>,
    /// The number at which a worker stops.
    #[arg(long, hide = true, default_value_t = usize::MAX)]
    end: usize,
}

pub(crate) fn run(options: &Options) -> Done {
    let parsers = selected(&options.parser)?;
    if let Some(first) = options.worker {
        return worker::run(&parsers[0], options.seed, options.quick, first..options.end);
    }
    if cfg!(debug_assertions) {
        say("this is no release build: times in the report mean nothing");
    }
    let started = Instant::now();
    let patience = Duration::from_secs(options.patience);
    let plan = Plan {
        seed: options.seed,
        quick: options.quick,
        patience,
    };
    let reports = supervisor::run(&parsers, &plan)?;
    let report = Report::new(options.seed, options.quick, reports, started.elapsed());
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    match report.parsers.iter().map(ParserReport::problems).sum() {
        0 => Ok(()),
        problems => {
            Err(format!("{problems} inputs ended in neither a message nor a result").into())
        }
    }
}

/// The parsers called `names`, or all of them.
fn selected(names: &[String]) -> Result<Vec<Parser>, Box<dyn std::error::Error>> {
    let all = parsers::all();
    if names.is_empty() {
        return Ok(all);
    }
    let known: Vec<_> = all.iter().map(|parser| parser.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "no parser is called {unknown:?}; there are {}",
            known.join(", ")
        )
        .into());
    }
    Ok(all
        .into_iter()
        .filter(|parser| names.iter().any(|name| name == parser.name))
        .collect())
}
