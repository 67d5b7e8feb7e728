use mobilevlm_checkpoint::CheckpointError;
use mobilevlm_model::ModelError;
use mobilevlm_processor::{ImageError, TokenizerError};
use mobilevlm_tensor::KernelError;

use crate::SequenceId;

/// What can go wrong between a checkpoint and an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read or is not complete.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint's tensors do not make the model that its configuration says.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The checkpoint's tokenizer cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The checkpoint has no tokenizer.
    #[error("the checkpoint has no tokenizer: expected tokenizer.model beside its config.json")]
    NoTokenizer,
    /// This machine cannot run the kernel table.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// A picture cannot be decoded.
    #[error(transparent)]
    Picture(#[from] ImageError),
    /// Pixels that were said to be prepared have another size than the tower.
    #[error("prepared pixels must be {side} x {side}, found {width} x {height}")]
    PreparedSize {
        /// Side of the tower's picture in pixels.
        side: usize,
        /// Width found.
        width: usize,
        /// Height found.
        height: usize,
    },
    /// A prompt has another number of places for pictures than pictures were given.
    #[error("the prompt has places for {expected} pictures, found {found}")]
    Pictures {
        /// Places in the prompt.
        expected: usize,
        /// Pictures given.
        found: usize,
    },
    /// A prompt has nothing to read.
    #[error("the prompt is empty: it needs at least one token or picture")]
    Empty,
    /// A prompt has a token that the model does not know.
    #[error(
        "token {id} is not in the model's vocabulary of {vocab}: use the checkpoint's own tokenizer"
    )]
    UnknownToken {
        /// The token's id.
        id: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A prompt is longer than the context.
    #[error(
        "the prompt has {tokens} tokens, {} more than the model's context of {context}: shorten the text, use fewer pictures, or start a new conversation",
        .tokens - .context
    )]
    TooLong {
        /// Positions of the prompt, those of pictures and of earlier turns among them.
        tokens: usize,
        /// Positions that the model has.
        context: usize,
    },
    /// An option has a value that means nothing.
    #[error("option {name}: expected {expected}, found {found}")]
    Option {
        /// The field of [`GenerateOptions`](crate::GenerateOptions).
        name: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Embeds of a picture that another model made.
    #[error(
        "a picture's embeds have width {found}, the model takes {expected}: encode it with this model"
    )]
    PictureWidth {
        /// Width of the language model.
        expected: usize,
        /// Width of the embeds.
        found: usize,
    },
    /// Two models that have nothing to compare.
    #[error("the models cannot be compared: one has {a} {what}, the other {b}")]
    Unlike {
        /// What differs.
        what: &'static str,
        /// How many the first model has.
        a: usize,
        /// How many the second model has.
        b: usize,
    },
    /// A sequence that is not in the batch.
    #[error("sequence {0} is not in the batch: it has left, or is another batch's")]
    NoSequence(SequenceId),
    /// A sequence that was asked before it had finished.
    #[error("sequence {0} is still answering: let it finish, or leave and join anew")]
    StillAnswering(SequenceId),
}
