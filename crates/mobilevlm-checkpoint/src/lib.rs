//! Files: reads and writes checkpoints in every released layout.
//!
//! A checkpoint is opened once, checked completely, and then cannot fail on structure any more:
//!
//! ```no_run
//! use std::path::Path;
//! use mobilevlm_checkpoint::{Checkpoint, OpenOptions};
//!
//! let checkpoint = Checkpoint::open(Path::new("MobileVLM_V2-1.7B"), &OpenOptions::default())?;
//! let config = &checkpoint.config;
//! let embedding = checkpoint
//!     .tensors
//!     .scope("language")
//!     .matrix("embed_tokens.weight", config.language.vocab, config.language.hidden)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Config`] says every size, [`Inventory`] holds the tensors under names that are the same for
//! every layout, and a [`Scope`] is how a layer reads them. Weights are parts of the mapped file;
//! nothing is copied that is stored in row-major order.
//!
//! Each format has a parser over a byte slice, which executes nothing, never panics, and allocates
//! at most the length of its input and 16 MiB: [`safetensors::parse`], [`torch::parse`],
//! [`gguf::parse`], [`Config::from_json`], [`parse_index`].
#![deny(unsafe_code)]

mod checkpoint;
mod config;
mod convert;
mod error;
mod folder;
pub mod gguf;
mod inspect;
mod inventory;
mod map;
mod names;
mod replace;
pub mod safetensors;
mod tensor;
mod tokenizer;
pub mod torch;
mod tower;

pub use bytes::Bytes;
pub use checkpoint::{Checkpoint, OpenOptions};
pub use config::{
    Activation, Aspect, Config, ConfigError, ConfigFiles, LanguageConfig, Layout, LdpV2,
    Preprocess, Projector, VisionConfig,
};
pub use convert::{Conversion, ConvertError, Formats, Mix, OnProgress};
pub use error::{CheckpointError, TensorError};
pub use folder::{parse_index, stored_tensors};
pub use inspect::{Inspection, Part};
pub use inventory::{Inventory, Scope};
pub use map::Access;
pub use names::{Misshaped, Report, canonical_name, expected_tensors, upstream_name};
pub use replace::{replace_file, write_safetensors};
pub use tensor::{Dtype, Entry, Tensor};
pub use tokenizer::{Piece, PieceKind, TokenizerSource, Vocabulary};
