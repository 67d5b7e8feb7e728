//! What a model makes of an answer that is given.

use mobilevlm_model::Pass;

use crate::batch::ROWS_PER_STEP;
use crate::prompt::{Content, Prompt};
use crate::{Error, Model};

impl Model {
    /// The logits that each token of an answer would be chosen from, `[ids, vocab]`: row i is read
    /// behind the prompt and `ids[..i]`. These are the numbers that an answer with these ids is
    /// made from, computed many rows at a time.
    ///
    /// # Errors
    /// [`Error::Empty`] and [`Error::TooLong`] for what cannot be read, [`Error::UnknownToken`]
    /// for a token that the model does not have, [`Error::PictureWidth`] for a picture that
    /// another model encoded.
    pub fn score(&self, prompt: &Prompt, ids: &[u32]) -> Result<Vec<f32>, Error> {
        self.check(prompt)?;
        // Nothing is read behind the last token.
        let given = ids.split_last().map_or(&[][..], |(_, given)| given);
        let mut read = prompt.clone();
        given.iter().for_each(|&id| read.push_token(id));
        self.check(&read)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }

        let language = self.language();
        let mut caches = [language.new_cache()];
        caches[0].reserve(read.len());
        let mut pass = Pass::new();
        let mut logits = Vec::with_capacity(ids.len() * language.vocab());
        let first_wanted = prompt.len() - 1;
        let mut position = 0;
        while position < read.len() {
            // A pass wants the logits of all its rows or of none.
            let is_wanted = position >= first_wanted;
            let end = if is_wanted { read.len() } else { first_wanted };
            let end = end.min(position + ROWS_PER_STEP);
            pass.clear();
            let segment = pass.begin(0);
            for position in position..end {
                match read.content(position) {
                    Content::Token(id) => pass.push_token(language, id),
                    Content::Embed(row) => pass.push_embed(row),
                }
            }
            if is_wanted {
                pass.want_all();
            }
            language.forward(self.compute(), &mut pass, &mut caches);
            if is_wanted {
                logits.extend_from_slice(pass.logits(segment));
            }
            position = end;
        }
        Ok(logits)
    }
}
