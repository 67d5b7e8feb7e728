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

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of wire type 2 whose content and number are small.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("small");
        [&[number << 3 | 2, length][..], content].concat()
    }

    /// A field of wire type 0 with a number above 15, or below.
    fn varint(number: u8, value: u8) -> Vec<u8> {
        match number {
            0..16 => vec![number << 3, value],
            _ => vec![(number << 3) | 0x80, number >> 4, value],
        }
    }

    fn piece(text: &[u8], kind: u8) -> Vec<u8> {
        let score = [2 << 3 | 5, 0, 0, 128, 191];
        bytes(
            1,
            &[bytes(1, text), score.to_vec(), varint(3, kind)].concat(),
        )
    }

    fn pieces() -> Vec<u8> {
        [
            piece(b"<unk>", 2),
            piece(b"<s>", 3),
            piece(b"</s>", 3),
            piece(b"a", 1),
        ]
        .concat()
    }

    /// BPE, identity, no removal of spaces.
    fn settings() -> Vec<u8> {
        [bytes(2, &varint(3, 2)), bytes(3, &varint(4, 0))].concat()
    }

    fn message(file: &[u8]) -> String {
        read(file).expect_err("is refused").to_string()
    }

    #[test]
    fn pieces_scores_and_kinds_are_read() {
        let vocabulary = read(&[pieces(), settings()].concat()).expect("reads");
        assert_eq!(vocabulary.len(), 4);
        assert_eq!(vocabulary.text(3), Some("a"));
        assert_eq!(vocabulary.kind(2), Some(PieceKind::Control));
        assert_eq!(vocabulary.joined("a"), Some((3, -1.0)));
        assert_eq!(
            (vocabulary.unknown(), vocabulary.bos(), vocabulary.eos()),
            (0, 1, 2)
        );
        assert!(vocabulary.settings().dummy_prefix && !vocabulary.settings().byte_fallback);
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let extra = [
            bytes(9, b"future"),
            varint(200, 7),
            vec![7 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8],
            vec![7 << 3 | 5, 1, 2, 3, 4],
        ];
        let file = [extra.concat(), pieces(), settings()].concat();
        assert_eq!(read(&file).expect("reads").len(), 4);
    }

    #[test]
    fn a_setting_that_is_not_carried_out_is_refused() {
        let cases = [
            (bytes(2, &varint(3, 1)), "model_type is 1 (unigram)"),
            (
                bytes(2, &varint(24, 1)),
                "treat_whitespace_as_suffix is true",
            ),
            (
                bytes(3, &[bytes(1, b"nmt_nfkc"), bytes(2, b"map")].concat()),
                "nmt_nfkc",
            ),
            (bytes(3, &varint(4, 1)), "remove_extra_whitespaces is true"),
            (bytes(3, &varint(5, 0)), "escape_whitespaces is false"),
            (
                bytes(5, &bytes(2, b"map")),
                "denormalizer_spec is a character map",
            ),
        ];
        for (setting, expected) in cases {
            let found = message(&[pieces(), settings(), setting].concat());
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn defaults_of_the_format_count() {
        // Without a trainer's part the model is unigram, without a normaliser's it drops spaces.
        assert!(message(&pieces()).contains("unigram"));
        let found = message(&[pieces(), bytes(2, &varint(3, 2))].concat());
        assert!(found.contains("remove_extra_whitespaces"), "{found}");
    }

    #[test]
    fn a_broken_vocabulary_says_what_is_wrong() {
        let cases = [
            (vec![], "has no pieces"),
            (piece(b"a", 1), "no piece of kind unknown"),
            (
                [piece(b"<unk>", 2), piece(b"<s>", 1)].concat(),
                "no control piece \"<s>\"",
            ),
            (
                [pieces(), piece(b"a", 1)].concat(),
                "pieces 3 and 4 are both \"a\"",
            ),
            ([pieces(), piece(b"", 1)].concat(), "piece 4 is empty"),
            (
                [pieces(), piece(b"\xff", 1)].concat(),
                "piece 4 is not UTF-8",
            ),
            ([pieces(), piece(b"b", 7)].concat(), "piece 4 has kind 7"),
            (
                [pieces(), piece(b"<0x0a>", 6)].concat(),
                "piece 4 is a byte piece",
            ),
            (
                [pieces(), bytes(2, &varint(35, 1))].concat(),
                "no byte piece <0x00>",
            ),
            (
                [pieces(), vec![1 << 3 | 2, 9, 0]].concat(),
                "a field of 9 bytes, 1 are left",
            ),
            ([pieces(), vec![1 << 3 | 3]].concat(), "unknown wire type"),
            ([pieces(), vec![0, 0]].concat(), "field number 0"),
            ([pieces(), vec![0xff; 11]].concat(), "more than 64 bits"),
            (
                b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
                "not a SentencePiece",
            ),
        ];
        for (file, expected) in cases {
            let found = message(&[settings(), file].concat());
            assert!(found.contains(expected), "{found:?} has no {expected:?}");
        }
    }
}
