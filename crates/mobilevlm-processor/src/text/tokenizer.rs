//! The tokenizer as the rest of the program uses it.

use std::sync::Arc;

use super::decode::{DecodeStream, Decoder};
use super::model_file;
use super::vocabulary::{Piece, SPACE, TokenizerSettings, Vocabulary, VocabularyBuilder};
use super::{TokenizerError, bpe};

/// Upstream's mark for the place of a picture (`DEFAULT_IMAGE_TOKEN` in `constants.py`).
pub(super) const IMAGE: &str = "<image>";

/// Text to ids and back as upstream's tokenizer does it: `LlamaTokenizer` of transformers 4.33.1
/// (the slow one) over the SentencePiece library 0.1.99. Cloning is cheap.
///
/// ```no_run
/// let file = std::fs::read("tokenizer.model")?;
/// let tokenizer = mobilevlm_processor::Tokenizer::from_sentencepiece(&file)?;
/// let ids = tokenizer.encode("What is in this picture?");
/// assert_eq!(ids[0], tokenizer.bos());
/// assert_eq!(tokenizer.decode(&ids, true), "What is in this picture?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    legacy: bool,
}

/// One place of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptItem {
    /// A token of text.
    Token(u32),
    /// All the tokens of the next picture (upstream's `IMAGE_TOKEN_INDEX`, -200).
    Picture,
}

impl Tokenizer {
    /// Reads a SentencePiece model: the content of `tokenizer.model`.
    ///
    /// # Errors
    /// A file that is damaged, is no SentencePiece model, or asks for something else than BPE
    /// with the settings of LLaMA's family.
    pub fn from_sentencepiece(file: &[u8]) -> Result<Self, TokenizerError> {
        Ok(Self::new(model_file::read(file)?))
    }

    /// Takes pieces in the order of their ids, as a GGUF file holds them.
    ///
    /// # Errors
    /// A vocabulary with an empty piece, two equal ones, no unknown piece, no `<s>` or `</s>`, or
    /// fewer than 256 byte pieces where `settings` ask for them.
    pub fn from_pieces(
        pieces: impl IntoIterator<Item = Piece>,
        settings: TokenizerSettings,
    ) -> Result<Self, TokenizerError> {
        let mut builder = VocabularyBuilder::default();
        for piece in pieces {
            builder.push(&piece.text, piece.score, piece.kind)?;
        }
        Ok(Self::new(builder.build(settings)?))
    }

    fn new(vocabulary: Vocabulary) -> Self {
        Self {
            vocabulary: Arc::new(vocabulary),
            legacy: true,
        }
    }

    /// The same tokenizer with or without the legacy rule; it begins with it, as upstream does.
    ///
    /// With it, each stretch of a text between control tokens is encoded as if a space stood
    /// before it; without it only the first one. A checkpoint's `tokenizer_config.json` decides
    /// with its key `legacy`, and the rule holds where the key is absent.
    pub fn with_legacy(self, legacy: bool) -> Self {
        Self { legacy, ..self }
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Decodes as `LlamaTokenizer` has the library do it: without the legacy rule it switches off
    /// the model's dummy prefix, and with it the removal of a space.
    pub(super) fn decoder(&self) -> Decoder {
        Decoder::new(self.legacy && self.vocabulary.settings().dummy_prefix)
    }

    /// How many pieces there are; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The id that begins a prompt.
    pub fn bos(&self) -> u32 {
        self.vocabulary.bos()
    }

    /// The id that ends an answer.
    pub fn eos(&self) -> u32 {
        self.vocabulary.eos()
    }

    /// The id of what is in no piece; upstream pads with it.
    pub fn unk(&self) -> u32 {
        self.vocabulary.unknown()
    }

    /// The piece `id`, with U+2581 for a space, if there is one.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.vocabulary.text(id)
    }

    /// The pieces in the order of their ids, as [`Tokenizer::from_pieces`] takes them.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.vocabulary.pieces()
    }

    /// What the vocabulary's owner says beside its pieces.
    pub fn settings(&self) -> &TokenizerSettings {
        self.vocabulary.settings()
    }

    /// Whether the legacy rule holds; see [`Tokenizer::with_legacy`].
    pub fn legacy(&self) -> bool {
        self.legacy
    }

    /// The ids of `text` as upstream gives them: `<s>` in front, and `<s>`, `</s>`, `<unk>` inside
    /// the text are control tokens. [`Tokenizer::with_legacy`] says how what follows them begins.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = vec![self.bos()];
        self.append(text, &mut ids);
        ids
    }

    /// The ids of `text` with `<s>` in front and nothing in the text taken for a control token.
    pub fn encode_literal(&self, text: &str) -> Vec<u32> {
        let mut ids = vec![self.bos()];
        self.append_stretch(text, true, &mut ids);
        ids
    }

    /// The ids of `text` as the SentencePiece library alone gives them.
    pub fn encode_pieces(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        self.append_pieces(text, self.vocabulary.settings().dummy_prefix, &mut ids);
        ids
    }

    /// The items of a prompt in which `<image>` marks each picture; control tokens are parsed.
    ///
    /// Upstream: `tokenizer_image_token` in `utils.py`: what lies between pictures is encoded by
    /// itself, with `<s>` before the first stretch only.
    pub fn encode_prompt(&self, prompt: &str) -> Vec<PromptItem> {
        let mut ids = vec![self.bos()];
        let mut items = Vec::new();
        for (i, stretch) in prompt.split(IMAGE).enumerate() {
            if i > 0 {
                items.push(PromptItem::Picture);
            }
            self.append(stretch, &mut ids);
            items.extend(ids.drain(..).map(PromptItem::Token));
        }
        items
    }

    /// The text of `ids`, with special tokens (`<s>`, `</s>`, `<unk>`) left out or spelled.
    ///
    /// A byte that belongs to no whole character becomes U+FFFD, each by itself; an id that is no
    /// piece gives nothing. Where special tokens are spelled, upstream puts a space before the
    /// text between two of them: `a</s>b` comes back as `<s> a</s>b`.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut out = String::new();
        if skip_special {
            let mut stream = self.decode_stream();
            for &id in ids {
                stream.push_into(id, &mut out);
            }
            stream.finish_into(&mut out);
        } else {
            self.decode_with_special(ids, &mut out);
        }
        out
    }

    /// The text of `ids` as the SentencePiece library alone gives it.
    pub fn decode_pieces(&self, ids: &[u32]) -> String {
        let mut out = String::new();
        let mut decoder = Decoder::new(self.vocabulary.settings().dummy_prefix);
        for &id in ids {
            decoder.piece(&self.vocabulary, id, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    /// Decodes ids as they come; special tokens are left out.
    pub fn decode_stream(&self) -> DecodeStream {
        DecodeStream::new(self.clone())
    }

    /// Source: `LlamaTokenizer.convert_tokens_to_string`.
    fn decode_with_special(&self, ids: &[u32], out: &mut String) {
        let vocabulary = &*self.vocabulary;
        let mut stretch = String::new();
        let mut decoder = self.decoder();
        let mut after_special = false;
        for (i, &id) in ids.iter().enumerate() {
            if vocabulary.is_special(id) {
                decoder.finish(&mut stretch);
                if !after_special && i > 0 && self.legacy {
                    out.push(' ');
                }
                out.push_str(&stretch);
                out.push_str(vocabulary.text(id).unwrap_or_default());
                stretch.clear();
                decoder = self.decoder();
            } else if i == 0 {
                decoder.first_piece(vocabulary, id, &mut stretch);
            } else {
                decoder.piece(vocabulary, id, &mut stretch);
            }
            after_special = vocabulary.is_special(id);
        }
        decoder.finish(&mut stretch);
        out.push_str(&stretch);
    }

    /// Appends `text` with control tokens parsed. Source: `PreTrainedTokenizer.tokenize`.
    fn append(&self, text: &str, ids: &mut Vec<u32>) {
        let vocabulary = &*self.vocabulary;
        let specials = [vocabulary.bos(), vocabulary.eos(), vocabulary.unknown()];
        let mut start = 0;
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let special = specials.into_iter().find_map(|id| {
                let spelled = vocabulary.text(id)?;
                text[at..]
                    .starts_with(spelled)
                    .then_some((id, spelled.len()))
            });
            match special {
                Some((id, length)) => {
                    self.append_stretch(&text[start..at], start == 0, ids);
                    ids.push(id);
                    at += length;
                    start = at;
                }
                None => at += character.len_utf8(),
            }
        }
        self.append_stretch(&text[start..], start == 0, ids);
    }

    /// Appends a stretch without control tokens; `first` if it begins a text, which is a prompt
    /// or what lies between two pictures. Source: `LlamaTokenizer.tokenize`.
    pub(super) fn append_stretch(&self, text: &str, first: bool, ids: &mut Vec<u32>) {
        let prefix = if self.legacy {
            self.vocabulary.settings().dummy_prefix
        } else {
            first
        };
        self.append_pieces(text, prefix, ids);
    }

    /// The normaliser's part (a space in front, U+2581 for spaces), and BPE.
    fn append_pieces(&self, text: &str, prefix: bool, ids: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let mut normalised = String::with_capacity(text.len() + text.len() / 2);
        if prefix {
            normalised.push(SPACE);
        }
        normalised.extend(text.chars().map(|c| if c == ' ' { SPACE } else { c }));
        bpe::encode(&self.vocabulary, &normalised, ids);
    }
}
