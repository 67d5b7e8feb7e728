//! Answers questions about pictures: Model, Chat, Batch, and the model hub.
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod chat;
mod error;
pub mod hub;
mod model;
mod options;
mod picture;
mod prompt;
mod random;
mod sequence;
mod stops;
mod vocabulary;

pub use answer::{Answer, FinishReason, Timings};
pub use batch::{Batch, Event, SequenceId};
pub use chat::Chat;
pub use error::Error;
pub use model::Model;
pub use options::{CancelToken, GenerateOptions, OpenOptions};
pub use picture::{EncodedPicture, Picture, PictureTimings};
pub use prompt::Prompt;
pub use random::Shape;
pub use vocabulary::open_tokenizer;

pub use mobilevlm_checkpoint::{Access, Config};
pub use mobilevlm_processor::{Exif, Limits, PromptItem, RgbImage, Tokenizer};
pub use mobilevlm_tensor::{Compute, Kernels};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
