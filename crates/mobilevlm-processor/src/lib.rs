//! Turns text and pictures into model inputs, and ids back into text.
#![forbid(unsafe_code)]

mod text;

pub use text::{
    DecodeStream, Piece, PieceKind, PromptItem, Template, Tokenizer, TokenizerError,
    TokenizerSettings, Turn,
};
