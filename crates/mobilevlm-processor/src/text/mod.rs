//! Text to ids and back, exactly as upstream's tokenizer does it.
//!
//! - `protobuf`, `model_file`: read a SentencePiece `tokenizer.model`
//! - `vocabulary`: the pieces, looked up by id and by text
//! - `bpe`: joins the characters of a text to pieces
//! - `decode`: ids to text, at once or as a stream of whole characters
//! - `tokenizer`: what the rest of the program uses
//! - `template`: turns of a conversation to a prompt

mod bpe;
mod decode;
mod error;
mod model_file;
mod protobuf;
mod template;
mod tokenizer;
mod vocabulary;

pub use decode::DecodeStream;
pub use error::TokenizerError;
pub use template::{Template, Turn};
pub use tokenizer::{PromptItem, Tokenizer};
pub use vocabulary::{Piece, PieceKind, TokenizerSettings};
