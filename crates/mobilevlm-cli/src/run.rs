//! From the process's arguments to its exit code.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};
use crate::commands;
use crate::interrupt;
use crate::terminal::Terminal;

/// Runs the command of this process.
pub fn run() -> ExitCode {
    // Ends the process with 0 for `--help` and 2 for wrong usage.
    let cli = Cli::parse();
    let terminal = Terminal { quiet: cli.quiet };
    interrupt::listen();
    let done = match cli.command {
        Command::Ask(args) => commands::ask::run(&args, terminal),
        Command::Chat(args) => commands::chat::run(&args, terminal),
        Command::Pull(args) => commands::pull::run(&args, terminal),
        Command::Use(args) => commands::use_model::run(&args, terminal),
        Command::Convert(args) => commands::convert::run(&args, terminal),
        Command::Compare(args) => commands::compare::run(&args, terminal),
        Command::Inspect(args) => commands::inspect::run(&args, terminal),
        Command::Tokenize(args) => commands::tokenize::run(&args, terminal),
        Command::Data(args) => commands::data::run(&args, terminal),
        Command::Eval(args) => commands::eval::run(&args, terminal),
        Command::Score(args) => commands::score::run(&args, terminal),
        Command::Merge(args) => commands::merge::run(&args, terminal),
        Command::Report(args) => commands::report::run(&args, terminal),
        #[cfg(feature = "train")]
        Command::Train(args) => commands::train::run(&args, terminal),
        Command::Bench(args) => commands::bench::run(&args, terminal),
        Command::Verify(args) => commands::verify::run(&args, terminal),
        Command::Doctor(args) => commands::doctor::run(&args, terminal),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man => commands::man::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_silent() {
                terminal.error(&error);
            }
            error.exit_code()
        }
    }
}

/// The definition of the command line, for documents that are made from it.
pub fn command() -> clap::Command {
    Cli::command()
}
