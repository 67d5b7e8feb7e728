//! Turns text and pictures into model inputs, and ids back into text.
#![forbid(unsafe_code)]

mod image;
mod text;

pub use image::{
    Aspect, Exif, Format, ImageError, Limits, Preprocessor, RgbImage, center_crop, decode,
    normalise, pad_to_square, resize,
};
pub use text::{
    DecodeStream, Piece, PieceKind, PromptItem, Template, Tokenizer, TokenizerError,
    TokenizerSettings, Turn,
};
