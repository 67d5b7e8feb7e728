//! `tokenizer.model`: a `ModelProto` of SentencePiece, in the wire format of protocol buffers.
//!
//! Source: `sentencepiece_model.proto`; field numbers are its. Fields with their default value are
//! left out, as the library leaves them out.

use mobilevlm_processor::{Piece, PieceKind};

/// The bytes of the file.
///
/// `coverage` and `longest` are written down as what the pieces were made with.
pub(super) fn model_file(pieces: &[Piece], coverage: f64, longest: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for piece in pieces {
        let mut message = Vec::new();
        bytes(&mut message, 1, piece.text.as_bytes());
        float(&mut message, 2, piece.score);
        if piece.kind != PieceKind::Normal {
            varint(&mut message, 3, piece.kind as u64);
        }
        bytes(&mut file, 1, &message);
    }
    let mut trainer = Vec::new();
    varint(&mut trainer, 3, 2); // model_type: BPE
    varint(&mut trainer, 4, pieces.len() as u64); // vocab_size
    float(&mut trainer, 10, coverage as f32); // character_coverage
    varint(&mut trainer, 20, longest as u64); // max_sentencepiece_length
    varint(&mut trainer, 25, 1); // split_digits
    varint(&mut trainer, 26, 1); // allow_whitespace_only_pieces
    varint(&mut trainer, 35, 1); // byte_fallback
    varint(&mut trainer, 40, 0); // unk_id
    varint(&mut trainer, 41, 1); // bos_id
    varint(&mut trainer, 42, 2); // eos_id
    varint(&mut trainer, 43, -1i64 as u64); // pad_id: none
    bytes(&mut trainer, 44, " \u{2047} ".as_bytes()); // unk_surface
    bytes(&mut file, 2, &trainer);
    let mut normalizer = Vec::new();
    bytes(&mut normalizer, 1, b"identity"); // name
    bytes(&mut normalizer, 2, b""); // precompiled_charsmap
    varint(&mut normalizer, 3, 1); // add_dummy_prefix
    varint(&mut normalizer, 4, 0); // remove_extra_whitespaces
    bytes(&mut file, 3, &normalizer);
    file
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(out: &mut Vec<u8>, field: u64, value: u64) {
    number(out, field << 3);
    number(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    number(out, field << 3 | 2);
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn float(out: &mut Vec<u8>, field: u64, value: f32) {
    number(out, field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}
