//! `cargo xtask fuzz`: runs every fuzz target for a while and counts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::steps::{Done, output, say, workspace};

/// Runs the fuzz targets, each for a number of seconds, and prints a table of what they did.
///
/// Needs the nightly toolchain and cargo-fuzz (`cargo install cargo-fuzz`). Targets start from
/// the files in `attacks/` and keep what they find in `fuzz/corpus`. Fails if a target crashes;
/// its input then lies in `fuzz/artifacts`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, default_value_t = 180)]
    seconds: u32,
    /// Runs this target only; may be repeated.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Done {
    let listed = output(&mut cargo_fuzz(&["list"]))?;
    let all: Vec<_> = listed.lines().map(str::to_owned).collect();
    let targets = if options.target.is_empty() {
        all
    } else {
        options.target.clone()
    };
    println!(
        "{:24} {:>12} {:>10} {:>10}",
        "target", "inputs", "per second", "corpus"
    );
    let mut crashed = Vec::new();
    for target in targets {
        say(&format!("fuzz {target} for {} s", options.seconds));
        let outcome = fuzz(&target, options.seconds)?;
        println!(
            "{target:24} {:>12} {:>10} {:>10}",
            outcome.inputs, outcome.per_second, outcome.corpus
        );
        if outcome.crashed {
            crashed.push(target);
        }
    }
    match crashed[..] {
        [] => Ok(()),
        _ => Err(format!(
            "crashes in {}; the inputs lie in fuzz/artifacts",
            crashed.join(", ")
        )
        .into()),
    }
}

struct Outcome {
    inputs: String,
    per_second: String,
    corpus: usize,
    crashed: bool,
}

fn fuzz(target: &str, seconds: u32) -> Result<Outcome, Box<dyn std::error::Error>> {
    let corpus = workspace().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let mut command = cargo_fuzz(&["run", target]);
    command.arg(&corpus).args(samples(target));
    command.args([
        "--",
        "-print_final_stats=1",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=4096",
    ]);
    // Pictures are decoded within the limits that `fuzz/lib.rs` sets; 64 MiB is twice that.
    command.args([
        "-malloc_limit_mb=64".to_owned(),
        format!("-max_total_time={seconds}"),
    ]);
    let ended = command.stdout(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        eprint!("{said}");
    }
    let figure = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map_or_else(|| "?".to_owned(), |rest| rest.trim().to_owned())
    };
    Ok(Outcome {
        inputs: figure("stat::number_of_executed_units:"),
        per_second: figure("stat::average_exec_per_sec:"),
        corpus: std::fs::read_dir(&corpus)?.count(),
        crashed: !ended.status.success(),
    })
}

/// The folders of `attacks/` that a target starts from: those of its format.
fn samples(target: &str) -> Vec<PathBuf> {
    let formats: &[&str] = match target {
        "torch" => &["torch-zip", "torch-legacy"],
        "tokenizer_model" => &["tokenizer-model"],
        "tokenizer_text" => &["text"],
        "config" => &["config-json"],
        "vision_config" => &["vision-json"],
        "preprocessor_config" => &["preprocessor-json"],
        "index" => &["index-json"],
        same => &[same],
    };
    let attacks = workspace().join("attacks");
    let folders = formats
        .iter()
        .flat_map(|format| [attacks.join("seeds").join(format), attacks.join(format)]);
    folders.filter(|folder| Path::is_dir(folder)).collect()
}

fn cargo_fuzz(arguments: &[&str]) -> Command {
    // Through rustup, because `CARGO` here names the stable toolchain's own program.
    let mut command = Command::new("cargo");
    command
        .args(["+nightly", "fuzz"])
        .args(arguments)
        .current_dir(workspace());
    command
}
