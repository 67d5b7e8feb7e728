//! `mobilevlm data`: data sets to train on.

mod check;
mod mix;
mod world;

use crate::args::{DataArgs, DataVerb};
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(args: &DataArgs, terminal: Terminal) -> Result<(), CliError> {
    match &args.verb {
        DataVerb::World(args) => world::run(args, terminal),
        DataVerb::Check(args) => check::run(args, terminal),
        DataVerb::Mix(args) => mix::run(args, terminal),
    }
}
