//! The reader of GGUF files and of the vocabulary in them.
#![no_main]

use mobilevlm_checkpoint::gguf;
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let Ok(header) = gguf::parse(file) else {
        return;
    };
    let Ok(pieces) = gguf::pieces(file, &header) else {
        return;
    };
    let pieces = pieces.into_iter().filter_map(|piece| {
        let kind = PieceKind::from_number(piece.kind as u64 + 1)?;
        Some(Piece {
            text: piece.text,
            score: piece.score,
            kind,
        })
    });
    let settings = TokenizerSettings {
        byte_fallback: false,
        ..TokenizerSettings::default()
    };
    if let Ok(tokenizer) = Tokenizer::from_pieces(pieces, settings) {
        mobilevlm_fuzz::use_tokenizer(&tokenizer);
    }
});
