//! The arguments of `score`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use mobilevlm_eval::BENCHMARKS;

/// `score`
#[derive(Debug, Args)]
#[command(after_help = "\
The answers may be of any program: one JSON object a line with `question_id`, `text` and, where
the score needs it, `prompt`. docs/evaluation.md says how each benchmark is scored. Notes tell what
is odd about the answers file. Exit code 1 where the official script stops: the JSON is printed all
the same if all that is wrong is a figure with nothing to divide by.

Examples:
  mobilevlm score gqa --data data/benchmark_data --answers merge.jsonl
  mobilevlm score pope --data data/benchmark_data --answers answers.jsonl --json | jq .figures")]
pub(crate) struct ScoreArgs {
    /// The benchmark.
    #[arg(value_name = "TASK", value_parser = PossibleValuesParser::new(BENCHMARKS.iter().map(|one| one.name())))]
    pub(crate) task: String,

    /// The benchmark's folder, or the one above it: upstream's `data/benchmark_data`.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data: PathBuf,

    /// The recorded answers.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) answers: PathBuf,

    /// Score what is there where data or answers are missing, and mark every figure as partial.
    #[arg(long)]
    pub(crate) partial: bool,

    /// Print one JSON object: figures at full precision, what was made of each answer, and notes.
    #[arg(long)]
    pub(crate) json: bool,
}
