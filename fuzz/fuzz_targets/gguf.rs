//! The reader of GGUF files: the vocabulary in them, and the weights.
#![no_main]

use mobilevlm_checkpoint::{Bytes, Checkpoint, CheckpointError, gguf};
use mobilevlm_processor::{Piece, PieceKind, Tokenizer, TokenizerSettings};

/// The other file of a pair.
const LANGUAGE: &[u8] = include_bytes!("../../attacks/seeds/gguf/language.gguf");
const PROJECTOR: &[u8] = include_bytes!("../../attacks/seeds/gguf/projector.gguf");

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let Ok(header) = gguf::parse(file) else {
        return;
    };
    use_vocabulary(file, &header);

    let file = Bytes::copy_from_slice(file);
    let (language, projector) = (Bytes::from_static(LANGUAGE), Bytes::from_static(PROJECTOR));
    let checkpoint = match Checkpoint::from_gguf(file.clone(), Some(projector)) {
        Err(CheckpointError::ProjectorAsModel { .. }) => {
            Checkpoint::from_gguf(language, Some(file))
        }
        opened => opened,
    };
    let Ok(checkpoint) = checkpoint else {
        return;
    };
    for (name, tensor) in checkpoint.tensors.iter() {
        let numbers = tensor.to_f32().expect(name);
        assert_eq!(numbers.len(), tensor.elements());
        let panels = tensor.interleave().to_f32().expect(name);
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        assert!(numbers.iter().zip(&panels).all(same), "{name}");
    }
});

fn use_vocabulary(file: &[u8], header: &gguf::Gguf) {
    let Ok(pieces) = gguf::pieces(file, header) else {
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
}
