//! The language model: LLaMA with a KV cache for each sequence.

mod attention;
mod block;
mod cache;
mod decoder;
mod pass;

pub use cache::Cache;
pub use decoder::LanguageModel;
pub use pass::Pass;
