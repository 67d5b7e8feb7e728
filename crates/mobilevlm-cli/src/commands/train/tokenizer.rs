//! `mobilevlm train` with a recipe of the task `tokenizer`.

use std::io::{self, Write};

use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::tokenizer::make;
use serde_json::json;

use crate::error::{CliError, chain};
use crate::interrupt;
use crate::terminal::{Terminal, print_json};

pub(super) fn run(recipe: &Recipe, json: bool, terminal: Terminal) -> Result<(), CliError> {
    let token = interrupt::stoppable();
    let waiting = terminal.waiting("making the tokenizer");
    let made = make(recipe, &|| token.is_cancelled());
    drop(waiting);
    interrupt::done();
    let made = match made {
        Err(_) if token.is_cancelled() => return Err(CliError::Interrupted),
        made => made.map_err(|error| CliError::Failed(chain(&error)))?,
    };
    let (model, pieces) = (made.folder, made.tokenizer.pieces().len());
    if json {
        return print_json(&json!({
            "finished": true,
            "model": model,
            "pieces": pieces,
            "words": made.words,
        }));
    }
    writeln!(io::stdout(), "{}", model.display())?;
    terminal.note(&format!("{pieces} pieces, made of {} words", made.words));
    Ok(())
}
