//! LLaMA's own 32,000 pieces, read from a GGUF file's keys, against what the SentencePiece library
//! recorded with them.

use std::fs;

use mobilevlm_checkpoint::{self as checkpoint, Access, TokenizerSource};
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};
use mobilevlm_testing::shared_golden;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    model: String,
    vocab: usize,
    texts: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

fn piece(piece: checkpoint::Piece) -> Piece {
    let kind = match piece.kind {
        checkpoint::PieceKind::Normal => PieceKind::Normal,
        checkpoint::PieceKind::Unknown => PieceKind::Unknown,
        checkpoint::PieceKind::Control => PieceKind::Control,
        checkpoint::PieceKind::UserDefined => PieceKind::UserDefined,
        checkpoint::PieceKind::Unused => PieceKind::Unused,
        checkpoint::PieceKind::Byte => PieceKind::Byte,
    };
    Piece {
        text: piece.text,
        score: piece.score,
        kind,
    }
}

#[test]
fn texts_equal_the_librarys() {
    let Some(folder) = shared_golden("tokenizer", "texts_equal_the_librarys") else {
        return;
    };
    let file = fs::read(folder.join("cases-llama.json")).expect("readable");
    let cases: Cases = serde_json::from_slice(&file).expect("as the README says");
    let source = TokenizerSource::open(&folder.join(cases.model), Access::default());
    let TokenizerSource::Pieces(vocabulary) = source.expect("opens") else {
        panic!("a GGUF file holds a list of pieces");
    };
    let pieces = vocabulary.pieces.into_iter().map(piece);
    let tokenizer =
        Tokenizer::from_pieces(pieces, TokenizerSettings::default()).expect("a vocabulary");
    assert_eq!(tokenizer.vocab_size(), cases.vocab);
    for Case { text, ids, decoded } in &cases.texts {
        assert_eq!(&tokenizer.encode_pieces(text), ids, "ids of {text:?}");
        assert_eq!(&tokenizer.decode_pieces(ids), decoded, "decoded {text:?}");
    }
    assert!(!cases.texts.is_empty());
}
