use std::path::Path;

use mobilevlm_checkpoint::{Access, PieceKind as Stored, TokenizerSource};
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};

use crate::Error;

/// Opens a vocabulary by itself: a `tokenizer.model`, or a GGUF file with one in its keys.
///
/// # Errors
/// [`Error::Checkpoint`] if the file cannot be read, [`Error::Tokenizer`] if it is no vocabulary.
pub fn open_tokenizer(path: &Path) -> Result<Tokenizer, Error> {
    tokenizer(&TokenizerSource::open(path, Access::Read)?)
}

/// The tokenizer that a checkpoint's vocabulary makes.
pub(crate) fn tokenizer(source: &TokenizerSource) -> Result<Tokenizer, Error> {
    match source {
        TokenizerSource::SentencePiece { model, legacy } => {
            Ok(Tokenizer::from_sentencepiece(model)?.with_legacy(*legacy))
        }
        TokenizerSource::Pieces(pieces) => {
            let pieces = pieces.iter().map(|piece| Piece {
                text: piece.text.clone(),
                score: piece.score,
                kind: kind(piece.kind),
            });
            Ok(Tokenizer::from_pieces(
                pieces,
                TokenizerSettings::default(),
            )?)
        }
    }
}

fn kind(stored: Stored) -> PieceKind {
    match stored {
        Stored::Unknown => PieceKind::Unknown,
        Stored::Control => PieceKind::Control,
        Stored::UserDefined => PieceKind::UserDefined,
        Stored::Unused => PieceKind::Unused,
        Stored::Byte => PieceKind::Byte,
        Stored::Normal => PieceKind::Normal,
    }
}
