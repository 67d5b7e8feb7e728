//! Byte pair encoding: the most frequent pair becomes one symbol, again and again.
//!
//! The order is that of SentencePiece's trainer (`bpe_model_trainer.cc`): of pairs that are
//! equally frequent the shorter goes first, of equally long ones the lower in bytes. There, all
//! pairs are scanned for each merge, or the most frequent twentieth of them; here a queue holds
//! them, so that the result is always that of scanning all.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::corpus::Corpus;
use super::valid::is_valid;

type Pair = (u32, u32);

/// A character without a piece: nothing is joined with it.
const NONE: u32 = u32::MAX;

/// What one pair of neighbours is at the moment.
#[derive(Default)]
struct State {
    /// How often it occurs in all words; of overlapping ones (`aaa`) every second.
    count: u64,
    /// Words that have it, or had it once; some are named twice.
    words: Vec<u32>,
    /// It would spell a piece that exists, and is never joined.
    dead: bool,
}

/// A pair in the queue, as it was when it was put there.
#[derive(PartialEq, Eq)]
struct Candidate {
    count: u64,
    length: usize,
    text: String,
    pair: Pair,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // The pair at last: two pairs can spell the same text.
        (self.count.cmp(&other.count))
            .then(other.length.cmp(&self.length))
            .then_with(|| other.text.cmp(&self.text))
            .then(other.pair.cmp(&self.pair))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

struct Merger {
    /// The text of every symbol; those of `alphabet` first.
    symbols: Vec<String>,
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, State>,
    queue: BinaryHeap<Candidate>,
    longest: usize,
}

/// The first `most` pieces that are made of others, in the order in which they are made; fewer if
/// the words have no more.
pub(super) fn merges(
    corpus: &Corpus,
    alphabet: &[char],
    longest: usize,
    most: usize,
) -> Vec<String> {
    let mut merger = Merger::new(corpus, alphabet, longest);
    let mut known: HashSet<String> = HashSet::new();
    let mut pieces = Vec::new();
    while pieces.len() < most {
        let Some(Candidate { text, pair, .. }) = merger.best() else {
            break;
        };
        if !known.insert(text.clone()) {
            // SentencePiece drops it: the text is a piece already, made from other parts.
            merger.pairs.entry(pair).or_default().dead = true;
            continue;
        }
        merger.join(pair, &text);
        pieces.push(text);
    }
    pieces
}

impl Merger {
    fn new(corpus: &Corpus, alphabet: &[char], longest: usize) -> Merger {
        let ids: HashMap<char, u32> = alphabet
            .iter()
            .enumerate()
            .map(|(id, c)| (*c, id as u32))
            .collect();
        let words = corpus
            .counted()
            .map(|(word, count)| {
                let symbols = word.chars().map(|c| ids.get(&c).copied().unwrap_or(NONE));
                (symbols.collect(), count)
            })
            .collect();
        let mut merger = Merger {
            symbols: alphabet.iter().map(char::to_string).collect(),
            words,
            pairs: HashMap::new(),
            queue: BinaryHeap::new(),
            longest,
        };
        let mut grown = HashSet::new();
        for word in 0..merger.words.len() {
            merger.add(word as u32, None, &mut grown);
        }
        merger.enqueue(grown);
        merger
    }

    /// The most frequent pair that is not dead.
    fn best(&mut self) -> Option<Candidate> {
        while let Some(mut candidate) = self.queue.pop() {
            let state = self.pairs.get(&candidate.pair);
            let count = state
                .filter(|state| !state.dead)
                .map_or(0, |state| state.count);
            if count == candidate.count {
                return Some(candidate);
            }
            // It became rarer since. Growth is enqueued when it happens.
            if (1..candidate.count).contains(&count) {
                candidate.count = count;
                self.queue.push(candidate);
            }
        }
        None
    }

    /// Makes `pair` one symbol in every word.
    fn join(&mut self, pair: Pair, text: &str) {
        let joined = self.symbols.len() as u32;
        self.symbols.push(text.to_owned());
        let mut with = std::mem::take(&mut self.pairs.entry(pair).or_default().words);
        with.sort_unstable();
        with.dedup();
        let mut grown = HashSet::new();
        for word in with {
            self.subtract(word);
            let (symbols, _) = &mut self.words[word as usize];
            let mut kept = 0;
            let mut place = 0;
            while place < symbols.len() {
                let here = (
                    symbols[place],
                    symbols.get(place + 1).copied().unwrap_or(NONE),
                );
                symbols[kept] = if here == pair { joined } else { here.0 };
                place += if here == pair { 2 } else { 1 };
                kept += 1;
            }
            symbols.truncate(kept);
            self.add(word, Some(joined), &mut grown);
        }
        self.enqueue(grown);
    }

    fn subtract(&mut self, word: u32) {
        let (symbols, times) = &self.words[word as usize];
        for pair in neighbours(symbols) {
            if let Some(state) = self.pairs.get_mut(&pair) {
                state.count -= times;
            }
        }
    }

    /// Counts the pairs of a word that has changed: `joined` is the symbol that is new in it. Only
    /// pairs with that symbol can be more frequent than before, or new to the word.
    fn add(&mut self, word: u32, joined: Option<u32>, grown: &mut HashSet<Pair>) {
        let (symbols, times) = &self.words[word as usize];
        for pair in neighbours(symbols) {
            let state = self.pairs.entry(pair).or_default();
            state.count += times;
            if joined.is_none_or(|symbol| pair.0 == symbol || pair.1 == symbol) {
                if state.words.last() != Some(&word) {
                    state.words.push(word);
                }
                grown.insert(pair);
            }
        }
    }

    fn enqueue(&mut self, pairs: HashSet<Pair>) {
        for pair in pairs {
            let state = &self.pairs[&pair];
            if state.dead || state.count == 0 {
                continue;
            }
            let count = state.count;
            let text = format!(
                "{}{}",
                self.symbols[pair.0 as usize], self.symbols[pair.1 as usize]
            );
            if is_valid(&text, self.longest) {
                let length = text.chars().count();
                self.queue.push(Candidate {
                    count,
                    length,
                    text,
                    pair,
                });
            }
        }
    }
}

/// The pairs of a word from left to right; of `aaa` the second `aa` is left out, as it overlaps.
fn neighbours(symbols: &[u32]) -> impl Iterator<Item = Pair> {
    let mut overlaps = false;
    symbols.windows(2).filter_map(move |window| {
        let pair = (window[0], window[1]);
        let equal = pair.0 == pair.1;
        let counted = pair.0 != NONE && pair.1 != NONE && !(equal && overlaps);
        overlaps = equal && !overlaps;
        counted.then_some(pair)
    })
}
