//! Prefix codes: the five of a group, and how they are stored.

use super::Problem;
use super::bits::Bits;

/// The codes of a block.
pub(super) struct Group {
    /// Green, lengths of copies, and places in the colour cache.
    pub(super) green: Code,
    pub(super) red: Code,
    pub(super) blue: Code,
    pub(super) alpha: Code,
    pub(super) distance: Code,
}

impl Group {
    /// Reads all groups that `uses` counts and keeps those that it names. Returns them and, for
    /// each number of a group, its place among them.
    pub(super) fn read_used(
        bits: &mut Bits<'_>,
        uses: &[u16],
        cache: usize,
    ) -> Result<(Vec<Group>, Vec<u16>), Problem> {
        let last = usize::from(uses.iter().copied().max().unwrap_or(0));
        let mut used = vec![false; last + 1];
        for &number in uses {
            used[usize::from(number)] = true;
        }
        let mut groups = Vec::new();
        let mut places = vec![0; last + 1];
        // Shortcuts for as many codes as fit in 4 MiB; codes beyond those are read bit by bit.
        let mut budget = (4 << 20) / size_of::<Shortcuts>();
        for (number, used) in used.into_iter().enumerate() {
            let mut read = |alphabet| Code::read(bits, alphabet, used, &mut budget);
            let group = Group {
                green: read(256 + 24 + cache)?,
                red: read(256)?,
                blue: read(256)?,
                alpha: read(256)?,
                distance: read(40)?,
            };
            if used {
                places[number] = groups.len() as u16;
                groups.push(group);
            }
        }
        Ok((groups, places))
    }
}

/// A prefix code.
pub(super) enum Code {
    /// One symbol, which takes no bits.
    Single(u16),
    Many(Box<Words>),
}

/// A code of several words, counted by length; its symbols in the order of the words.
pub(super) struct Words {
    counts: [u16; 16],
    symbols: Box<[u16]>,
    shortcuts: Option<Box<Shortcuts>>,
}

/// For each value of the next eight bits: `length << 12 | symbol`, or 0 for longer words.
type Shortcuts = [u16; 256];
const SHORT: u32 = 8;

impl Code {
    /// Reads a code over `alphabet` symbols. If it is not to be `kept`, nothing is built.
    fn read(
        bits: &mut Bits<'_>,
        alphabet: usize,
        kept: bool,
        budget: &mut usize,
    ) -> Result<Code, Problem> {
        let mut lengths = vec![0_u8; alphabet];
        if bits.take(1) == 1 {
            // One or two symbols, spelled out.
            let two = bits.take(1) == 1;
            let wide = bits.take(1) == 1;
            let first = bits.take(if wide { 8 } else { 1 });
            let second = if two { bits.take(8) } else { first };
            for symbol in [first, second] {
                let length = lengths.get_mut(symbol as usize);
                *length.ok_or(Problem::Broken("expected a symbol of the alphabet"))? = 1;
            }
        } else {
            read_lengths(bits, &mut lengths)?;
        }
        if bits.overrun() {
            return Err(Problem::Truncated);
        }
        if kept {
            Code::new(&lengths, budget)
        } else {
            Ok(Code::Single(0))
        }
    }

    /// From the length of each symbol's word.
    fn new(lengths: &[u8], budget: &mut usize) -> Result<Code, Problem> {
        let mut counts = [0; 16];
        lengths
            .iter()
            .for_each(|&length| counts[usize::from(length)] += 1);
        counts[0] = 0;
        let total: u16 = counts.iter().sum();
        if total == 1 {
            let symbol = lengths.iter().position(|&length| length > 0);
            return Ok(Code::Single(symbol.unwrap_or(0) as u16));
        }
        // Words of all lengths must fill the space exactly.
        let space: u32 = (1..16).map(|l| u32::from(counts[l]) << (15 - l)).sum();
        if space != 1 << 15 {
            return Err(Problem::Broken("expected a complete prefix code"));
        }
        let mut next = [0; 16];
        for length in 1..16 {
            next[length] = next[length - 1] + usize::from(counts[length - 1]);
        }
        let mut symbols = vec![0; usize::from(total)].into_boxed_slice();
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, l)| **l > 0) {
            symbols[next[usize::from(length)]] = symbol as u16;
            next[usize::from(length)] += 1;
        }
        let mut words = Words {
            counts,
            symbols,
            shortcuts: None,
        };
        if *budget > 0 {
            *budget -= 1;
            words.shortcuts = Some(Box::new(std::array::from_fn(|next| {
                // No alphabet has more than 2328 symbols, so 12 bits hold any.
                match words.find(next as u32, SHORT) {
                    Some((symbol, length)) => (length as u16) << 12 | symbol,
                    None => 0,
                }
            })));
        }
        Ok(Code::Many(Box::new(words)))
    }

    /// The next symbol.
    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> u16 {
        let words = match self {
            Code::Single(symbol) => return *symbol,
            Code::Many(words) => words,
        };
        let next = bits.peek();
        if let Some(shortcuts) = &words.shortcuts {
            let entry = shortcuts[(next & 0xff) as usize];
            if entry != 0 {
                bits.consume(u32::from(entry >> 12));
                return entry & 0xfff;
            }
        }
        // A complete code has a word for any bits.
        let (symbol, length) = words.find(next, 15).unwrap_or((0, 0));
        bits.consume(length);
        symbol
    }
}

impl Words {
    /// The symbol and length of the word that `next` begins with, if it has at most `most` bits.
    fn find(&self, next: u32, most: u32) -> Option<(u16, u32)> {
        let (mut word, mut first, mut index) = (0, 0, 0);
        for length in 1..=most {
            word = word << 1 | (next >> (length - 1) & 1) as usize;
            let count = usize::from(self.counts[length as usize]);
            if word < first + count {
                return Some((self.symbols[index + word - first], length));
            }
            index += count;
            first = (first + count) << 1;
        }
        None
    }
}

/// Word lengths, which are coded themselves.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<(), Problem> {
    const ORDER: [usize; 19] = [
        17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ];
    let mut coded = [0; 19];
    let stated = 4 + bits.take(4) as usize;
    for &symbol in ORDER.iter().take(stated) {
        coded[symbol] = bits.take(3) as u8;
    }
    let code = Code::new(&coded, &mut 0)?;
    let mut left = lengths.len();
    if bits.take(1) == 1 {
        let width = 2 + 2 * bits.take(3);
        left = 2 + bits.take(width) as usize;
        if left > lengths.len() {
            return Err(Problem::Broken("expected at most one length per symbol"));
        }
    }
    let (mut at, mut last) = (0, 8);
    while at < lengths.len() && left > 0 {
        left -= 1;
        let (length, repeat) = match code.symbol(bits) {
            16 => (last, 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length as u8, 1),
        };
        if length > 0 {
            last = length;
        }
        let run = lengths.get_mut(at..at + repeat as usize);
        run.ok_or(Problem::Broken("expected at most one length per symbol"))?
            .fill(length);
        at += repeat as usize;
    }
    Ok(())
}
