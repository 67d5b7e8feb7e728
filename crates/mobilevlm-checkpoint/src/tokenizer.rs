//! The vocabulary of a checkpoint, as its file holds it.

use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;

use crate::config::CONFIG_LIMIT;
use crate::error::CheckpointError;
use crate::folder::{read_optional, read_small};
use crate::gguf;
use crate::map::{self, Access};

/// The longest vocabulary file that is read, in bytes. LLaMA's has 0.5 MB.
const VOCABULARY_LIMIT: usize = 64 << 20;

/// A vocabulary, not yet read.
#[derive(Clone, Debug)]
pub enum TokenizerSource {
    /// A SentencePiece model.
    SentencePiece {
        /// The bytes of `tokenizer.model`.
        model: Bytes,
        /// What `tokenizer_config.json` beside it says under `legacy`: whether each text between
        /// control tokens is encoded as if a space stood before it. True where it says nothing,
        /// as in upstream's version of transformers.
        legacy: bool,
    },
    /// The vocabulary that a GGUF file lists.
    Pieces(Vocabulary),
}

/// A vocabulary piece by piece, and what is said beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The pieces in the order of their ids.
    pub pieces: Vec<Piece>,
    /// The id that begins a prompt.
    pub bos: u32,
    /// The id that ends an answer.
    pub eos: u32,
    /// Whether a text is encoded as if a space stood before it.
    pub add_space_prefix: bool,
    /// Whether each text between control tokens is encoded so, and not the first alone.
    pub legacy: bool,
    /// Whether a character that is no piece becomes bytes instead of the unknown piece.
    pub byte_fallback: bool,
    /// What the unknown piece is shown as.
    pub unknown_surface: String,
}

/// The settings of LLaMA's vocabulary, which SentencePiece's own defaults are too, and no pieces.
impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            bos: 1,
            eos: 2,
            add_space_prefix: true,
            legacy: true,
            byte_fallback: true,
            unknown_surface: " \u{2047} ".to_owned(),
        }
    }
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

impl PieceKind {
    /// SentencePiece's and GGUF's number of the kind.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::Unknown => 2,
            Self::Control => 3,
            Self::UserDefined => 4,
            Self::Unused => 5,
            Self::Byte => 6,
        }
    }

    /// The kind of SentencePiece's and GGUF's number.
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

impl TokenizerSource {
    /// The vocabulary in one file: a SentencePiece model, or a GGUF file with one in its keys.
    ///
    /// A SentencePiece model is not parsed here; the tokenizer does that.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file cannot be read, or is a GGUF file without a vocabulary.
    pub fn open(path: &Path, access: Access) -> Result<Self, CheckpointError> {
        let file = map::open(path, access).map_err(|source| CheckpointError::Read {
            path: path.to_owned(),
            source,
        })?;
        if !file.starts_with(b"GGUF") {
            let model = read_small(path, VOCABULARY_LIMIT)?;
            let legacy = legacy(&path.with_file_name("tokenizer_config.json"))?;
            return Ok(Self::SentencePiece { model, legacy });
        }
        let vocabulary = gguf::parse(&file).and_then(|header| gguf::vocabulary(&file, &header));
        vocabulary
            .map(Self::Pieces)
            .map_err(|source| CheckpointError::Gguf {
                path: path.to_owned(),
                source,
            })
    }

    /// The vocabulary of a checkpoint's folder, if it has one.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = folder.join("tokenizer.model");
        path.is_file()
            .then(|| Self::open(&path, Access::Read))
            .transpose()
    }
}

/// The key `legacy` of a `tokenizer_config.json`, which need not be there.
fn legacy(path: &Path) -> Result<bool, CheckpointError> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        legacy: Option<bool>,
    }
    let Some(text) = read_optional(path, CONFIG_LIMIT)? else {
        return Ok(true);
    };
    let config: TokenizerConfig =
        serde_json::from_slice(&text).map_err(|source| CheckpointError::TokenizerConfig {
            path: path.to_owned(),
            source,
        })?;
    Ok(config.legacy.unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tokenizers_configuration_says_whether_the_legacy_rule_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tokenizer.model"), b"model").expect("writable");
        let config = folder.path().join("tokenizer_config.json");
        let cases = [
            (None, Some(true)),
            (Some(r#"{"legacy": false, "pad_token": null}"#), Some(false)),
            (Some(r#"{"legacy": true}"#), Some(true)),
            (Some(r#"{"legacy": null}"#), Some(true)),
            (Some("{}"), Some(true)),
            (Some(r#"{"legacy": 3}"#), None),
            (Some("{"), None),
        ];
        for (text, expected) in cases {
            if let Some(text) = text {
                std::fs::write(&config, text).expect("writable");
            }
            match (TokenizerSource::in_folder(folder.path()), expected) {
                (Ok(Some(TokenizerSource::SentencePiece { legacy, .. })), Some(expected)) => {
                    assert_eq!(legacy, expected, "{text:?}");
                }
                (Err(CheckpointError::TokenizerConfig { path, .. }), None) => {
                    assert_eq!(path, config);
                }
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }
}
