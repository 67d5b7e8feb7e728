use mobilevlm_checkpoint::{PieceKind as Stored, TokenizerSource};
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};

use crate::Error;

/// The tokenizer that a checkpoint's vocabulary makes.
pub(crate) fn tokenizer(source: &TokenizerSource) -> Result<Tokenizer, Error> {
    match source {
        TokenizerSource::SentencePiece(file) => Ok(Tokenizer::from_sentencepiece(file)?),
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
