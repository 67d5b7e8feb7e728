//! The vocabulary of a checkpoint, as its file holds it.

use std::path::Path;

use bytes::Bytes;

use crate::error::CheckpointError;
use crate::folder::read_optional;

/// The longest vocabulary file that is read, in bytes. LLaMA's has 0.5 MB.
const VOCABULARY_LIMIT: usize = 64 << 20;

/// A vocabulary, not yet read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenizerSource {
    /// The bytes of a SentencePiece model (`tokenizer.model`).
    SentencePiece(Bytes),
    /// The pieces that a GGUF file lists.
    Pieces(Vec<Piece>),
}

/// One piece of a vocabulary; its id is its place in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The text, with `▁` for a space.
    pub text: String,
    /// Pieces of a higher score are joined first.
    pub score: f32,
    /// What the piece is for.
    pub kind: PieceKind,
}

/// What a piece is for. The numbers are SentencePiece's and GGUF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PieceKind {
    /// 1: ordinary text.
    Normal,
    /// 2: stands for what no piece spells.
    Unknown,
    /// 3: `<s>`, `</s>`.
    Control,
    /// 4: added by the model's makers.
    UserDefined,
    /// 5: never made.
    Unused,
    /// 6: one byte.
    Byte,
}

impl TokenizerSource {
    /// The vocabulary of a checkpoint's folder, if it has one.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        let bytes = read_optional(&folder.join("tokenizer.model"), VOCABULARY_LIMIT)?;
        Ok(bytes.map(Self::SentencePiece))
    }
}
