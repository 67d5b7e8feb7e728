//! Huffman codes as JPEG states them: how many words of each length, and their symbols.

/// How many bits the first look-up sees: nearly all words are shorter.
const FAST: u32 = 9;

/// A code ready for decoding.
pub(super) struct Table {
    /// For each value of the next 9 bits: `length << 8 | symbol`, or 0 for longer words.
    fast: [u16; 1 << FAST],
    /// For each length: the first 16-bit value beyond all words of that length, and where its
    /// symbols begin, less its first word.
    beyond: [u32; 17],
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// Builds a code from the number of words of length 1 to 16 and all symbols in order.
    /// `None` where the words of some length are more than there is room for.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Table> {
        let mut table = Table {
            fast: [0; 1 << FAST],
            beyond: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let mut word = 0_u32;
        let mut index = 0;
        for (length, &count) in (1_u32..).zip(counts) {
            let count = u32::from(count);
            table.offset[length as usize] = index - word as i32;
            if word + count > 1 << length {
                return None;
            }
            for _ in 0..count {
                let symbol = *symbols.get(index as usize)?;
                if length <= FAST {
                    let shift = FAST - length;
                    let entry = (length as u16) << 8 | u16::from(symbol);
                    table.fast[(word << shift) as usize..((word + 1) << shift) as usize]
                        .fill(entry);
                }
                word += 1;
                index += 1;
            }
            table.beyond[length as usize] = word << (16 - length);
            word <<= 1;
        }
        Some(table)
    }

    /// The symbol that the next 16 bits begin with, and its length.
    #[inline]
    pub(super) fn find(&self, next: u16) -> Option<(u8, u32)> {
        let entry = self.fast[usize::from(next >> (16 - FAST))];
        if entry != 0 {
            return Some((entry as u8, u32::from(entry >> 8)));
        }
        for length in FAST as usize + 1..=16 {
            if u32::from(next) < self.beyond[length] {
                let word = i32::from(next >> (16 - length));
                let index = usize::try_from(self.offset[length] + word).ok()?;
                return Some((*self.symbols.get(index)?, length as u32));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code by its definition (standard, annex C): words count up, and gain a zero per length.
    fn words(counts: &[u8; 16]) -> Vec<(u32, u32)> {
        let mut words = Vec::new();
        let mut word = 0;
        for (length, &count) in (1..).zip(counts) {
            for _ in 0..count {
                words.push((word, length));
                word += 1;
            }
            word <<= 1;
        }
        words
    }

    #[test]
    fn every_word_gives_its_symbol_whatever_follows() {
        let counts = [0, 2, 1, 2, 1, 0, 3, 2, 1, 4, 2, 5, 1, 2, 3, 9];
        let total: u8 = counts.iter().sum();
        let symbols: Vec<u8> = (0..total).map(|i| i.wrapping_mul(73)).collect();
        let table = Table::new(&counts, &symbols).unwrap();
        for (&(word, length), &symbol) in words(&counts).iter().zip(&symbols) {
            for rest in [0, (1 << (16 - length)) - 1] {
                let next = (word << (16 - length) | rest) as u16;
                assert_eq!(
                    table.find(next),
                    Some((symbol, length)),
                    "{word:b}/{length}"
                );
            }
        }
        assert_eq!(table.find(0xffff), None);
    }

    #[test]
    fn too_many_words_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_none());
        counts[0] = 2;
        assert!(Table::new(&counts, &[1, 2]).is_some());
        assert!(Table::new(&counts, &[1]).is_none());
    }
}
