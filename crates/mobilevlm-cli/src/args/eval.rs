//! The arguments of `eval`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ComputeArgs, ModelArgs};

/// `eval`
#[derive(Debug, Args)]
#[command(after_help = "\
`world` asks about pictures of the synthetic world that no training has shown (docs/world.md). Beside
the share of right answers stand that of the most frequent answer, and what the model scores where
the picture is grey all over.

Examples:
  mobilevlm eval world -m ./my-model
  mobilevlm eval world -m ./my-model --limit 100 --json | jq .figures.counting.accuracy")]
pub(crate) struct EvalArgs {
    /// What to examine.
    #[arg(value_enum, value_name = "TASK")]
    pub(crate) task: Task,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Ask the first N questions of each kind.
    #[arg(long, value_name = "N", default_value = "286")]
    pub(crate) limit: NonZeroUsize,

    /// Other seeds have other questions.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) seed: u64,

    /// Pixels in a side of the pictures.
    #[arg(long, value_name = "PIXELS", default_value = "336")]
    pub(crate) size: usize,

    /// Also write every question and answer to this file, as JSON lines.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) answers: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compute: ComputeArgs,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a model can be examined in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// The held-out part of the synthetic world.
    World,
}
