//! The pieces of a tokenizer, looked up by id and by text.

use std::hash::{BuildHasher, RandomState};

use super::TokenizerError;

/// How SentencePiece writes a space.
pub(super) const SPACE: char = '▁';

/// Far above any vocabulary of the family; keeps what a hostile file can make us allocate small.
const MOST_PIECES: usize = 1 << 19;

/// One piece, as callers hand it over.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its characters, with U+2581 for a space.
    pub text: String,
    /// Larger is joined earlier.
    pub score: f32,
    /// What it is for.
    pub kind: PieceKind,
}

/// What a piece is for. The numbers are those of SentencePiece and of GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PieceKind {
    /// Joined from characters.
    Normal = 1,
    /// Stands for what no piece covers.
    Unknown = 2,
    /// Never made from text, and invisible, such as `<s>`.
    Control = 3,
    /// Always found whole in a text.
    UserDefined = 4,
    /// Taken apart again where it was joined.
    Unused = 5,
    /// One byte of a character that no piece covers, spelled `<0x0A>`.
    Byte = 6,
}

impl PieceKind {
    /// The kind with this number in SentencePiece models and GGUF files.
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }

    /// Whether neighbouring symbols may be joined to such a piece.
    fn is_joined(self) -> bool {
        matches!(self, Self::Normal | Self::UserDefined | Self::Unused)
    }
}

/// What a vocabulary's owner says beside its pieces. The default is LLaMA's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerSettings {
    /// The text of the piece that begins a prompt.
    pub bos: String,
    /// The text of the piece that ends an answer.
    pub eos: String,
    /// What the library alone shows for the unknown piece.
    pub unknown_surface: String,
    /// Whether a text is encoded as if a space stood before it (`add_dummy_prefix`).
    pub dummy_prefix: bool,
    /// Whether a character that is no piece becomes bytes instead of the unknown piece.
    pub byte_fallback: bool,
}

impl Default for TokenizerSettings {
    fn default() -> Self {
        Self {
            bos: "<s>".to_owned(),
            eos: "</s>".to_owned(),
            unknown_surface: " \u{2047} ".to_owned(),
            dummy_prefix: true,
            byte_fallback: true,
        }
    }
}

/// Collects pieces in the order of their ids.
#[derive(Default)]
pub(super) struct VocabularyBuilder {
    entries: Vec<Entry>,
    texts: String,
}

impl VocabularyBuilder {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(
        &mut self,
        text: &str,
        score: f32,
        kind: PieceKind,
    ) -> Result<(), TokenizerError> {
        let id = self.entries.len();
        if text.is_empty() {
            return Err(TokenizerError::EmptyPiece { id });
        }
        if id == MOST_PIECES {
            return Err(TokenizerError::TooLarge {
                limit: MOST_PIECES,
                what: "pieces",
            });
        }
        self.texts.push_str(text);
        let end = u32::try_from(self.texts.len()).map_err(|_| TokenizerError::TooLarge {
            limit: u32::MAX as usize,
            what: "bytes of text",
        })?;
        self.entries.push(Entry { end, score, kind });
        Ok(())
    }

    pub(super) fn build(self, settings: TokenizerSettings) -> Result<Vocabulary, TokenizerError> {
        let mut vocabulary = Vocabulary {
            slots: vec![Slot::FREE; (self.entries.len() * 2).next_power_of_two()],
            seed: RandomState::new().hash_one(0),
            entries: self.entries,
            texts: self.texts,
            settings,
            unknown: NO_ID,
            bos: NO_ID,
            eos: NO_ID,
            bytes: [NO_ID; 256],
            user_lengths: Vec::new(),
            words: true,
        };
        vocabulary.index()?;
        vocabulary.find_special()?;
        Ok(vocabulary)
    }
}

/// A checked vocabulary. Texts lie in one string, so a piece costs 12 bytes and its characters.
#[derive(Debug)]
pub(super) struct Vocabulary {
    entries: Vec<Entry>,
    texts: String,
    /// Ids at the place that their text's hash says, or the next free one.
    slots: Vec<Slot>,
    seed: u64,
    settings: TokenizerSettings,
    unknown: u32,
    bos: u32,
    eos: u32,
    bytes: [u32; 256],
    /// Lengths in bytes of user-defined pieces, longest first, each once.
    user_lengths: Vec<usize>,
    words: bool,
}

#[derive(Debug)]
struct Entry {
    /// Where the text ends in `texts`; it begins where the one before ends.
    end: u32,
    score: f32,
    kind: PieceKind,
}

/// A place of the table. Most texts that are asked for are no pieces: the tag, bits of the hash
/// that do not choose the place, says so without a look at the piece.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    id: u32,
}

impl Slot {
    const FREE: Self = Self { tag: 0, id: NO_ID };
}

/// No piece: ids are far smaller.
const NO_ID: u32 = u32::MAX;

impl Vocabulary {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bos(&self) -> u32 {
        self.bos
    }

    pub(super) fn eos(&self) -> u32 {
        self.eos
    }

    pub(super) fn unknown(&self) -> u32 {
        self.unknown
    }

    pub(super) fn settings(&self) -> &TokenizerSettings {
        &self.settings
    }

    /// Whether upstream's tokenizer counts `id` as special.
    pub(super) fn is_special(&self, id: u32) -> bool {
        id == self.bos || id == self.eos || id == self.unknown
    }

    /// The text of `id`, if there is such a piece.
    pub(super) fn text(&self, id: u32) -> Option<&str> {
        let id = id as usize;
        let end = self.entries.get(id)?.end as usize;
        let start = if id == 0 {
            0
        } else {
            self.entries[id - 1].end as usize
        };
        Some(&self.texts[start..end])
    }

    /// The kind of `id`, if there is such a piece.
    pub(super) fn kind(&self, id: u32) -> Option<PieceKind> {
        self.entries.get(id as usize).map(|entry| entry.kind)
    }

    /// Copies of all pieces, in the order of their ids.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> {
        let starts = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.end as usize));
        self.entries.iter().zip(starts).map(|(entry, start)| Piece {
            text: self.texts[start..entry.end as usize].to_owned(),
            score: entry.score,
            kind: entry.kind,
        })
    }

    /// The id of the piece with this text, of any kind.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        let hash = self.hash(text);
        let mut place = self.place(hash);
        loop {
            let Slot { tag, id } = self.slots[place];
            if id == NO_ID {
                return None;
            }
            if tag == tag_of(hash) && self.text(id) == Some(text) {
                return Some(id);
            }
            place = self.place(place as u64 + 1);
        }
    }

    /// Id and score of the piece that symbols may be joined to, if `text` is one.
    pub(super) fn joined(&self, text: &str) -> Option<(u32, f32)> {
        let id = self.id(text)?;
        let entry = &self.entries[id as usize];
        entry.kind.is_joined().then_some((id, entry.score))
    }

    /// The piece of each byte, where characters fall back to bytes.
    pub(super) fn bytes(&self) -> Option<&[u32; 256]> {
        self.settings.byte_fallback.then_some(&self.bytes)
    }

    /// The longest user-defined piece that `text` begins with, as its length in bytes.
    pub(super) fn user_defined_prefix(&self, text: &str) -> Option<usize> {
        self.user_lengths.iter().copied().find(|&length| {
            let id = text.get(..length).and_then(|prefix| self.id(prefix));
            id.is_some_and(|id| self.kind(id) == Some(PieceKind::UserDefined))
        })
    }

    /// Whether a text may be encoded word by word, a word being a run of spaces and what follows
    /// up to the next space: true where no piece reaches from one word into the next.
    pub(super) fn splits_into_words(&self) -> bool {
        self.words
    }

    /// Multiplies and folds eight bytes at a time. The standard library's hasher takes half of
    /// the time of encoding; like it, this one has a random seed, so that a file cannot be made
    /// whose pieces all meet in one place.
    fn hash(&self, text: &str) -> u64 {
        let mut hash = self.seed ^ text.len() as u64;
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            // 2^64 over the golden ratio: odd, with its bits well mixed.
            let product = u128::from(hash ^ u64::from_le_bytes(word)) * 0x9e37_79b9_7f4a_7c15;
            hash = product as u64 ^ (product >> 64) as u64;
        }
        hash
    }

    fn place(&self, hash: u64) -> usize {
        // The table is a power of two long, so low bits are a place in it.
        hash as usize & (self.slots.len() - 1)
    }

    fn index(&mut self) -> Result<(), TokenizerError> {
        for id in 0..self.entries.len() as u32 {
            let text = self.text(id).unwrap_or_default();
            if let Some(first) = self.id(text) {
                let text = text.to_owned();
                return Err(TokenizerError::Duplicate {
                    first,
                    second: id,
                    text,
                });
            }
            let kind = self.entries[id as usize].kind;
            let crosses_words = text.trim_start_matches(SPACE).contains(SPACE);
            // Which way an unused piece is taken apart again depends on the whole text.
            let keeps_words = kind != PieceKind::Unused && !(kind.is_joined() && crosses_words);
            let user_length = (kind == PieceKind::UserDefined).then_some(text.len());
            let byte = (kind == PieceKind::Byte).then(|| (parse_byte(text), text.to_owned()));

            let hash = self.hash(text);
            let mut place = self.place(hash);
            while self.slots[place].id != NO_ID {
                place = self.place(place as u64 + 1);
            }
            self.slots[place] = Slot {
                tag: tag_of(hash),
                id,
            };
            self.words &= keeps_words;
            self.user_lengths.extend(user_length);
            match byte {
                Some((Some(byte), _)) => self.bytes[usize::from(byte)] = id,
                Some((None, text)) => return Err(TokenizerError::BytePiece { id, text }),
                None => {}
            }
        }
        self.user_lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.user_lengths.dedup();
        Ok(())
    }

    fn find_special(&mut self) -> Result<(), TokenizerError> {
        let unknown = self
            .entries
            .iter()
            .position(|entry| entry.kind == PieceKind::Unknown);
        let missing = |what: String| TokenizerError::Missing { what };
        self.unknown = unknown.ok_or_else(|| missing("piece of kind unknown".into()))? as u32;
        let special = |text: &str| {
            self.id(text)
                .filter(|&id| self.kind(id) == Some(PieceKind::Control))
                .ok_or_else(|| missing(format!("control piece {text:?}")))
        };
        let (bos, eos) = (special(&self.settings.bos)?, special(&self.settings.eos)?);
        (self.bos, self.eos) = (bos, eos);
        let lost = self.bytes.iter().position(|&id| id == NO_ID);
        if let Some(byte) = lost.filter(|_| self.settings.byte_fallback) {
            return Err(missing(format!(
                "byte piece <0x{byte:02X}>, which byte fallback needs"
            )));
        }
        Ok(())
    }
}

fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The byte that a piece spelled `<0x0A>` stands for.
pub(super) fn parse_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_upper_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    (digits.len() == 2 && digits.bytes().all(is_upper_hex))
        .then(|| u8::from_str_radix(digits, 16).ok())?
}
