//! The arguments of `train`.

use std::path::PathBuf;

use clap::Args;

/// `train`
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 1 if anything that is recorded in DIR is not found here within what is allowed.

Examples:
  mobilevlm train --check ../shared/golden/train
  mobilevlm train --check ../shared/golden/train --json | jq '.items[] | select(.passed | not)'")]
pub(crate) struct TrainArgs {
    /// Compare this crate with what upstream's own code recorded in a folder: labels, splices, orders
    /// of samples, learning rates, awkward batches, and whole training runs, which are repeated.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, required = true)]
    pub(crate) check: Option<PathBuf>,

    /// Print one JSON object, with every kind of number.
    #[arg(long, requires = "check")]
    pub(crate) json: bool,
}
