//! LLaVA-style data sets, mixes, samplers, and a synthetic world.
//!
//! A training sample is a conversation, mostly about a picture. On its way to a batch it passes
//!
//! 1. [`Labeller`]: template, tokens, and which of them are supervised ([`Labelled`]);
//! 2. a sampler, which decides what goes together: [`Order`], or upstream's own order
//!    ([`upstream_order`]);
//! 3. [`collate`]: rows cut and padded to one length ([`Batch`]);
//! 4. [`splice`]: where each place of the model's input comes from, token or picture ([`Splice`]).
//!
//! ```
//! use mobilevlm_data::{LabelOptions, Labeller, Message, Sample, TrainTemplate};
//! # let file = std::fs::read(mobilevlm_testing::micro_golden("checkpoint/tokenizer.model"))?;
//! let tokenizer = mobilevlm_processor::Tokenizer::from_sentencepiece(&file)?;
//! let labeller = Labeller::new(tokenizer, LabelOptions::new(TrainTemplate::V1));
//! let sample = Sample {
//!     image: Some("cat.jpg".to_owned()),
//!     conversations: vec![
//!         Message::new("human", "<image>\nWhat is this?"),
//!         Message::new("gpt", "A cat."),
//!     ],
//! };
//! let labelled = labeller.label(&sample)?;
//! assert_eq!(labelled.ids.len(), labelled.labels.len());
//! assert!(labelled.supervised() > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Data sets on disk are [`Rows`] and [`Pictures`]; a [`Checker`] says what is wrong with them, all
//! at once ([`check`]) or row by row while training ([`Checker::load`]).
//!
//! Wherever upstream's behaviour is a trap, ours is the default and upstream's an option that is
//! named after it; `docs/data.md` lists them.
#![forbid(unsafe_code)]

mod batch;
mod check;
mod file;
mod labels;
mod mix;
pub mod python;
mod sample;
mod sampler;
mod splice;
pub mod world;

pub use batch::{AttentionMask, Batch, collate};
pub use check::{Checker, Examined, Example, Finding, Found, Loaded, Problem, Report, check};
pub use file::{
    DataError, IndexPlace, OnProgress, PictureError, Pictures, RowError, Rows, replace_file,
};
pub use labels::{LabelError, LabelOptions, Labelled, Labeller, Mismatch, TrainTemplate};
pub use mix::{MixError, MixManifest, MixRecipe, MixSet, MixedSet};
pub use sample::{IGNORE, IMAGE_MARK, Message, PICTURE, Sample};
pub use sampler::{
    EpochOrder, Grouping, Mt19937, Order, OrderError, random_permutation, upstream_order,
};
pub use splice::{Place, Splice, SpliceError, SplicedRow, splice};
