//! Lists what a checkpoint holds and everything that is wrong with it, for people to look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Gathered, OpenOptions};
use crate::config::Config;
use crate::error::CheckpointError;
use crate::inventory::Inventory;
use crate::tensor::{Dtype, Tensor};
use crate::tokenizer::TokenizerSource;

/// What lies at a path, opened as far as it can be.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Sizes and constants, if the configuration could be read.
    pub config: Option<Config>,
    /// The three parts of a model: `vision`, `projector`, `language`.
    pub parts: Vec<Part>,
    /// The tensors that are read, by their names in an [`Inventory`].
    pub tensors: Inventory,
    /// The vocabulary, if there is one.
    pub tokenizer: Option<TokenizerSource>,
    /// The files that the weights are in.
    pub files: Vec<PathBuf>,
    /// Everything that is wrong; later problems may follow from earlier ones.
    pub problems: Vec<CheckpointError>,
}

/// One part of a model, in sum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// `vision`, `projector` or `language`.
    pub name: &'static str,
    /// How many tensors it has.
    pub tensors: usize,
    /// How many numbers they hold; a head that is the embedding is not counted again.
    pub parameters: usize,
    /// How many bytes they take.
    pub bytes: usize,
    /// The types they are stored in, by name.
    pub dtypes: Vec<Dtype>,
}

impl Inspection {
    /// Opens `path` as [`Checkpoint::open`](crate::Checkpoint::open) does, and goes on where that
    /// would stop.
    pub fn new(path: &Path, options: &OpenOptions) -> Self {
        let Gathered {
            config,
            tensors,
            tokenizer,
            files,
            problems,
        } = Gathered::read(path, options);
        let tied = config.as_ref().is_some_and(|config| config.language.tied);
        let parts = ["vision", "projector", "language"]
            .into_iter()
            .map(|name| part(name, &tensors, tied))
            .collect();
        Self {
            config,
            parts,
            tensors,
            tokenizer,
            files,
            problems,
        }
    }
}

fn part(name: &'static str, tensors: &Inventory, tied: bool) -> Part {
    let belongs = |full: &str| {
        full.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let repeats = |full: &str| tied && full == "language.lm_head.weight";
    let own: Vec<&Tensor> = tensors
        .iter()
        .filter(|(full, _)| belongs(full) && !repeats(full))
        .map(|(_, tensor)| tensor)
        .collect();
    let dtypes: BTreeMap<_, _> = own
        .iter()
        .map(|tensor| (tensor.dtype().name(), tensor.dtype()))
        .collect();
    Part {
        name,
        tensors: own.len(),
        parameters: own.iter().map(|tensor| tensor.elements()).sum(),
        bytes: own.iter().map(|tensor| tensor.byte_len()).sum(),
        dtypes: dtypes.into_values().collect(),
    }
}
