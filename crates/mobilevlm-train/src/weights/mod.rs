//! Between Hugging Face folders and the model that is trained.
//!
//! - `start`: what a run begins with, from folders and chance
//! - `export`: the folder that a run ends with
//! - `adapters`: what adapters have learnt, beside the weights; `torch`: tensors in torch's own files
//! - `parts`: a tower's or a language model's own folder
//! - `json`: what `config.json` says

mod adapters;
mod export;
mod json;
mod parts;
mod start;
mod torch;

pub(crate) use export::merged;
pub use export::{Export, ExportDtype};
pub use parts::{export_language, export_tower};
pub(crate) use parts::{read_language, read_tower};
pub(crate) use start::Part;
pub use start::{Start, StartParts};
