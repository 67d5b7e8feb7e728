//! Writes a checkpoint as GGUF: a whole model in one file, or the pair that llama.cpp loads.
//!
//! Both are planned as a list of tensors with types and sizes, then written from front to back a
//! few rows at a time: memory is bounded by one tensor, whatever the model's size, and the same
//! checkpoint gives the same bytes on any machine with any number of threads.

mod mix;
mod one_file;
mod pair;
mod stored;

pub use mix::Mix;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm_tensor::{Format, Pool};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::CheckpointError;
use crate::gguf::keys::tokenizer as keys;
use crate::gguf::write::{Head, Setting};
use crate::inventory::Inventory;
use crate::names::expected_tensors;
use crate::replace::Pending;
use crate::tensor::{Dtype, Tensor};
use crate::tokenizer::{Piece, PieceKind, Vocabulary};
use mix::{Role, fit};
use stored::Stored;

/// How the parts of a model are to be stored; `None` keeps a part as it is.
///
/// Vectors are always stored as `f32`. Convolutions, position embeddings and the small matrices
/// of squeeze-excitation are `f16`, or `f32` where that is asked for or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    /// The language model.
    pub language: Option<Mix>,
    /// The matrices of the vision tower.
    pub vision: Option<Format>,
    /// The matrices of the projector.
    pub projector: Option<Format>,
}

impl Formats {
    /// The usual choice: `q4_k_m` for the language model and `q8_0` for tower and projector, but
    /// what is in blocks already is kept, because quantising twice only loses.
    pub fn usual(checkpoint: &Checkpoint) -> Self {
        let is_plain = |part: &str| !has_blocks(&checkpoint.tensors, part);
        Self {
            language: is_plain("language.").then_some(Mix::Q4KM),
            vision: is_plain("vision.").then_some(Format::Q8_0),
            projector: is_plain("projector.").then_some(Format::Q8_0),
        }
    }

    /// Every tensor of a model with its sizes, and its type in one file made of a checkpoint in
    /// `f16`.
    pub fn types(&self, config: &Config) -> Vec<(String, Vec<usize>, Dtype)> {
        let typed = |(name, shape): (String, Vec<usize>)| {
            let dtype = self.choose(config, &name, &shape, Dtype::F16);
            let dtype = in_one_file(Purpose::of(&name, &shape), dtype);
            (name, shape, dtype)
        };
        expected_tensors(config).into_iter().map(typed).collect()
    }

    /// The type of a tensor that is now of type `stored`, rows not interleaved.
    fn choose(&self, config: &Config, name: &str, shape: &[usize], stored: Dtype) -> Dtype {
        let columns = shape.iter().skip(1).product();
        let asked = match name.split('.').next() {
            Some("vision") => self.vision,
            Some("projector") => self.projector,
            _ => match (self.language, role(name)) {
                (Some(mix), Some(role)) => Some(mix.choose(role, columns, &config.language)),
                _ => None,
            },
        };
        let stored = match stored {
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            Dtype::Blocks(format) | Dtype::Panels(format) => format,
            _ => Format::F32,
        };
        let format = match (Purpose::of(name, shape), asked) {
            (Purpose::Vector, _) => Format::F32,
            (Purpose::Filter, Some(Format::F32)) => Format::F32,
            (Purpose::Filter, None) if stored != Format::F16 => Format::F32,
            (Purpose::Filter, _) => Format::F16,
            (Purpose::Rows | Purpose::Matrix, Some(asked)) => fit(asked, columns),
            (Purpose::Rows | Purpose::Matrix, None) => stored,
        };
        match format {
            Format::F32 => Dtype::F32,
            Format::F16 => Dtype::F16,
            Format::BF16 => Dtype::BF16,
            blocks => Dtype::Blocks(blocks),
        }
    }
}

/// Whether some tensor of a part is in blocks.
fn has_blocks(tensors: &Inventory, part: &str) -> bool {
    tensors
        .iter()
        .any(|(name, tensor)| name.starts_with(part) && tensor.dtype().block() > 1)
}

/// Why a checkpoint cannot be written as GGUF.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// llama.cpp's files have no way to say something of the model.
    #[error(
        "llama.cpp's files cannot hold {what}: expected {expected}, found {found}; leave out \
         `--split` for one file, which can"
    )]
    Unsayable {
        /// What it is.
        what: &'static str,
        /// What they can hold.
        expected: String,
        /// What the model has.
        found: String,
    },
    /// The vocabulary has more pieces than the model knows.
    #[error(
        "the vocabulary: expected at most {rows} pieces, a row of the embedding each, found {pieces}"
    )]
    Vocabulary {
        /// Pieces of the vocabulary.
        pieces: usize,
        /// Rows of the embedding.
        rows: usize,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The caller's progress function stopped the conversion; nothing was left behind.
    #[error("the conversion was stopped")]
    Stopped,
}

/// A checkpoint to be written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Conversion<'a> {
    /// What is written.
    pub checkpoint: &'a Checkpoint,
    /// The checkpoint's vocabulary.
    pub vocabulary: &'a Vocabulary,
    /// What the model is called (`general.name`).
    pub name: &'a str,
    /// How its parts are stored.
    pub formats: Formats,
}

/// Is told how many of the model's numbers were written and how many there are.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

impl Conversion<'_> {
    /// Writes the whole model as one file: version 3 of GGUF, `general.architecture` =
    /// `mobilevlm`. Matrices in blocks are interleaved as the kernels read them.
    ///
    /// The file is written whole or not at all.
    ///
    /// # Errors
    /// [`ConvertError::Vocabulary`], [`ConvertError::Checkpoint`] if it cannot be written,
    /// [`ConvertError::Stopped`].
    pub fn write_file(
        &self,
        path: &Path,
        pool: &Pool,
        on_progress: OnProgress<'_>,
    ) -> Result<(), ConvertError> {
        let file = one_file::plan(self)?;
        write(&[(path, file)], pool, on_progress)
    }

    /// Writes the two files that llama.cpp loads: the language model, and tower and projector.
    ///
    /// Both are written, or none is.
    ///
    /// # Errors
    /// [`ConvertError::Unsayable`] names what such files cannot hold; else as
    /// [`write_file`](Conversion::write_file).
    pub fn write_pair(
        &self,
        language: &Path,
        projector: &Path,
        pool: &Pool,
        on_progress: OnProgress<'_>,
    ) -> Result<(), ConvertError> {
        let [first, second] = pair::plan(self)?;
        write(&[(language, first), (projector, second)], pool, on_progress)
    }

    /// Every tensor with its name and sizes here, the type it is to have in rows, and whether it
    /// is a matrix that is multiplied; a head that is the embedding is left out.
    fn tensors(&self) -> impl Iterator<Item = Chosen<'_>> {
        let (config, tensors) = (&self.checkpoint.config, &self.checkpoint.tensors);
        let repeats = |name: &str| config.language.tied && name == "language.lm_head.weight";
        expected_tensors(config)
            .into_iter()
            .filter(move |(name, _)| !repeats(name))
            .filter_map(move |(name, shape)| {
                // A checkpoint has all that its configuration asks for.
                let tensor = tensors.get(&name)?;
                let purpose = Purpose::of(&name, &shape);
                let dtype = self.formats.choose(config, &name, &shape, tensor.dtype());
                Some(Chosen {
                    name,
                    shape: without_ones(shape),
                    purpose,
                    dtype,
                    tensor,
                })
            })
    }
}

/// A tensor with what was chosen for it.
struct Chosen<'a> {
    /// Its name in an inventory.
    name: String,
    /// Its sizes, those of 1 left out.
    shape: Vec<usize>,
    purpose: Purpose,
    /// Its type, rows not interleaved.
    dtype: Dtype,
    tensor: &'a Tensor,
}

/// What a tensor is for, as far as storing it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Biases, norms, the class embedding.
    Vector,
    /// Convolutions, positions, and the small matrices of squeeze-excitation.
    Filter,
    /// The embedding of tokens, read row by row.
    Rows,
    /// Multiplied.
    Matrix,
}

impl Purpose {
    fn of(name: &str, shape: &[usize]) -> Self {
        let squeezes = name.ends_with(".fc1.weight") || name.ends_with(".fc2.weight");
        match shape {
            [_] => Self::Vector,
            [_, 1, _, _] | [_, 3, _, _] => Self::Filter,
            [_, _, 1, 1] if squeezes => Self::Filter,
            _ if name == "projector.positions" || name.contains(".position_embedding.") => {
                Self::Filter
            }
            _ if name == "language.embed_tokens.weight" => Self::Rows,
            _ => Self::Matrix,
        }
    }
}

/// The type in one file: what is multiplied is interleaved where it is in blocks.
fn in_one_file(purpose: Purpose, dtype: Dtype) -> Dtype {
    match (purpose, dtype) {
        (Purpose::Matrix, Dtype::Blocks(format)) => Dtype::Panels(format),
        (_, dtype) => dtype,
    }
}

/// What a matrix of the language model is.
fn role(name: &str) -> Option<Role> {
    let name = name.strip_prefix("language.")?.strip_suffix(".weight")?;
    let Some(block) = name.strip_prefix("layers.") else {
        return match name {
            "embed_tokens" => Some(Role::Embedding),
            "lm_head" => Some(Role::Head),
            _ => None,
        };
    };
    let (layer, name) = block.split_once('.')?;
    let layer = layer.parse().ok()?;
    Some(match name {
        "self_attn.q_proj" => Role::Query,
        "self_attn.k_proj" => Role::Key,
        "self_attn.v_proj" => Role::Value(layer),
        "self_attn.o_proj" => Role::Output,
        "mlp.gate_proj" => Role::Gate,
        "mlp.up_proj" => Role::Up,
        "mlp.down_proj" => Role::Down(layer),
        _ => return None,
    })
}

/// The sizes of a convolution's weight without those of 1, as llama.cpp's converters write them.
fn without_ones(shape: Vec<usize>) -> Vec<usize> {
    match shape[..] {
        [first, ref rest @ ..] if rest.len() > 1 => {
            let rest = rest.iter().copied().filter(|&size| size != 1);
            std::iter::once(first).chain(rest).collect()
        }
        _ => shape,
    }
}

/// A file that is to be written.
struct File<'a> {
    head: Head,
    tensors: Vec<Stored<'a>>,
}

impl<'a> File<'a> {
    fn new(mut head: Head, tensors: Vec<Stored<'a>>) -> Self {
        for tensor in &tensors {
            head.list(tensor.listed());
        }
        Self { head, tensors }
    }
}

/// Writes files, all or none.
fn write(
    files: &[(&Path, File<'_>)],
    pool: &Pool,
    on_progress: OnProgress<'_>,
) -> Result<(), ConvertError> {
    let tensors = files.iter().flat_map(|(_, file)| &file.tensors);
    let total: u64 = tensors.map(Stored::elements).sum();
    let mut done = 0;
    let mut is_stopped = false;
    let mut progress = |numbers: u64| {
        done += numbers;
        is_stopped = on_progress(done, total).is_break();
        match is_stopped {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        }
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ConvertError::Checkpoint(CheckpointError::Write { path, source })
    };
    let mut pending = Vec::new();
    for (path, file) in files {
        let written = Pending::write(path, |out| {
            file.head.write(out, |number, out| {
                file.tensors[number].write(pool, out, &mut progress)
            })
        });
        match written {
            Ok(written) => pending.push((*path, written)),
            Err(error) if is_stopped => {
                drop(error);
                return Err(ConvertError::Stopped);
            }
            Err(error) => return Err(failed(path)(error)),
        }
    }
    for (path, written) in pending {
        written.put().map_err(failed(path))?;
    }
    Ok(())
}

/// Adds the vocabulary, filled up to `rows` pieces where the embedding has more rows; what
/// llama.cpp has no key for only where it is not what its absence means.
fn set_vocabulary(
    head: &mut Head,
    vocabulary: &Vocabulary,
    rows: usize,
) -> Result<(), ConvertError> {
    let found = vocabulary.pieces.len();
    if found > rows {
        return Err(ConvertError::Vocabulary {
            pieces: found,
            rows,
        });
    }
    let mut pieces = vocabulary.pieces.clone();
    pieces.extend((found..rows).map(|id| Piece {
        text: format!("[PAD{id}]"),
        score: -1000.0,
        kind: PieceKind::Unused,
    }));
    let unknown = pieces
        .iter()
        .position(|piece| piece.kind == PieceKind::Unknown);
    let unknown = Setting::U32(unknown.unwrap_or(0) as u32);
    let bytes = pieces.iter().filter(|piece| piece.kind == PieceKind::Byte);
    let has_bytes = bytes.count() == 256;
    let spare = Vocabulary::default();

    head.set(keys::MODEL, "llama");
    head.set(keys::PRE, "default");
    let texts = pieces.iter().map(|piece| piece.text.clone());
    head.set(keys::TOKENS, Setting::Texts(texts.collect()));
    let scores = pieces.iter().map(|piece| piece.score);
    head.set(keys::SCORES, Setting::F32s(scores.collect()));
    let kinds = pieces.iter().map(|piece| piece.kind.number());
    head.set(keys::KINDS, Setting::I32s(kinds.collect()));
    head.set(keys::BOS, Setting::U32(vocabulary.bos));
    head.set(keys::EOS, Setting::U32(vocabulary.eos));
    head.set(keys::UNKNOWN, unknown.clone());
    // Upstream fills up with the unknown piece.
    head.set(keys::PADDING, unknown);
    head.set(keys::ADD_BOS, Setting::Bool(true));
    head.set(keys::ADD_EOS, Setting::Bool(false));
    for (key, value, spare) in [
        (
            keys::ADD_SPACE_PREFIX,
            vocabulary.add_space_prefix,
            spare.add_space_prefix,
        ),
        (keys::LEGACY, vocabulary.legacy, spare.legacy),
        (keys::BYTE_FALLBACK, vocabulary.byte_fallback, has_bytes),
    ] {
        if value != spare {
            head.set(key, Setting::Bool(value));
        }
    }
    if vocabulary.unknown_surface != spare.unknown_surface {
        head.set(keys::UNKNOWN_SURFACE, vocabulary.unknown_surface.as_str());
    }
    Ok(())
}

/// A size as GGUF has it: configurations keep every size far below this.
fn size(number: usize) -> Setting {
    Setting::U32(u32::try_from(number).unwrap_or(u32::MAX))
}
