//! Answers questions about pictures: Model, Chat, Batch, and the model hub.
//!
//! A [`Model`] holds the weights and is shared between threads. A [`Chat`] is one conversation; a
//! [`Batch`] is many sequences at once, of which a chat is the case of one.
//!
//! ```
//! use std::ops::ControlFlow;
//! use mobilevlm::{Chat, Exif, GenerateOptions, Limits, Model, OpenOptions, Picture};
//!
//! # let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden");
//! # let (checkpoint, file) = (golden.join("checkpoint"), golden.join("images/a.png"));
//! let model = Model::open(&checkpoint, &OpenOptions::default())?;
//! let picture = Picture::decode(&std::fs::read(file)?, &Limits::default(), Exif::Apply)?;
//! let mut chat = Chat::new(&model);
//! let options = GenerateOptions::default();
//! let answer = chat.ask(&[picture], "What is in this picture?", &options, &mut |text| {
//!     print!("{text}"); // whole characters, as they come
//!     ControlFlow::Continue(())
//! })?;
//! assert!(!answer.ids.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The trap: [`Answer::text`] is decoded from [`Answer::ids`], not the other way round. A
//! conversation goes on with the ids, and the text of an answer, typed in again, may have others.
#![forbid(unsafe_code)]

mod answer;
mod batch;
mod calibrate;
mod chat;
mod compare;
mod draft;
mod error;
pub mod hub;
mod model;
mod options;
mod panels;
mod picture;
mod prompt;
mod random;
mod score;
mod sequence;
mod spare;
mod state;
mod stops;
mod vocabulary;

pub use answer::{Answer, FinishReason, Timings};
pub use batch::{Batch, Event, SequenceId};
pub use calibrate::Calibration;
pub use chat::Chat;
pub use compare::{ComparedPicture, Comparison, Differences};
pub use error::Error;
pub use model::Model;
pub use options::{CancelToken, GenerateOptions, OpenOptions};
pub use picture::{EncodedPicture, Picture, PictureTimings};
pub use prompt::Prompt;
pub use random::Shape;
pub use vocabulary::{list_vocabulary, open_tokenizer};

pub use mobilevlm_checkpoint::{Access, Config};
pub use mobilevlm_processor::{Exif, Limits, PromptItem, RgbImage, Tokenizer};
pub use mobilevlm_tensor::{Arithmetic, Compute, Kernels};

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
