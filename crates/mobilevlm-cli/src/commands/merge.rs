//! `mobilevlm merge`: the parts of a shared evaluation as one.

use mobilevlm_eval::run::merge;

use super::eval::scores;
use crate::args::MergeArgs;
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(args: &MergeArgs, terminal: Terminal) -> Result<(), CliError> {
    let out = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out,
        (None, [run]) => run,
        (None, _) => {
            return Err(CliError::usage(
                "where does the whole of several runs go? --out is missing",
                "mobilevlm merge from-host-a from-host-b --out runs/v2-1.7b",
            ));
        }
    };
    let merged = merge(&args.runs, out)?;
    for one in &merged {
        terminal.note(&format!(
            "{}: {} parts, {} answers in {}",
            one.task,
            one.parts,
            one.answers,
            one.folder.display()
        ));
    }
    scores(&merged, terminal)
}
