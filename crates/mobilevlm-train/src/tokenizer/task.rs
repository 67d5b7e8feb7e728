//! The task `tokenizer`: a recipe's texts, and the folder that is made of them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use mobilevlm_data::TrainTemplate;
use mobilevlm_processor::{Template as Words, Turn};

use super::{Corpus, TrainTokenizerError, TrainedTokenizer, train};
use crate::recipe::{Recipe, Template};
use crate::texts::{TextsError, TextsRead, for_each_text};

/// Why the task could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerTaskError {
    /// The recipe is one of another task.
    #[error("{}: task: expected \"tokenizer\", found {found:?}", file.display())]
    Task {
        /// The recipe.
        file: PathBuf,
        /// Its task.
        found: &'static str,
    },
    /// The texts cannot be read.
    #[error(transparent)]
    Texts(#[from] TextsError),
    /// The tokenizer cannot be made or written.
    #[error(transparent)]
    Train(#[from] TrainTokenizerError),
}

/// What was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The folder with the tokenizer's files: `model` in the recipe's `output_dir`.
    pub folder: PathBuf,
    /// The tokenizer.
    pub tokenizer: TrainedTokenizer,
    /// Texts that were read.
    pub read: TextsRead,
    /// Different words in them.
    pub words: usize,
}

/// Reads the recipe's texts, makes the tokenizer and writes it. `stop` is asked before each text.
///
/// # Errors
/// [`TokenizerTaskError`]; [`TextsError::Stopped`] in it if `stop` said so. Nothing is written
/// then.
pub fn make(recipe: &Recipe, stop: &dyn Fn() -> bool) -> Result<Made, TokenizerTaskError> {
    let Some(sizes) = &recipe.start.new_tokenizer else {
        return Err(TokenizerTaskError::Task {
            file: recipe.file.clone(),
            found: recipe.task.name(),
        });
    };
    // What the template says itself stands around every conversation that the model will read.
    let around = (recipe.data.template == Template::Labels(TrainTemplate::V1)).then(|| {
        let turn = Turn {
            question: "?",
            ..Turn::default()
        };
        Words::v1().render(&[turn])
    });
    let mut corpus = Corpus::new();
    let read = for_each_text(&recipe.data.source, &mut |text| {
        if stop() {
            return ControlFlow::Break(());
        }
        corpus.add(text);
        if let Some(around) = &around {
            corpus.add(around);
        }
        ControlFlow::Continue(())
    })?;
    let tokenizer = train(&corpus, sizes)?;
    let folder = recipe.output_dir.join("model");
    tokenizer.write(&folder)?;
    Ok(Made {
        folder,
        tokenizer,
        read,
        words: corpus.words(),
    })
}
