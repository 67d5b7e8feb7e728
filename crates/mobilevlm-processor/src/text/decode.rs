//! Ids back to text.
//!
//! Three layers add up to what upstream shows, and each is kept apart here: the SentencePiece
//! library ([`Decoder`], source: `SentencePieceProcessor::Decode`), `LlamaTokenizer` of
//! transformers 4.33.1, which takes one more space from the front ([`DecodeStream`], source:
//! `convert_tokens_to_string`), and special tokens (`Tokenizer::decode`).

use super::tokenizer::Tokenizer;
use super::vocabulary::{PieceKind, SPACE, Vocabulary, parse_byte};

/// Turns the ids of one answer into text as they come, whole characters only.
///
/// All that it gave out, with what [`DecodeStream::finish`] gives at the end, is
/// `Tokenizer::decode(ids, true)`. Special tokens give nothing.
///
/// ```no_run
/// # let file = [];
/// # let tokenizer = mobilevlm_processor::Tokenizer::from_sentencepiece(&file)?;
/// let mut stream = tokenizer.decode_stream();
/// let mut line = String::with_capacity(100);
/// for id in [450, 6635] {
///     line.clear();
///     stream.push_into(id, &mut line); // allocates nothing while the text fits
///     print!("{line}");
/// }
/// # Ok::<(), mobilevlm_processor::TokenizerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DecodeStream {
    tokenizer: Tokenizer,
    decoder: Decoder,
    /// Whether no id but special ones has come.
    at_start: bool,
}

impl DecodeStream {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        let decoder = tokenizer.decoder();
        Self {
            tokenizer,
            decoder,
            at_start: true,
        }
    }

    /// Appends the characters that `id` completes. An id that is no piece gives nothing.
    pub fn push_into(&mut self, id: u32, out: &mut String) {
        let vocabulary = self.tokenizer.vocabulary();
        if vocabulary.is_special(id) {
            return;
        }
        if std::mem::take(&mut self.at_start) {
            self.decoder.first_piece(vocabulary, id, out);
        } else {
            self.decoder.piece(vocabulary, id, out);
        }
    }

    /// The characters that `id` completes, if there are any.
    pub fn push(&mut self, id: u32) -> Option<String> {
        let mut out = String::new();
        self.push_into(id, &mut out);
        (!out.is_empty()).then_some(out)
    }

    /// Appends one U+FFFD for each byte of a character that never became whole.
    pub fn finish_into(&mut self, out: &mut String) {
        self.decoder.finish(out);
    }

    /// The rest of the text, if there is one: see [`DecodeStream::finish_into`].
    pub fn finish(&mut self) -> Option<String> {
        let mut out = String::new();
        self.finish_into(&mut out);
        (!out.is_empty()).then_some(out)
    }
}

/// The SentencePiece library's decoding, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// Bytes of a character that is not complete yet.
    pending: [u8; 4],
    pending_length: usize,
    /// Whether any text was written, or bytes are pending.
    wrote: bool,
    /// Whether a leading space is still to be taken away, if the next piece has one.
    takes_space: bool,
}

impl Decoder {
    /// `takes_space`: whether one leading space is taken away, as where encoding puts one there.
    pub(super) fn new(takes_space: bool) -> Self {
        Self {
            pending: [0; 4],
            pending_length: 0,
            wrote: false,
            takes_space,
        }
    }

    /// What `LlamaTokenizer` makes of the first piece: it removes a leading space itself, so that
    /// the library may remove a second one, from this piece or the next.
    pub(super) fn first_piece(&mut self, vocabulary: &Vocabulary, id: u32, out: &mut String) {
        let Some(rest) = vocabulary
            .text(id)
            .and_then(|text| text.strip_prefix(SPACE))
        else {
            return self.piece(vocabulary, id, out);
        };
        match vocabulary.id(rest) {
            Some(id) => self.piece(vocabulary, id, out),
            // What is no piece is shown as it is spelled, U+2581 and all.
            None => self.write(rest, out),
        }
    }

    /// Appends what `id` shows.
    pub(super) fn piece(&mut self, vocabulary: &Vocabulary, id: u32, out: &mut String) {
        let (Some(text), Some(kind)) = (vocabulary.text(id), vocabulary.kind(id)) else {
            return;
        };
        match kind {
            PieceKind::Control => self.write("", out),
            PieceKind::Unknown => self.write(&vocabulary.settings().unknown_surface, out),
            PieceKind::Byte => {
                if let Some(byte) = parse_byte(text) {
                    self.byte(byte, out);
                }
            }
            PieceKind::Normal | PieceKind::UserDefined | PieceKind::Unused => {
                self.finish(out);
                let inner = match text.strip_prefix(SPACE) {
                    Some(inner) if self.takes_space && !self.wrote => {
                        self.takes_space = false;
                        inner
                    }
                    _ => text,
                };
                for (i, part) in inner.split(SPACE).enumerate() {
                    if i > 0 {
                        self.write(" ", out);
                    }
                    self.write(part, out);
                }
            }
        }
    }

    /// Appends one U+FFFD for each pending byte.
    pub(super) fn finish(&mut self, out: &mut String) {
        for _ in 0..std::mem::take(&mut self.pending_length) {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn write(&mut self, text: &str, out: &mut String) {
        self.finish(out);
        self.wrote |= !text.is_empty();
        out.push_str(text);
    }

    fn byte(&mut self, byte: u8, out: &mut String) {
        self.wrote = true;
        self.pending[self.pending_length] = byte;
        self.pending_length += 1;
        // Leaves at most three bytes: four are a character or no beginning of one.
        while self.pending_length > 0 {
            match str::from_utf8(&self.pending[..self.pending_length]) {
                Ok(character) => {
                    out.push_str(character);
                    self.pending_length = 0;
                }
                Err(error) if error.error_len().is_none() => return,
                Err(_) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    self.pending.copy_within(1.., 0);
                    self.pending_length -= 1;
                }
            }
        }
    }
}
