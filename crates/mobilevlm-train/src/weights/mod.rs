//! Between Hugging Face folders and the model that is trained.
//!
//! - `start`: what a run begins with, from folders and chance
//! - `export`: the folder that a run ends with
//! - `json`: what `config.json` says

mod export;
mod json;
mod start;

pub(crate) use export::merged;
pub use export::{Export, ExportDtype};
pub use start::{Start, StartParts};
