//! Joins the characters of a text to pieces.
//!
//! Again and again the adjacent pair is joined whose concatenation is the piece with the highest
//! score, the leftmost on a tie. A queue of candidates and a linked list of symbols make that
//! O(n log n). Source: `bpe::Model::SampleEncode` of the SentencePiece library.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::vocabulary::{PieceKind, SPACE, Vocabulary};

/// Appends the ids of `text`, in which `SPACE` stands for each space.
pub(super) fn encode(vocabulary: &Vocabulary, text: &str, ids: &mut Vec<u32>) {
    let mut joiner = Joiner {
        vocabulary,
        symbols: Vec::new(),
        candidates: BinaryHeap::new(),
        unused: HashMap::new(),
        after_unknown: false,
    };
    if !vocabulary.splits_into_words() {
        joiner.encode(text, ids);
        return;
    }
    // Words are small: the lists stay in the cache, and memory does not grow with the text.
    let mut rest = text;
    while !rest.is_empty() {
        let spaces = rest.len() - rest.trim_start_matches(SPACE).len();
        let end = rest[spaces..]
            .find(SPACE)
            .map_or(rest.len(), |letters| spaces + letters);
        let (word, after) = rest.split_at(end);
        joiner.encode(word, ids);
        rest = after;
    }
}

struct Joiner<'a> {
    vocabulary: &'a Vocabulary,
    symbols: Vec<Symbol>,
    candidates: BinaryHeap<Candidate>,
    /// For each unused piece that could be joined: the length of its left part.
    unused: HashMap<u32, usize>,
    /// Whether the last id stands for unknown characters: a run of those is one id.
    after_unknown: bool,
}

/// A stretch of the text that is or may become a piece; an empty one is joined to another.
#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    end: usize,
    previous: usize,
    next: usize,
    /// A user-defined piece is not joined to anything.
    frozen: bool,
}

/// No symbol, in a link.
const NONE: usize = usize::MAX;

/// Two neighbours that make a piece. Ordered so that the largest is joined first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// The score, mapped to an integer of the same order.
    rank: i32,
    left: Reverse<usize>,
    right: usize,
    /// Bytes of both; tells whether one of them has changed since.
    length: usize,
}

impl Joiner<'_> {
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) {
        self.split(text);
        for right in 1..self.symbols.len() {
            self.add_candidate(text, right - 1, right);
        }
        while let Some(Candidate {
            left: Reverse(left),
            right,
            length,
            ..
        }) = self.candidates.pop()
        {
            let (a, b) = (self.symbols[left], self.symbols[right]);
            if a.start == a.end || b.start == b.end || b.end - a.start != length {
                continue;
            }
            self.symbols[left] = Symbol {
                end: b.end,
                next: b.next,
                ..a
            };
            self.symbols[right].end = b.start;
            if let Some(next) = self.symbols.get_mut(b.next) {
                next.previous = left;
            }
            self.add_candidate(text, a.previous, left);
            self.add_candidate(text, left, b.next);
        }
        let mut at = 0;
        while let Some(&symbol) = self.symbols.get(at) {
            self.emit(&text[symbol.start..symbol.end], ids);
            at = symbol.next;
        }
    }

    /// One symbol per character or user-defined piece.
    fn split(&mut self, text: &str) {
        self.symbols.clear();
        let mut start = 0;
        while let Some(character) = text[start..].chars().next() {
            let user_defined = self.vocabulary.user_defined_prefix(&text[start..]);
            let end = start + user_defined.unwrap_or(character.len_utf8());
            let at = self.symbols.len();
            self.symbols.push(Symbol {
                start,
                end,
                previous: at.wrapping_sub(1),
                next: if end == text.len() { NONE } else { at + 1 },
                frozen: user_defined.is_some(),
            });
            start = end;
        }
    }

    fn add_candidate(&mut self, text: &str, left: usize, right: usize) {
        let (Some(a), Some(b)) = (self.symbols.get(left), self.symbols.get(right)) else {
            return;
        };
        if a.frozen || b.frozen {
            return;
        }
        let Some((id, score)) = self.vocabulary.joined(&text[a.start..b.end]) else {
            return;
        };
        if self.vocabulary.kind(id) == Some(PieceKind::Unused) {
            self.unused.insert(id, a.end - a.start);
        }
        let length = b.end - a.start;
        self.candidates.push(Candidate {
            rank: rank(score),
            left: Reverse(left),
            right,
            length,
        });
    }

    /// Appends the id or ids of one finished symbol.
    fn emit(&mut self, symbol: &str, ids: &mut Vec<u32>) {
        // A list instead of recursion: how deep unused pieces nest is up to the file.
        let mut later = Vec::new();
        let mut part = symbol;
        loop {
            let id = self
                .vocabulary
                .id(part)
                .filter(|&id| id != self.vocabulary.unknown());
            if let Some(&left) = id.and_then(|id| self.unused.get(&id)) {
                let (left, right) = part.split_at(left);
                later.push(right);
                part = left;
                continue;
            }
            match (id, self.vocabulary.bytes()) {
                (Some(id), _) => ids.push(id),
                (None, Some(bytes)) => ids.extend(part.bytes().map(|b| bytes[usize::from(b)])),
                (None, None) if self.after_unknown => {}
                (None, None) => ids.push(self.vocabulary.unknown()),
            }
            self.after_unknown = id.is_none();
            match later.pop() {
                Some(next) => part = next,
                None => return,
            }
        }
    }
}

/// An integer that is ordered as `score` is; 0 and -0 are the same.
fn rank(score: f32) -> i32 {
    let bits = (score + 0.0).to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::vocabulary::VocabularyBuilder;
    use crate::text::{Piece, TokenizerSettings};
    use proptest::prelude::*;

    fn piece(text: &str, score: f32, kind: PieceKind) -> Piece {
        Piece {
            text: text.to_owned(),
            score,
            kind,
        }
    }

    /// A vocabulary with `pieces` from id 3 on, without byte fallback.
    fn vocabulary(pieces: &[Piece]) -> Vocabulary {
        let mut builder = VocabularyBuilder::default();
        builder
            .push("<unk>", 0.0, PieceKind::Unknown)
            .expect("fits");
        builder.push("<s>", 0.0, PieceKind::Control).expect("fits");
        builder.push("</s>", 0.0, PieceKind::Control).expect("fits");
        for piece in pieces {
            builder
                .push(&piece.text, piece.score, piece.kind)
                .expect("fits");
        }
        let settings = TokenizerSettings {
            byte_fallback: false,
            ..Default::default()
        };
        builder.build(settings).expect("is complete")
    }

    fn pieces_of(vocabulary: &Vocabulary, text: &str) -> Vec<String> {
        let mut ids = Vec::new();
        encode(vocabulary, text, &mut ids);
        ids.iter()
            .map(|&id| vocabulary.text(id).expect("a piece").to_owned())
            .collect()
    }

    /// The definition: look at all pairs, join the best, start again.
    fn by_definition(vocabulary: &Vocabulary, text: &str) -> Vec<u32> {
        let mut symbols: Vec<String> = text.chars().map(String::from).collect();
        loop {
            let mut best: Option<(f32, usize)> = None;
            for left in 1..symbols.len() {
                let pair = symbols[left - 1].clone() + &symbols[left];
                if let Some((_, score)) = vocabulary.joined(&pair)
                    && best.is_none_or(|(highest, _)| score > highest)
                {
                    best = Some((score, left - 1));
                }
            }
            let Some((_, left)) = best else { break };
            let right = symbols.remove(left + 1);
            symbols[left].push_str(&right);
        }
        let mut ids: Vec<u32> = Vec::new();
        for symbol in symbols {
            match vocabulary.id(&symbol) {
                Some(id) => ids.push(id),
                None if ids.last() == Some(&0) => {}
                None => ids.push(0),
            }
        }
        ids
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            pieces in proptest::collection::btree_map("[ab▁é]{1,5}", 0_u8..9, 1..30),
            texts in proptest::collection::vec("[abc▁é]{0,40}", 8),
        ) {
            let pieces: Vec<Piece> = pieces
                .iter()
                .map(|(text, &score)| piece(text, -f32::from(score), PieceKind::Normal))
                .collect();
            let vocabulary = vocabulary(&pieces);
            for text in texts {
                let mut ids = Vec::new();
                encode(&vocabulary, &text, &mut ids);
                prop_assert_eq!(ids, by_definition(&vocabulary, &text), "{:?}", text);
            }
        }

        #[test]
        fn rank_keeps_the_order(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(Some(rank(a).cmp(&rank(b))), a.partial_cmp(&b));
        }
    }

    #[test]
    fn user_defined_pieces_are_found_whole() {
        let vocabulary = vocabulary(&[
            piece("a", -1.0, PieceKind::Normal),
            piece("b", -1.0, PieceKind::Normal),
            piece("ab", -2.0, PieceKind::Normal),
            piece("bb", 0.0, PieceKind::UserDefined),
            piece("bba", 0.0, PieceKind::UserDefined),
        ]);
        // The longest wins, and what it covers is not joined to its neighbours.
        assert_eq!(pieces_of(&vocabulary, "abbab"), ["a", "bba", "b"]);
        assert_eq!(pieces_of(&vocabulary, "abb"), ["a", "bb"]);
        assert_eq!(pieces_of(&vocabulary, "ab"), ["ab"]);
    }

    #[test]
    fn unused_pieces_are_taken_apart_as_they_were_joined() {
        let vocabulary = vocabulary(&[
            piece("a", -9.0, PieceKind::Normal),
            piece("b", -9.0, PieceKind::Normal),
            piece("ab", -1.0, PieceKind::Normal),
            piece("aba", -2.0, PieceKind::Unused),
            piece("abab", -3.0, PieceKind::Unused),
        ]);
        assert_eq!(pieces_of(&vocabulary, "aba"), ["ab", "a"]);
        assert_eq!(pieces_of(&vocabulary, "abab"), ["ab", "ab"]);
    }

    #[test]
    fn a_run_of_unknown_characters_is_one_id() {
        let vocabulary = vocabulary(&[piece("a", 0.0, PieceKind::Normal)]);
        assert_eq!(pieces_of(&vocabulary, "xya▁▁z"), ["<unk>", "a", "<unk>"]);
    }
}
