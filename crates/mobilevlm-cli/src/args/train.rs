//! The arguments of `train`.

use std::path::PathBuf;

use clap::Args;

/// `train`
#[derive(Debug, Args)]
#[command(after_help = "\
A recipe says everything about a run: docs/recipes.md. The result is the folder `model` in the
recipe's `output_dir`; beside it are checkpoints, metrics.jsonl, events for TensorBoard, and
curves.svg. Ctrl-C writes a checkpoint and stops; with --resume the run goes on, bit for bit.

With --check, exit code 1 if anything that is recorded in DIR is not found here within what is
allowed.

Examples:
  mobilevlm train recipes/train/v2-1.7b-stage1.toml --set data.data_path=blip.json --out runs/one
  mobilevlm train recipes/train/v2-1.7b-stage1.toml --set data.data_path=blip.json --out runs/one --resume
  mobilevlm train --check ../shared/golden/train --json | jq '.items[] | select(.passed | not)'")]
pub(crate) struct TrainArgs {
    /// The recipe, a TOML file.
    #[arg(
        value_name = "RECIPE",
        required_unless_present = "check",
        value_hint = clap::ValueHint::FilePath
    )]
    pub(crate) recipe: Option<PathBuf>,

    /// Lay a value over the recipe's: `train.learning_rate=1e-4`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", requires = "recipe")]
    pub(crate) set: Vec<String>,

    /// Folder of the run, instead of the recipe's `output_dir`.
    #[arg(long, value_name = "DIR", requires = "recipe", value_hint = clap::ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,

    /// Go on with the run in the folder, from its newest intact checkpoint; begin one if there is
    /// none.
    #[arg(long, requires = "recipe")]
    pub(crate) resume: bool,

    /// Compare this crate with what upstream's own code recorded in a folder: labels, splices, orders
    /// of samples, learning rates, awkward batches, and whole training runs, which are repeated.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = clap::ValueHint::DirPath,
        conflicts_with = "recipe"
    )]
    pub(crate) check: Option<PathBuf>,

    /// Print one JSON object: how the run ended, or every kind of number that was compared.
    #[arg(long)]
    pub(crate) json: bool,
}
