//! `cargo xtask demo`: a small model of the synthetic world, from nothing.

mod mistakes;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use tables::Tables;

use crate::steps::{self, Done, output, say, workspace};
use crate::toy::{build, fell, losses};

/// Trains a small model of the synthetic world from nothing and examines it.
///
/// Runs the recipes `recipes/demo/*.toml` one after the other with a release build, says how long
/// each takes and how its loss fell, converts the result, asks it held-out questions of three
/// seeds, draws what it gets wrong, and compares the answers of two kernel tables. An interrupted
/// run goes on where it was if it is started again with the same folder.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Learn from a tenth of the samples.
    #[arg(long)]
    tenth: bool,

    /// Keep everything in this folder, in `runs/demo`.
    #[arg(long, default_value = "target/demo")]
    folder: PathBuf,

    /// Use this program, built with training, instead of building one.
    #[arg(long)]
    program: Option<PathBuf>,

    /// Write what was found to this file too, as JSON.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// A recipe, and the folder of its run.
const STAGES: [(&str, &str); 6] = [
    ("1-tokenizer", "tokenizer"),
    ("2-shapes", "shapes"),
    ("3-lookup", "lookup"),
    ("4-lists", "lists"),
    ("5-world", "world"),
    ("6-finish", "finish"),
];

/// Held-out questions of these worlds are asked.
const SEEDS: [&str; 3] = ["0", "1", "2"];

#[derive(Serialize)]
struct Record {
    stages: Vec<Stage>,
    /// Of the file, in its shipped formats.
    bytes: u64,
    /// What `eval world` says of each seed.
    figures: Vec<Value>,
    /// The questions of the first seed, through two kernel tables.
    tables: Tables,
}

#[derive(Serialize)]
struct Stage {
    name: &'static str,
    /// From start to end; nothing where a part of it was done before.
    seconds: Option<f64>,
    /// Mean loss over the first and the last tenth of the steps; a tokenizer has none.
    losses: Option<(f64, f64)>,
}

pub(crate) fn run(options: &Options) -> Done {
    let program = match &options.program {
        Some(program) => fs::canonicalize(program)?,
        None => build(false)?,
    };
    fs::create_dir_all(&options.folder)?;
    let mut stages = Vec::new();
    for (recipe, name) in STAGES {
        let recipe = workspace().join(format!("recipes/demo/{recipe}.toml"));
        let run = options.folder.join("runs/demo").join(name);
        let mut command = Command::new(&program);
        steps::keep_pages(&mut command);
        // Paths in recipes are relative to the working directory.
        command.current_dir(&options.folder).arg("train");
        command.arg(&recipe);
        // A tokenizer of fewer texts would be another.
        if options.tenth && name != "tokenizer" {
            let count = samples(&recipe)?.div_ceil(10);
            command.args(["--set", &format!("world.count={count}")]);
        }
        let is_begun = run.join("checkpoints").exists();
        if is_begun {
            command.arg("--resume");
        }
        let start = Instant::now();
        let is_done = run.join("model").exists();
        if !is_done {
            steps::run(&mut command)?;
        }
        let whole = !is_begun && !is_done;
        let seconds = whole.then(|| start.elapsed().as_secs_f64());
        let metrics = run.join("metrics.jsonl");
        // The last stage asks again what the model has learnt: a tenth of it is over before the loss
        // is below where it began.
        let losses = match options.tenth && name == "finish" {
            true => losses(&metrics)?,
            false => fell(&metrics)?,
        };
        let took = seconds.map_or("begun before".to_owned(), |s| format!("{s:.0} s"));
        let told = losses.map_or(String::new(), |(first, last)| {
            format!(", loss from {first:.3} to {last:.3}")
        });
        say(&format!("{name}: {took}{told}"));
        stages.push(Stage {
            name,
            seconds,
            losses,
        });
    }
    let file = convert(&program, &options.folder)?;
    let limit = if options.tenth { 50 } else { 286 };
    let mut figures = Vec::new();
    for seed in SEEDS {
        let limit = limit.to_string();
        let mut command = Command::new(&program);
        command.args(["eval", "world", "--json", "--limit", &limit, "--seed", seed]);
        let answers = options
            .folder
            .join(format!("runs/demo/answers-{seed}.jsonl"));
        command.arg("--answers").arg(&answers);
        let told = output(command.arg("-m").arg(&file))?;
        say(&format!(
            "held-out questions of seed {seed}: {}",
            told.trim()
        ));
        figures.push(serde_json::from_str(&told)?);
    }
    let runs = options.folder.join("runs/demo");
    mistakes::write(&runs.join("answers-0.jsonl"), &runs)?;
    let record = Record {
        stages,
        bytes: fs::metadata(&file)?.len(),
        figures,
        tables: tables::compare(&file, limit)?,
    };
    if let Some(path) = &options.record {
        fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    say(&format!("{}: {} bytes", file.display(), record.bytes));
    Ok(())
}

/// How many samples a recipe takes from the world.
fn samples(recipe: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let table: toml::Table = fs::read_to_string(recipe)?.parse()?;
    let count = table.get("world").and_then(|world| world.get("count"));
    let count = count.and_then(|count| u64::try_from(count.as_integer()?).ok());
    count.ok_or_else(|| format!("{}: no world.count", recipe.display()).into())
}

/// The model in the formats in which it is shipped.
fn convert(program: &Path, folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let file = folder.join("runs/demo/model.gguf");
    let mut command = Command::new(program);
    command
        .arg("convert")
        .arg(folder.join("runs/demo/finish/model"));
    command.args([
        "--language",
        "q8_0",
        "--vision",
        "q8_0",
        "--projector",
        "q8_0",
    ]);
    steps::run(command.arg("--force").arg("-o").arg(&file))?;
    Ok(file)
}
