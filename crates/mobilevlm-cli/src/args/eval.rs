//! The arguments of `eval`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use mobilevlm_eval::BENCHMARKS;
use mobilevlm_eval::run::ShardChoice;

use super::{ComputeArgs, ModelArgs};

/// The synthetic world's name among the tasks.
pub(crate) const WORLD: &str = "world";

/// `eval`
#[derive(Debug, Args)]
#[command(after_help = "\
Benchmarks need their data (`--data`): upstream's `data/benchmark_data`, made as its README says.
Answers are appended to OUT/TASK/answers.jsonl in the order of the questions; the same command goes
on where an interrupted one stopped, and refuses to mix the answers of two models or data sets.
Machines share a run by `--shard`; `mobilevlm merge` puts the parts together. The scores follow;
`mobilevlm report OUT` shows them beside the paper's. docs/evaluation.md says more.

`world` asks about pictures of the synthetic world that no training has shown (docs/world.md).
Beside the share of right answers stand that of the most frequent answer, and what the model scores
where the picture is grey all over.

Examples:
  mobilevlm eval gqa pope -m mtgv/MobileVLM_V2-1.7B --data data/benchmark_data --out runs/v2-1.7b
  mobilevlm eval gqa -m q4.gguf --data data/benchmark_data --out runs/q4 --shard 1/4
  mobilevlm eval world -m ./my-model
  mobilevlm eval world -m ./my-model --limit 100 --json | jq .figures.counting.accuracy")]
pub(crate) struct EvalArgs {
    /// What to examine: benchmarks, or the synthetic world.
    #[arg(required = true, value_name = "TASK", value_parser = tasks())]
    pub(crate) tasks: Vec<String>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) world: WorldExamArgs,

    #[command(flatten)]
    pub(crate) compute: ComputeArgs,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options for benchmarks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Benchmarks")]
pub(crate) struct RunArgs {
    /// The benchmarks' data: upstream's `data/benchmark_data`, or the folder of the one benchmark.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,

    /// Where the answers go; `eval/MODEL` unless given.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,

    /// Part I of N of the questions, from 1; `/N` leaves I to a scheduler.
    ///
    /// Without it, a Slurm array says I and N. A Kubernetes indexed job says I.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<ShardChoice>,

    /// Leave out questions whose picture is missing; every figure is then marked as partial.
    #[arg(long)]
    pub(crate) partial: bool,

    /// Questions at once: more are faster and need more memory. Answers are the same.
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) batch: NonZeroUsize,
}

/// The options for the synthetic world.
#[derive(Debug, Args)]
#[command(next_help_heading = "World")]
pub(crate) struct WorldExamArgs {
    /// Ask the first N questions of each kind; 286 unless given.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,

    /// Other seeds have other questions; 0 unless given.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Pixels in a side of the pictures; 336 unless given.
    #[arg(long, value_name = "PIXELS")]
    pub(crate) size: Option<usize>,

    /// Also write every question and answer to this file, as JSON lines.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) answers: Option<PathBuf>,
}

fn tasks() -> PossibleValuesParser {
    let benchmarks = BENCHMARKS.iter().map(|one| one.name());
    PossibleValuesParser::new(benchmarks.chain([WORLD]))
}
