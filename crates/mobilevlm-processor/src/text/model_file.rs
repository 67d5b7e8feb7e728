//! Reads a SentencePiece model file (`tokenizer.model`).
//!
//! Source: `sentencepiece_model.proto` of the SentencePiece project; numbers below are its field
//! numbers. Fields that do not matter for encoding and decoding are skipped.

use super::TokenizerError;
use super::protobuf::{Message, Value};
use super::vocabulary::{PieceKind, TokenizerSettings, Vocabulary, VocabularyBuilder};

/// `model_type` 2 of `TrainerSpec`.
const BPE: u64 = 2;

/// The vocabulary in `file`.
pub(super) fn read(file: &[u8]) -> Result<Vocabulary, TokenizerError> {
    let mut spec = Spec::default();
    let mut pieces = VocabularyBuilder::default();
    for field in Message::file(file) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(message)) => add_piece(&mut pieces, message)?,
            (2, Value::Bytes(message)) => spec.read_trainer(message)?,
            (3, Value::Bytes(message)) => spec.read_normalizer(message)?,
            (5, Value::Bytes(message)) => spec.read_denormalizer(message)?,
            _ => {}
        }
    }
    if pieces.is_empty() {
        return Err(TokenizerError::Missing {
            what: "pieces: it is no SentencePiece model".into(),
        });
    }
    pieces.build(spec.settings()?)
}

fn add_piece(pieces: &mut VocabularyBuilder, message: Message<'_>) -> Result<(), TokenizerError> {
    let id = pieces.len();
    let (mut text, mut score, mut kind) = (&[][..], 0.0, 1);
    for field in message {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => text = bytes.bytes(),
            (2, Value::Fixed32(bytes)) => score = f32::from_le_bytes(bytes),
            (3, Value::Varint(number)) => kind = number,
            _ => {}
        }
    }
    let text = str::from_utf8(text).map_err(|source| TokenizerError::NotText { id, source })?;
    let kind = PieceKind::from_number(kind).ok_or(TokenizerError::Kind { id, found: kind })?;
    pieces.push(text, score, kind)
}

/// What the file says beside its pieces, with the defaults of the format.
struct Spec {
    model_type: u64,
    byte_fallback: bool,
    whitespace_as_suffix: bool,
    bos: Option<String>,
    eos: Option<String>,
    unknown_surface: Option<String>,
    normalizer: String,
    character_map: bool,
    dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            model_type: 1,
            byte_fallback: false,
            whitespace_as_suffix: false,
            bos: None,
            eos: None,
            unknown_surface: None,
            normalizer: String::new(),
            character_map: false,
            dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
        }
    }
}

impl Spec {
    fn read_trainer(&mut self, message: Message<'_>) -> Result<(), TokenizerError> {
        for field in message {
            let field = field?;
            match (field.number, field.value) {
                (3, Value::Varint(number)) => self.model_type = number,
                (24, Value::Varint(number)) => self.whitespace_as_suffix = number != 0,
                (35, Value::Varint(number)) => self.byte_fallback = number != 0,
                (44, Value::Bytes(text)) => self.unknown_surface = Some(lossy(text)),
                (46, Value::Bytes(text)) => self.bos = Some(lossy(text)),
                (47, Value::Bytes(text)) => self.eos = Some(lossy(text)),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, message: Message<'_>) -> Result<(), TokenizerError> {
        for field in message {
            let field = field?;
            match (field.number, field.value) {
                (1, Value::Bytes(text)) => self.normalizer = lossy(text),
                (2, Value::Bytes(map)) => self.character_map |= !map.bytes().is_empty(),
                (3, Value::Varint(number)) => self.dummy_prefix = number != 0,
                (4, Value::Varint(number)) => self.remove_extra_whitespaces = number != 0,
                (5, Value::Varint(number)) => self.escape_whitespaces = number != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_denormalizer(&mut self, message: Message<'_>) -> Result<(), TokenizerError> {
        for field in message {
            let field = field?;
            match (field.number, field.value) {
                (2, Value::Bytes(map)) if !map.bytes().is_empty() => {
                    return Err(unsupported("denormalizer_spec", "a character map", "none"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The settings, if all of them can be carried out.
    fn settings(self) -> Result<TokenizerSettings, TokenizerError> {
        if self.model_type != BPE {
            let found = match self.model_type {
                1 => "1 (unigram)".to_owned(),
                3 => "3 (word)".to_owned(),
                4 => "4 (character)".to_owned(),
                other => other.to_string(),
            };
            return Err(unsupported("model_type", found, "2 (BPE)"));
        }
        if self.character_map {
            let found = format!("{:?} with a character map", self.normalizer);
            return Err(unsupported("normalizer", found, "\"identity\""));
        }
        if self.remove_extra_whitespaces {
            return Err(unsupported("remove_extra_whitespaces", "true", "false"));
        }
        if !self.escape_whitespaces {
            return Err(unsupported("escape_whitespaces", "false", "true"));
        }
        if self.whitespace_as_suffix {
            return Err(unsupported("treat_whitespace_as_suffix", "true", "false"));
        }
        let defaults = TokenizerSettings::default();
        Ok(TokenizerSettings {
            bos: self.bos.unwrap_or(defaults.bos),
            eos: self.eos.unwrap_or(defaults.eos),
            unknown_surface: self.unknown_surface.unwrap_or(defaults.unknown_surface),
            dummy_prefix: self.dummy_prefix,
            byte_fallback: self.byte_fallback,
        })
    }
}

fn lossy(text: Message<'_>) -> String {
    String::from_utf8_lossy(text.bytes()).into_owned()
}

fn unsupported(
    setting: &'static str,
    found: impl Into<String>,
    expected: &'static str,
) -> TokenizerError {
    TokenizerError::Unsupported {
        setting,
        found: found.into(),
        expected,
    }
}
