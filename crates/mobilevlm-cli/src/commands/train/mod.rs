//! `mobilevlm train`: training, and its comparison with upstream's.

mod check;

use crate::args::TrainArgs;
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(args: &TrainArgs, terminal: Terminal) -> Result<(), CliError> {
    match &args.check {
        Some(folder) => check::run(folder, args.json, terminal),
        None => Err(CliError::usage(
            "there is nothing to do",
            "mobilevlm train --check ../shared/golden/train",
        )),
    }
}
