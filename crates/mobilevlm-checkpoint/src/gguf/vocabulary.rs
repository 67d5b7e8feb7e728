//! The vocabulary that a GGUF file carries.

use super::keys::tokenizer as keys;
use super::{Gguf, GgufError, Kind, Value};
use crate::tokenizer::{Piece, PieceKind, Vocabulary};

/// The most pieces of a vocabulary.
const PIECE_LIMIT: usize = 1 << 18;

/// The SentencePiece vocabulary of `file`, whose header is `gguf`: its [`pieces`], and the keys
/// beside them, which need not be there.
///
/// # Errors
/// [`GgufError::Key`] names the key that is absent or of another kind.
pub fn vocabulary(file: &[u8], gguf: &Gguf) -> Result<Vocabulary, GgufError> {
    let spare = Vocabulary::default();
    let pieces = pieces(file, gguf)?;
    let wrong = |key: &str, expected, found| GgufError::Key {
        key: key.to_owned(),
        expected,
        found,
    };
    let id = |key, spare| match gguf.get(key) {
        None => Ok(spare),
        Some(&Value::Whole(id)) if (0..pieces.len() as i128).contains(&id) => Ok(id as u32),
        other => Err(wrong(key, "the number of a piece", describe(other))),
    };
    let flag = |key, spare| match gguf.get(key) {
        None => Ok(spare),
        Some(&Value::Bool(flag)) => Ok(flag),
        other => Err(wrong(key, "true or false", describe(other))),
    };
    // Without a piece for every byte, llama.cpp has nothing to fall back to either.
    let has_bytes = pieces
        .iter()
        .filter(|piece| piece.kind == PieceKind::Byte)
        .count()
        == 256;
    let unknown_surface = match gguf.get(keys::UNKNOWN_SURFACE) {
        None => spare.unknown_surface,
        Some(Value::Text(range)) => {
            let text = file.get(range.clone()).unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        }
        other => return Err(wrong(keys::UNKNOWN_SURFACE, "a text", describe(other))),
    };
    Ok(Vocabulary {
        bos: id(keys::BOS, spare.bos)?,
        eos: id(keys::EOS, spare.eos)?,
        add_space_prefix: flag(keys::ADD_SPACE_PREFIX, spare.add_space_prefix)?,
        legacy: flag(keys::LEGACY, spare.legacy)?,
        byte_fallback: flag(keys::BYTE_FALLBACK, has_bytes)?,
        unknown_surface,
        pieces,
    })
}

/// The pieces of the SentencePiece vocabulary of `file`, whose header is `gguf`.
///
/// Keys: `tokenizer.ggml.model` (must be `llama`), `.tokens`, `.scores` and `.token_type`.
///
/// # Errors
/// [`GgufError::Key`] names the key that is absent or of another kind.
pub fn pieces(file: &[u8], gguf: &Gguf) -> Result<Vec<Piece>, GgufError> {
    let wrong = |key: &str, expected, found: String| GgufError::Key {
        key: key.to_owned(),
        expected,
        found,
    };
    let model = keys::MODEL;
    match gguf.get(model) {
        Some(Value::Text(range)) if file.get(range.clone()) == Some(b"llama") => {}
        Some(Value::Text(range)) => {
            let found = file.get(range.clone()).unwrap_or_default();
            let found = format!(
                "{:?}",
                String::from_utf8_lossy(&found[..found.len().min(40)])
            );
            return Err(wrong(
                model,
                "\"llama\": other tokenizers are not implemented",
                found,
            ));
        }
        other => return Err(wrong(model, "a text", describe(other))),
    }
    let array = |key: &str, expected, kind| match gguf.get(key) {
        Some(Value::Array(found, count, range)) if *found == kind => {
            Ok((*count, file.get(range.clone()).unwrap_or_default()))
        }
        other => Err(wrong(key, expected, describe(other))),
    };
    let tokens = keys::TOKENS;
    let (count, mut texts) = array(tokens, "an array of texts", Kind::Text)?;
    if count > PIECE_LIMIT {
        return Err(wrong(tokens, "at most 262144 texts", count.to_string()));
    }
    // Both have defaults in llama.cpp, which tokenise wrongly: they are insisted on.
    let (score_count, scores) = array(keys::SCORES, "an array of F32", Kind::F32)?;
    let (kind_count, kinds) = array(keys::KINDS, "an array of I32", Kind::I32)?;
    for (key, found) in [(keys::SCORES, score_count), (keys::KINDS, kind_count)] {
        if found != count {
            return Err(wrong(
                key,
                "as many values as tokens",
                format!("{found} instead of {count}"),
            ));
        }
    }
    let (scores, kinds) = (scores.as_chunks::<4>().0, kinds.as_chunks::<4>().0);
    let mut pieces = Vec::with_capacity(count);
    for (score, kind) in scores.iter().zip(kinds) {
        let text = next_text(&mut texts)
            .ok_or_else(|| wrong(tokens, "texts", "other bytes".to_owned()))?;
        let text = String::from_utf8(text.to_vec()).map_err(|error| {
            wrong(
                tokens,
                "UTF-8",
                format!("{:?}", String::from_utf8_lossy(error.as_bytes())),
            )
        })?;
        let number = i32::from_le_bytes(*kind);
        let kind = PieceKind::from_number(number)
            .ok_or_else(|| wrong(keys::KINDS, "a number from 1 to 6", number.to_string()))?;
        pieces.push(Piece {
            text,
            score: f32::from_le_bytes(*score),
            kind,
        });
    }
    Ok(pieces)
}

/// Takes one text, a length of eight bytes and so many more, from the front.
fn next_text<'a>(texts: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = texts.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    *texts = rest;
    Some(text)
}

fn describe(value: Option<&Value>) -> String {
    match value {
        None => "no such key".to_owned(),
        Some(Value::Array(kind, count, _)) => format!("{count} values of {kind:?}"),
        Some(Value::Text(_)) => "a text".to_owned(),
        Some(other) => format!("{other:?}"),
    }
}
