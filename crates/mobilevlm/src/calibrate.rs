use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm_tensor::Arithmetic;

use crate::{Error, GenerateOptions, Model, OpenOptions, Picture};

/// What a column counts at least, as a share of the mean of its matrix: what these pictures and
/// texts leave unused, others may use.
const LEAST: f32 = 0.01;

/// Most tokens of a text that are read together.
const PIECE: usize = 256;

/// How much each column of each matrix matters: the mean square of what it is multiplied with,
/// over pictures and texts. A quantiser weighs errors by it.
///
/// ```no_run
/// use mobilevlm::{Calibration, OpenOptions};
/// use mobilevlm_checkpoint::Checkpoint;
///
/// let calibration = Calibration::open("model".as_ref(), &OpenOptions::default())?;
/// calibration.text("What people might ask, and what answers look like.")?;
/// let mut checkpoint = Checkpoint::open("model".as_ref(), &Default::default())?;
/// checkpoint.tensors.weigh(calibration.importance());
/// # Ok::<(), mobilevlm::Error>(())
/// ```
#[derive(Debug)]
pub struct Calibration {
    model: Model,
}

impl Calibration {
    /// Opens a checkpoint in `f32` arithmetic, whatever the options say.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Calibration, Error> {
        let options = OpenOptions {
            arithmetic: Arithmetic::F32,
            // What is read from a cache is not multiplied.
            state_cache: None,
            ..options.clone()
        };
        let model = Model::open(path, &options)?;
        model.compute().input_squares().switch(true);
        Ok(Calibration { model })
    }

    /// Encodes a picture, reads a question about it and answers it, without guessing ahead
    /// ([`prompt_lookup`](GenerateOptions::prompt_lookup)): how many wrong guesses are computed
    /// depends on the time that they take, and what they are multiplied with would count.
    ///
    /// # Errors
    /// What [`Model::encode`], [`Model::question`] and [`Model::generate`] refuse.
    pub fn picture(
        &self,
        picture: &Picture,
        question: &str,
        options: &GenerateOptions,
    ) -> Result<(), Error> {
        let options = GenerateOptions {
            prompt_lookup: false,
            ..options.clone()
        };
        let encoded = self.model.encode(picture)?;
        let prompt = self.model.question(&[encoded], question)?;
        self.model
            .generate(prompt, &options, &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    }

    /// Reads a text, in pieces of at most 256 tokens.
    ///
    /// # Errors
    /// What [`Model::score`] refuses.
    pub fn text(&self, text: &str) -> Result<(), Error> {
        let tokenizer = self.model.tokenizer();
        let ids = tokenizer.encode(text);
        for piece in ids.chunks(PIECE) {
            let begin = [mobilevlm_processor::PromptItem::Token(tokenizer.bos())];
            let prompt = self.model.prompt(&begin, &[])?;
            self.model.score(&prompt, piece)?;
        }
        Ok(())
    }

    /// The importances of the columns of each matrix that was multiplied, by its name in the
    /// checkpoint's inventory; 1 on average over a matrix.
    pub fn importance(&self) -> BTreeMap<String, Vec<f32>> {
        let means = self.model.compute().input_squares().means();
        let tied = self.model.config().language.tied;
        let named = means.into_iter().map(|(name, mut columns)| {
            let mean = columns.iter().sum::<f32>() / columns.len().max(1) as f32;
            for column in &mut columns {
                // A matrix that met nothing but zeros has columns that are all alike.
                *column = match mean > 0.0 {
                    true => (*column / mean).max(LEAST),
                    false => 1.0,
                };
            }
            match name.as_str() {
                // The head that is the embedding is stored as the embedding.
                "language.lm_head.weight" if tied => {
                    ("language.embed_tokens.weight".to_owned(), columns)
                }
                _ => (name, columns),
            }
        });
        named.collect()
    }
}
