//! `mobilevlm train`: training, and its comparison with upstream's.

mod check;
mod evaluate;
mod run;
mod tokenizer;

use mobilevlm_train::recipe::{Recipe, Task};

use crate::args::TrainArgs;
use crate::error::CliError;
use crate::terminal::Terminal;

pub(crate) fn run(args: &TrainArgs, terminal: Terminal) -> Result<(), CliError> {
    let (file, set) = match (&args.check, &args.recipe) {
        (Some(folder), _) => return check::run(folder, args.json, terminal),
        (None, Some(file)) => (file, settings(args)),
        (None, None) => {
            return Err(CliError::usage(
                "there is nothing to train",
                "mobilevlm train recipes/train/toy-1-tokenizer.toml",
            ));
        }
    };
    let recipe = Recipe::read(file, &set).map_err(|error| CliError::Failed(error.to_string()))?;
    match recipe.task {
        Task::Tokenizer => tokenizer::run(&recipe, args.json, terminal),
        _ => run::run(&recipe, args, terminal),
    }
}

/// What is laid over the recipe.
fn settings(args: &TrainArgs) -> Vec<String> {
    let out = args
        .out
        .iter()
        // As TOML's literal text, in which nothing has another meaning.
        .map(|out| format!("output_dir='{}'", out.display()));
    args.set.iter().cloned().chain(out).collect()
}
