//! Everything that can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::gguf::GgufError;
use crate::names::Report;
use crate::safetensors::SafetensorsError;
use crate::tensor::Dtype;
use crate::torch::TorchError;

/// Why a checkpoint cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file cannot be read.
    #[error("{path}: cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A small file is too long to be what its name says.
    #[error("{path}: expected at most {limit} bytes, found {found}")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes read at most.
        limit: usize,
        /// Bytes there.
        found: u64,
    },
    /// The configuration is not one of this family, or damaged.
    #[error("{path}")]
    Config {
        /// The model; which of its files is meant is in `source`.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// A safetensors file is damaged.
    #[error("{path}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: SafetensorsError,
    },
    /// A torch file is damaged, or holds more than tensors.
    #[error("{path}")]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: TorchError,
    },
    /// The index of a model in several files is damaged.
    #[error("{path}: not a valid index")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The `tokenizer_config.json` beside a vocabulary is damaged.
    #[error("{path}: not a valid tokenizer configuration")]
    TokenizerConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A tensor of a file cannot be used.
    #[error("{path}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: TensorError,
    },
    /// A GGUF file is damaged, or lacks what is asked of it.
    #[error("{path}")]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: GgufError,
    },
    /// A folder's file of weights is a GGUF file, whatever its name says.
    #[error(
        "{path}: expected a safetensors or torch file, found a GGUF file; name that file itself as the model"
    )]
    GgufWeights {
        /// The file.
        path: PathBuf,
    },
    /// The GGUF file is of another kind of model.
    #[error(
        "{path}: expected general.architecture \"llama\" (the language model of a pair) or \"mobilevlm\" (a whole \
         model), found {found}"
    )]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The GGUF file is the projector's of a pair, and was named as the model.
    #[error(
        "{path}: the tower and projector of a pair; name the language model's file as the model, and this one with \
         `--mmproj FILE`"
    )]
    ProjectorAsModel {
        /// The file.
        path: PathBuf,
    },
    /// The file named as a projector's is another one.
    #[error("{path}: expected a projector's file (general.architecture \"clip\"), found {found}")]
    NoProjector {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// It is not clear which projector's file belongs to a language model.
    #[error(
        "{path}: a language model, which cannot see without its projector's file: expected one mmproj*.gguf beside \
         it, found {}; name the file with `--mmproj FILE`",
        if found.is_empty() { "none".to_owned() } else { places(found) }
    )]
    WhichProjector {
        /// The language model's file.
        path: PathBuf,
        /// The candidates beside it.
        found: Vec<PathBuf>,
    },
    /// The GGUF file is a part of a model that is spread over several.
    #[error(
        "{path}: one of {parts} parts of a model; put them together with `llama-gguf-split --merge`"
    )]
    GgufPart {
        /// The file.
        path: PathBuf,
        /// How many there are.
        parts: String,
    },
    /// An option was given that has no meaning for what is opened.
    #[error("{path}: `{option}` is only for {only}")]
    Meaningless {
        /// What is opened.
        path: PathBuf,
        /// The option.
        option: &'static str,
        /// What it is for.
        only: &'static str,
    },
    /// No file of weights is there.
    #[error(
        "{path}: expected model.safetensors, pytorch_model.bin or an index of several files, found none of them"
    )]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds an adapter (LoRA), which is only a difference to another model.
    #[error(
        "{path}: an adapter (LoRA), which holds only differences to a base model; merge it into its base first \
         (upstream: scripts/mergelora.py)"
    )]
    Adapter {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a projector and no language model: the result of a first training stage.
    #[error(
        "{path}: a projector without a language model, the result of a first training stage; open the folder of \
         the whole model"
    )]
    ProjectorOnly {
        /// The folder or file.
        path: PathBuf,
    },
    /// The tower is neither in the checkpoint nor in any of the places that are searched.
    #[error(
        "the vision tower {} is not in the checkpoint and not in {}; give its folder with `--vision-tower DIR`",
        name.as_deref().unwrap_or("(no name)"), places(searched)
    )]
    Tower {
        /// What the configuration calls it.
        name: Option<String>,
        /// Folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// Tensors do not fit the configuration.
    #[error("{path}: {report}")]
    Tensors {
        /// The folder or file.
        path: PathBuf,
        /// Every tensor that does not fit.
        report: Report,
    },
}

fn places(searched: &[PathBuf]) -> String {
    searched
        .iter()
        .map(|place| place.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Why a tensor cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// There is no tensor of that name.
    #[error("tensor {name:?}: expected {expected:?}, found no such tensor")]
    Missing {
        /// The full name.
        name: String,
        /// The sizes asked for.
        expected: Vec<usize>,
    },
    /// It has other sizes than asked for.
    #[error("tensor {name:?}: expected {expected:?}, found {found:?}")]
    Shape {
        /// The full name.
        name: String,
        /// The sizes asked for.
        expected: Vec<usize>,
        /// The sizes it has.
        found: Vec<usize>,
    },
    /// Its numbers are no weights.
    #[error("tensor {name:?}: expected F32, F16, BF16, F64 or a block format, found {found}")]
    Dtype {
        /// The full name.
        name: String,
        /// The type it has.
        found: Dtype,
    },
    /// Its bytes do not fill its sizes.
    #[error("expected {dtype} {shape:?}, found {found} bytes")]
    Length {
        /// The type given.
        dtype: Dtype,
        /// The sizes given.
        shape: Vec<usize>,
        /// Bytes given.
        found: usize,
    },
}
