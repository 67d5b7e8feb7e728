//! What can be wrong with a tokenizer.

use std::str::Utf8Error;

/// Why a vocabulary cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The bytes end inside a field.
    #[error(
        "not a whole SentencePiece model: byte {offset} begins a field of {expected} bytes, \
         {found} are left; fetch tokenizer.model again"
    )]
    Truncated {
        /// Where the field's content begins.
        offset: usize,
        /// Bytes that the field announces.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// A byte that cannot stand where it stands in protocol buffers.
    #[error(
        "not a SentencePiece model: byte {offset}: {what}; the file must be the release's \
         tokenizer.model (tokenizer.json and Git LFS pointers are other formats)"
    )]
    Malformed {
        /// Where in the file.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A setting that this tokenizer does not carry out.
    #[error("the tokenizer's {setting} is {found}; only {expected} is supported")]
    Unsupported {
        /// The setting, as SentencePiece names it.
        setting: &'static str,
        /// What the model asks for.
        found: String,
        /// What would work.
        expected: &'static str,
    },
    /// A piece that is no text.
    #[error("piece {id} is not UTF-8")]
    NotText {
        /// The piece's id.
        id: usize,
        /// Where its bytes go wrong.
        #[source]
        source: Utf8Error,
    },
    /// A piece without characters.
    #[error("piece {id} is empty")]
    EmptyPiece {
        /// The piece's id.
        id: usize,
    },
    /// A number that names no kind of piece.
    #[error("piece {id} has kind {found}; expected 1 to 6")]
    Kind {
        /// The piece's id.
        id: usize,
        /// The number found.
        found: u64,
    },
    /// Two pieces with the same text.
    #[error("pieces {first} and {second} are both {text:?}")]
    Duplicate {
        /// The smaller id.
        first: u32,
        /// The larger id.
        second: u32,
        /// The text of both.
        text: String,
    },
    /// More pieces, or more text in them, than ids and offsets are made for.
    #[error("the vocabulary has more than {limit} {what}")]
    TooLarge {
        /// The largest number that is read.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// A piece that every model of this family has.
    #[error("the vocabulary has no {what}")]
    Missing {
        /// What was looked for.
        what: String,
    },
    /// A piece of kind byte that is not spelled `<0x00>` to `<0xFF>`.
    #[error("piece {id} is a byte piece and is spelled {text:?}; expected <0x00> to <0xFF>")]
    BytePiece {
        /// The piece's id.
        id: u32,
        /// How it is spelled.
        text: String,
    },
}
