//! Lists what a checkpoint holds and everything that is wrong with it, for people to look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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

impl Part {
    /// Bits that a number takes on average; zero for a part without numbers.
    pub fn bits_per_weight(&self) -> f64 {
        8.0 * self.bytes as f64 / self.parameters.max(1) as f64
    }
}

impl Inspection {
    /// Opens `path` as [`Checkpoint::open`](crate::Checkpoint::open) does, and goes on where that
    /// would stop.
    pub fn new(path: &Path, options: &OpenOptions) -> Self {
        let Gathered {
            name: _,
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

    /// The SHA-256 of a part, in hexadecimal digits. Reads all its weights.
    ///
    /// Hashed are its tensors in the order of their names in an [`Inventory`]: of each its name,
    /// type and sizes as a line `language.norm.weight F32 [2048]`, then its bytes, in upstream's
    /// order of rows and not interleaved. So the hash says which numbers a model has in which
    /// formats, in whatever layout and in however many files they are. A head that is the
    /// embedding is not hashed again.
    pub fn sha256(&self, part: &str) -> String {
        let tied = self
            .config
            .as_ref()
            .is_some_and(|config| config.language.tied);
        let mut hash = Sha256::new();
        for (name, tensor) in own_tensors(part, &self.tensors, tied) {
            let (dtype, data) = tensor.in_rows();
            hash.update(format!("{name} {dtype} {:?}\n", tensor.shape()));
            hash.update(&data);
        }
        let digits = hash.finalize();
        digits.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The tensors of a part, in the order of their names.
fn own_tensors<'a>(
    part: &str,
    tensors: &'a Inventory,
    tied: bool,
) -> impl Iterator<Item = (&'a str, &'a Tensor)> {
    let belongs = move |full: &str| {
        full.strip_prefix(part)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let repeats = move |full: &str| tied && full == "language.lm_head.weight";
    tensors
        .iter()
        .filter(move |(full, _)| belongs(full) && !repeats(full))
}

fn part(name: &'static str, tensors: &Inventory, tied: bool) -> Part {
    let own: Vec<&Tensor> = own_tensors(name, tensors, tied)
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
