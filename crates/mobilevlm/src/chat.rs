use std::ops::ControlFlow;

use mobilevlm_processor::{PromptItem, Template, Turn};

use crate::answer::{Answer, FinishReason};
use crate::batch::{Batch, Event, SequenceId};
use crate::picture::{EncodedPicture, Picture};
use crate::prompt::Prompt;
use crate::{Error, GenerateOptions, Model};

/// One conversation: a batch of one sequence and the history of its turns.
///
/// A turn computes only what is new; a picture that the conversation has seen is not encoded
/// again. The ids of an answer stay in the conversation as the model gave them, followed by the
/// end-of-sequence token. Upstream tokenises the whole conversation's text anew instead, which
/// gives the same ids wherever an answer's text leads back to its own ids.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use mobilevlm::{Chat, GenerateOptions, Model, OpenOptions, Picture};
///
/// let model = Model::open("checkpoint".as_ref(), &OpenOptions::default())?;
/// let mut chat = Chat::new(&model);
/// let answer = chat.ask(&[], "What is a river?", &GenerateOptions::default(), &mut |text| {
///     print!("{text}");
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), mobilevlm::Error>(())
/// ```
pub struct Chat {
    model: Model,
    batch: Batch,
    sequence: SequenceId,
    template: Template,
    /// All turns so far, each with its answer and the end-of-sequence token.
    history: Prompt,
}

impl Chat {
    /// A conversation without turns.
    pub fn new(model: &Model) -> Chat {
        let mut batch = Batch::new(model);
        let sequence = batch.join();
        Chat {
            model: model.clone(),
            batch,
            sequence,
            template: Template::v1(),
            history: Prompt::default(),
        }
    }

    /// Asks `text` about `pictures`, which may be none, and about the turns before. What a person
    /// typed is literal: `<image>` and `</s>` in it are no control tokens.
    ///
    /// `on_text` gets whole characters as they come and ends the answer by breaking. A cancelled
    /// answer stays in the conversation as far as it came; one cancelled before its first token
    /// leaves no turn.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the conversation does not fit the context, before any work;
    /// [`Error::Option`] and [`Error::PreparedSize`] for arguments that mean nothing. The
    /// conversation is then as it was.
    pub fn ask(
        &mut self,
        pictures: &[Picture],
        text: &str,
        options: &GenerateOptions,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        options.sampler()?;
        let items = self.next_items(pictures.len(), text);
        self.model
            .check_length(self.history.len() + self.model.positions(&items))?;
        let mut encoded = Vec::with_capacity(pictures.len());
        for picture in pictures {
            if options.cancel.is_cancelled() {
                break;
            }
            encoded.push(self.encode(picture)?);
        }
        if options.cancel.is_cancelled() {
            return Ok(Answer::cancelled(self.model.load_ms()));
        }
        let turn = self.model.prompt(&items, &encoded)?;
        let mut prompt = self.history.clone();
        prompt.append(turn);
        let answer = self.run(prompt.clone(), options, on_text)?;
        if answer.finish_reason != FinishReason::Cancelled || !answer.ids.is_empty() {
            answer.ids.iter().for_each(|&id| prompt.push_token(id));
            prompt.push_token(self.model.tokenizer().eos());
            self.history = prompt.at_hand();
        }
        Ok(answer)
    }

    /// Forgets all turns. The state of the system prompt, which every conversation begins with,
    /// is kept.
    pub fn reset(&mut self) {
        self.history = Prompt::default();
    }

    /// Positions that the turns so far take of the model's context.
    pub fn tokens(&self) -> usize {
        self.history.len()
    }

    fn next_items(&self, pictures: usize, question: &str) -> Vec<PromptItem> {
        let turn = Turn {
            pictures,
            question,
            answer: None,
        };
        let tokenizer = self.model.tokenizer();
        if self.history.is_empty() {
            self.template.encode(tokenizer, &[turn])
        } else {
            self.template.encode_next(tokenizer, &turn)
        }
    }

    /// The embeds of a picture, from the conversation's own where it is among them.
    fn encode(&self, picture: &Picture) -> Result<EncodedPicture, Error> {
        let mut seen = self.history.pictures().iter();
        match seen.find(|seen| seen.hash() == picture.hash()) {
            Some(seen) => Ok(seen.at_hand(picture.read_ms())),
            None => self.model.encode(picture),
        }
    }

    fn run(
        &mut self,
        prompt: Prompt,
        options: &GenerateOptions,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, Error> {
        self.batch.ask(self.sequence, prompt, options)?;
        Ok(self.batch.answer(self.sequence, &mut |event| match event {
            Event::Text(text) => on_text(text),
            _ => ControlFlow::Continue(()),
        }))
    }
}
