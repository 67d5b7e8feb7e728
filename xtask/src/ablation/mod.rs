//! `cargo xtask ablation`: the paper's Tables 6 and 7 in small, on the synthetic world.
//!
//! - `cells`: what is compared; `chain`: making the common start, training and examining
//! - `outcome`: what came out of a run, kept; `statistics`, `page`, `picture`: what is said of it
//!
//! Tokenizer, tower and language model are made once and are the same for all runs. A run is stage
//! 1, stage 2 and an examination of the result by the engine.

mod cells;
mod chain;
mod outcome;
mod page;
mod picture;
mod statistics;

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mobilevlm_data::replace_file;
use serde::Serialize;

use crate::steps::{Done, cargo, run as run_command, say, workspace};
use cells::Cell;
use chain::Chain;
use outcome::{Outcome, Stage};
use page::Report;

/// Trains V1's and V2's projectors and their variants on the synthetic world, with several seeds,
/// and writes docs/ablation.md, docs/ablation.svg and bench/record/ablation.json.
///
/// What has come to an end is kept in the folder and not repeated; what was interrupted goes on.
/// Changed recipes (recipes/train/ablation) begin anew.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where runs are kept; `target/ablation` unless given.
    #[arg(long)]
    folder: Option<PathBuf>,

    /// Seeds of each cell: order of the samples, and the projector's first values.
    #[arg(long, default_value_t = 3)]
    seeds: u64,

    /// Runs at the same time, one thread each.
    #[arg(long, default_value = "2")]
    jobs: NonZeroUsize,

    /// Questions of each kind.
    #[arg(long, default_value = "100")]
    limit: NonZeroUsize,

    /// A `mobilevlm` that can train; built for release unless given.
    #[arg(long)]
    program: Option<PathBuf>,

    /// Write the page of the runs that are there, and run nothing.
    #[arg(long)]
    page_only: bool,
}

/// Where the page, its picture and the record are, below the root.
const PAGE: &str = "docs/ablation.md";
const PICTURE: &str = "docs/ablation.svg";
const RECORD: &str = "bench/record/ablation.json";

pub(crate) fn run(options: &Options) -> Done {
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => workspace().join("target/ablation"),
    };
    let program = match (&options.program, options.page_only) {
        (Some(program), _) => program.clone(),
        (None, true) => PathBuf::new(),
        (None, false) => build()?,
    };
    let chain = Chain::new(&folder, program, options.limit)?;
    let todo: VecDeque<(Cell, u64)> = (0..options.seeds)
        .flat_map(|seed| cells::all().into_iter().map(move |cell| (cell, seed)))
        .collect();
    if !options.page_only {
        chain.make_start()?;
        work(&chain, todo.clone(), options.jobs)?;
    }
    let mut outcomes = Vec::new();
    for (cell, seed) in todo {
        outcomes.extend(Outcome::read(&chain.outcome_path(cell, seed))?);
    }
    let report = Report {
        limit: options.limit.get(),
        seeds: options.seeds,
        start: chain.start()?,
        outcomes,
    };
    write(PAGE, &page::page(&report)?)?;
    write(PICTURE, &picture::picture(&report))?;
    write(RECORD, &record(&report)?)?;
    say(&format!("wrote {PAGE}, {PICTURE} and {RECORD}"));
    Ok(())
}

/// Does what is not done yet, some at a time. The first mistake ends it, when those that are under
/// way have come to their ends.
fn work(chain: &Chain, todo: VecDeque<(Cell, u64)>, jobs: NonZeroUsize) -> Done {
    let total = todo.len();
    let todo = Mutex::new(todo);
    let wrong: Mutex<Option<String>> = Mutex::new(None);
    let one = || {
        loop {
            let next = {
                let mut todo = todo.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(next) = todo.pop_front() else {
                    return;
                };
                let (cell, seed) = next;
                say(&format!(
                    "{} of {total}: {}, seed {seed}",
                    total - todo.len(),
                    cell.name()
                ));
                next
            };
            if let Err(error) = chain.run(next.0, next.1) {
                todo.lock().unwrap_or_else(PoisonError::into_inner).clear();
                let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                wrong.get_or_insert(format!("{}, seed {}: {error}", next.0.name(), next.1));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(one);
        }
    });
    match wrong.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(wrong) => Err(wrong.into()),
    }
}

/// Builds the command and says where it is.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    say("building mobilevlm with training");
    let build = [
        "build",
        "--release",
        "--package",
        "mobilevlm-cli",
        "--features",
        "train",
    ];
    run_command(&mut cargo(&build))?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace().join(target),
        None => workspace().join("target"),
    };
    let name = format!("mobilevlm{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(name))
}

/// The record: all outcomes, and what the tables say of them.
fn record(report: &Report) -> Result<String, Box<dyn Error>> {
    #[derive(Serialize)]
    struct Record<'a> {
        limit: usize,
        start: &'a Stage,
        cells: Vec<page::Row>,
        outcomes: &'a [Outcome],
    }
    let record = Record {
        limit: report.limit,
        start: &report.start,
        cells: cells::all()
            .into_iter()
            .filter_map(|cell| report.row(cell))
            .collect(),
        outcomes: &report.outcomes,
    };
    Ok(serde_json::to_string_pretty(&record)? + "\n")
}

fn write(below: &str, text: &str) -> Done {
    let path: &Path = &workspace().join(below);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace_file(path, |out| out.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
    Ok(())
}
