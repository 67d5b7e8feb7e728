//! Texts as counted words and characters.

use std::collections::BTreeMap;

use super::SPACE;

/// The longest word, in characters; longer ones are cut. Texts without spaces would otherwise
/// make every merge as dear as the longest of them.
const LONGEST_WORD: usize = 512;

/// Texts for a tokenizer, held as counts of their words: memory grows with the number of
/// different words, not with the texts.
///
/// A text is a line, or several: as in SentencePiece's files, a line break is never part of a
/// piece and is encoded as a byte.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// Words with their leading spaces (as U+2581), and how often they occur.
    words: BTreeMap<String, u64>,
    characters: BTreeMap<char, u64>,
    lines: u64,
}

impl Corpus {
    /// No texts.
    pub fn new() -> Corpus {
        Corpus::default()
    }

    /// Counts the words of a text.
    pub fn add(&mut self, text: &str) {
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            self.lines += 1;
            // SentencePiece's `add_dummy_prefix`.
            let mut word = String::from(SPACE);
            let mut length = 1;
            self.count(SPACE);
            let mut spaces_only = true;
            for c in line.chars().filter(|c| *c != '\0') {
                let c = if c == ' ' { SPACE } else { c };
                let begins = c == SPACE && !spaces_only;
                if begins || length == LONGEST_WORD {
                    *self.words.entry(std::mem::take(&mut word)).or_default() += 1;
                    length = 0;
                }
                spaces_only = c == SPACE;
                self.count(c);
                word.push(c);
                length += 1;
            }
            *self.words.entry(word).or_default() += 1;
        }
    }

    fn count(&mut self, c: char) {
        *self.characters.entry(c).or_default() += 1;
    }

    /// Lines that were counted; empty ones are not.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Different words, each with the spaces before it.
    pub fn words(&self) -> usize {
        self.words.len()
    }

    /// Words in the order of their bytes, and how often each occurs.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&str, u64)> {
        self.words
            .iter()
            .map(|(word, count)| (word.as_str(), *count))
    }

    /// The characters that make up at least `coverage` of all, the most frequent first, of equals
    /// the lower code point (SentencePiece: `required_chars_`). The space is always among them:
    /// as bytes, it would come back as U+2581.
    pub(super) fn alphabet(&self, coverage: f64) -> Vec<char> {
        let mut sorted: Vec<_> = self.characters.iter().map(|(c, n)| (*c, *n)).collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let all: u64 = sorted.iter().map(|(_, n)| n).sum();
        let mut taken = 0u64;
        let mut alphabet = Vec::new();
        for (c, n) in sorted {
            if coverage == 1.0 || (taken as f64) < coverage * all as f64 || c == SPACE {
                alphabet.push(c);
            }
            taken += n;
        }
        alphabet
    }
}
