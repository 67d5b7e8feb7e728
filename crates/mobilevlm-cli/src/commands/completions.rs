//! `mobilevlm completions`: a script that lets a shell complete the command line.

use std::io::{self, Write};

use crate::args::CompletionsArgs;
use crate::error::CliError;

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    // Into memory first: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "mobilevlm", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
