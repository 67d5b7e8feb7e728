//! Forward passes: vision tower, projector, language model, sampler.
//!
//! ```text
//! pixels [3, S, S] ─ VisionTower ─▶ features [P, V] ─ Projector ─▶ image embeds [T, d]
//! ids and image embeds ─ Pass ─ LanguageModel ─▶ KV cache, logits ─ Sampler ─▶ id
//! ```
//!
//! Sizes come from the configuration; this crate knows no file, no text and no picture. All
//! arithmetic is that of `mobilevlm-tensor`, whose results for one row do not depend on the other
//! rows, so a sequence computes the same alone, in a batch, at once or in pieces.
#![forbid(unsafe_code)]

mod error;
mod language;
mod linear;
mod norm;
mod projector;
mod sampler;
mod vision;

pub use error::ModelError;
pub use language::{Cache, LanguageModel, Pass};
pub use projector::Projector;
pub use sampler::{Sampler, SamplerOptions};
pub use vision::VisionTower;
