use std::path::Path;

use mobilevlm_checkpoint::{
    Access, Piece as StoredPiece, PieceKind as Stored, TokenizerSource, Vocabulary,
};
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
        TokenizerSource::Pieces(vocabulary) => {
            let spare = TokenizerSettings::default();
            let text = |id: u32, spare: String| {
                let piece = vocabulary.pieces.get(id as usize);
                piece.map_or(spare, |piece| piece.text.clone())
            };
            let settings = TokenizerSettings {
                bos: text(vocabulary.bos, spare.bos),
                eos: text(vocabulary.eos, spare.eos),
                unknown_surface: vocabulary.unknown_surface.clone(),
                dummy_prefix: vocabulary.add_space_prefix,
                byte_fallback: vocabulary.byte_fallback,
            };
            let pieces = vocabulary.pieces.iter().map(|piece| Piece {
                text: piece.text.clone(),
                score: piece.score,
                kind: kind(piece.kind),
            });
            Ok(Tokenizer::from_pieces(pieces, settings)?.with_legacy(vocabulary.legacy))
        }
    }
}

/// A vocabulary piece by piece, in whatever form a checkpoint has it.
///
/// # Errors
/// [`Error::Tokenizer`] if it is no vocabulary.
pub fn list_vocabulary(source: &TokenizerSource) -> Result<Vocabulary, Error> {
    let tokenizer = tokenizer(source)?;
    let settings = tokenizer.settings();
    let pieces = tokenizer.pieces().map(|piece| StoredPiece {
        text: piece.text,
        score: piece.score,
        kind: stored(piece.kind),
    });
    Ok(Vocabulary {
        pieces: pieces.collect(),
        bos: tokenizer.bos(),
        eos: tokenizer.eos(),
        add_space_prefix: settings.dummy_prefix,
        legacy: tokenizer.legacy(),
        byte_fallback: settings.byte_fallback,
        unknown_surface: settings.unknown_surface.clone(),
    })
}

fn stored(kind: PieceKind) -> Stored {
    match kind {
        PieceKind::Unknown => Stored::Unknown,
        PieceKind::Control => Stored::Control,
        PieceKind::UserDefined => Stored::UserDefined,
        PieceKind::Unused => Stored::Unused,
        PieceKind::Byte => Stored::Byte,
        PieceKind::Normal => Stored::Normal,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_in_pieces_encodes_as_the_model_that_it_is_from() {
        let path = mobilevlm_testing::micro_golden("checkpoint/tokenizer.model");
        let source = TokenizerSource::open(&path, Access::Read).unwrap();
        let listed = list_vocabulary(&source).unwrap();
        let pieces = tokenizer(&TokenizerSource::Pieces(listed.clone())).unwrap();
        let model = tokenizer(&source).unwrap();
        for text in [
            "What is in this picture?",
            " a  b\n",
            "é 漢字 \u{1f600}",
            "<s>x</s> y",
        ] {
            assert_eq!(pieces.encode(text), model.encode(text), "{text:?}");
        }
        assert_eq!(pieces.settings(), model.settings());
        assert_eq!(
            list_vocabulary(&TokenizerSource::Pieces(listed.clone())).unwrap(),
            listed
        );
    }
}
