//! `cargo xtask toy`: a model from nothing, by the recipes `recipes/train/toy-*.toml`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::steps::{self, Done, cargo, say, workspace};

/// Trains a small model from nothing on the synthetic world and examines it.
///
/// Runs the five recipes `recipes/train/toy-*.toml` one after the other with a release build, says
/// how long each takes and how its loss fell, and ends with `mobilevlm eval world`. Fails if a loss
/// does not fall or the model does not answer.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Learn from a tenth of the samples.
    #[arg(long)]
    tenth: bool,

    /// Use the program of `cargo test --workspace --features train`, so that nothing else is built;
    /// it trains more slowly.
    #[arg(long)]
    dev: bool,

    /// Keep everything in this folder, in `runs/toy`; else nothing is kept.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// A recipe: its name behind `toy-`, the folder of its run, and the samples of a tenth.
const STAGES: [(&str, &str, u32); 5] = [
    ("1-tokenizer", "tokenizer", 2000),
    ("2-clip", "clip", 960),
    ("3-lm", "lm", 960),
    ("4-stage1", "stage1", 480),
    ("5-stage2", "stage2", 640),
];

/// Side of the pictures: those of the tower that the recipes make.
const SIZE: &str = "120";

pub(crate) fn run(options: &Options) -> Done {
    let program = build(options.dev)?;
    let temporary = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder)?;
    for (recipe, name, tenth) in STAGES {
        let file = workspace().join(format!("recipes/train/toy-{recipe}.toml"));
        let mut command = Command::new(&program);
        steps::keep_pages(&mut command);
        // Paths in recipes are relative to the working directory.
        command.current_dir(folder).arg("train").arg(file);
        if options.tenth {
            command.args(["--set", &format!("world.count={tenth}")]);
        }
        let start = Instant::now();
        steps::run(&mut command)?;
        let seconds = start.elapsed().as_secs_f64();
        let run = folder.join("runs/toy").join(name);
        say(&match fell(&run.join("metrics.jsonl"))? {
            Some((first, last)) => {
                format!("{name}: {seconds:.0} s, loss from {first:.3} to {last:.3}")
            }
            None => format!("{name}: {seconds:.0} s"),
        });
    }
    examine(&program, folder, if options.tenth { "20" } else { "100" })
}

/// Builds the command with training and returns its path.
pub(crate) fn build(dev: bool) -> Result<PathBuf, Box<dyn Error>> {
    // All packages at once: alone, the command would have dependencies with other features than the
    // tests have, and all of burn would be built once more.
    let mut arguments = vec!["build", "--workspace", "--features", "train"];
    arguments.extend(["--bin", "mobilevlm"]);
    if !dev {
        arguments.push("--release");
    }
    steps::run(&mut cargo(&arguments))?;
    // This program is in `release/` beside.
    let own = std::env::current_exe()?;
    let profiles = own.parent().and_then(Path::parent);
    let profiles = profiles.ok_or("this program lies in no folder of cargo's")?;
    Ok(profiles
        .join(if dev { "debug" } else { "release" })
        .join(format!("mobilevlm{}", std::env::consts::EXE_SUFFIX)))
}

/// The [`losses`] of a run that must have learnt something.
///
/// # Errors
/// If they did not fall.
pub(crate) fn fell(metrics: &Path) -> Result<Option<(f64, f64)>, Box<dyn Error>> {
    match losses(metrics)? {
        None => Ok(None),
        Some((first, last)) if last < first => Ok(Some((first, last))),
        Some((first, last)) => Err(format!("{}: from {first} to {last}", metrics.display()).into()),
    }
}

/// The mean loss over the first tenth of the steps and over the last; nothing where there are no
/// steps.
pub(crate) fn losses(metrics: &Path) -> Result<Option<(f64, f64)>, Box<dyn Error>> {
    if !metrics.exists() {
        return Ok(None);
    }
    let mut losses = Vec::new();
    for line in fs::read_to_string(metrics)?.lines() {
        let record: Value = serde_json::from_str(line)?;
        losses.extend(record["loss"].as_f64());
    }
    let count = losses.len().div_ceil(10);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (&losses[..count], &losses[losses.len() - count..]);
    Ok(Some((mean(first), mean(last))))
}

/// Prints what the model scores.
///
/// # Errors
/// If most of its answers are empty.
fn examine(program: &Path, folder: &Path, limit: &str) -> Done {
    let answers = folder.join("runs/toy/answers.jsonl");
    let mut command = Command::new(program);
    command.current_dir(folder).args(["eval", "world"]);
    command.args(["-m", "runs/toy/stage2/model", "--no-state-cache"]);
    command.args(["--size", SIZE, "--limit", limit]);
    steps::run(command.arg("--answers").arg(&answers))?;
    let lines = fs::read_to_string(&answers)?;
    let (mut all, mut empty) = (0, 0);
    for line in lines.lines() {
        let examined: Value = serde_json::from_str(line)?;
        all += 1;
        empty += usize::from(examined["answer"].as_str().is_none_or(str::is_empty));
    }
    match 2 * empty < all {
        true => Ok(()),
        false => Err(format!("{empty} of {all} answers are empty").into()),
    }
}
