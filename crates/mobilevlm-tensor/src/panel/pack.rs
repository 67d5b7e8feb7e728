//! Rows to panels and back, bit for bit.

use super::{GROUP, Layout, QUAD, ROWS};
use crate::Format;

/// Numbers of the longest block.
const LONGEST: usize = 256;

/// Where a block has the parts of a panel.
struct Places {
    layout: Layout,
    /// Bytes of a block.
    block: usize,
    /// Byte of `d`; the second f16, where there is one, follows.
    d: usize,
    /// Byte of the packed scales.
    scales: usize,
    /// Byte and shift of the low field of each level.
    low: [(u16, u8); LONGEST],
    /// Byte and shift of the high field of each level.
    high: [(u16, u8); LONGEST],
}

impl Places {
    /// # Panics
    /// If the format has no blocks.
    fn of(format: Format) -> Places {
        let layout = format.layout().expect("a format with blocks");
        // Two bits of 256 numbers as the K formats pack them: four rows of 32 to a byte.
        let two_bits = |i: usize| (i / 128 * 32 + i % 32, i % 128 / 32 * 2);
        let after = |first: usize, (byte, shift): (usize, usize)| (first + byte, shift);
        let (d, scales) = match format {
            Format::Q2K => (80, 0),
            Format::Q3K => (108, 96),
            Format::Q4K | Format::Q5K => (0, 4),
            Format::Q6K => (208, 192),
            _ => (0, 0),
        };
        let low = |i: usize| match format {
            Format::Q8_0 => (2 + i, 0),
            Format::Q4_0 => (2 + i % 16, i / 16 * 4),
            Format::Q4_1 => (4 + i % 16, i / 16 * 4),
            Format::Q5_0 => (6 + i % 16, i / 16 * 4),
            Format::Q5_1 => (8 + i % 16, i / 16 * 4),
            Format::Q2K => after(16, two_bits(i)),
            Format::Q3K => after(32, two_bits(i)),
            Format::Q4K => (16 + i / 64 * 32 + i % 32, i / 32 % 2 * 4),
            Format::Q5K => (48 + i / 64 * 32 + i % 32, i / 32 % 2 * 4),
            _ => (i / 128 * 64 + i % 64, i % 128 / 64 * 4),
        };
        let high = |i: usize| match format {
            Format::Q5_0 => (2 + i / 8, i % 8),
            Format::Q5_1 => (4 + i / 8, i % 8),
            Format::Q3K => (i % 32, i / 32),
            Format::Q5K => (16 + i % 32, i / 32),
            _ => after(128, two_bits(i)),
        };
        let table = |bits: usize, place: &dyn Fn(usize) -> (usize, usize)| {
            let mut table = [(0, 0); LONGEST];
            if bits > 0 {
                for (i, entry) in table.iter_mut().enumerate().take(layout.numbers) {
                    let (byte, shift) = place(i);
                    *entry = (byte as u16, shift as u8);
                }
            }
            table
        };
        Places {
            layout,
            block: format.row_bytes(layout.numbers).expect("one whole block"),
            d,
            scales,
            low: table(layout.low, &low),
            high: table(layout.high, &high),
        }
    }

    /// Bytes of the f16 numbers of a block.
    fn halves(&self) -> usize {
        2 + 2 * usize::from(self.layout.minimum)
    }
}

/// What is added to an 8-bit level, which is stored with its sign, to take the sign away.
fn sign(layout: Layout) -> u8 {
    if layout.low == 8 { 0x80 } else { 0 }
}

/// Byte and shift in a group of a `bits`-bit field of number `i` of 32 of row `row`.
fn field(bits: usize, i: usize, row: usize) -> (usize, usize) {
    let (quad, lane) = (i / 4, 4 * row + i % 4);
    match bits {
        8 => (quad * QUAD + lane, 0),
        4 => (quad % 4 * QUAD + lane, quad / 4 * 4),
        2 => (quad / 4 * QUAD + lane, quad % 4 * 2),
        _ => (lane, quad),
    }
}

/// Interleaves up to sixteen rows, one after the other in `rows`, into `panel`.
///
/// # Panics
/// If the format has no blocks, or the lengths are not those of whole rows and a panel.
pub(crate) fn interleave(format: Format, rows: &[u8], row_bytes: usize, panel: &mut [u8]) {
    let places = Places::of(format);
    let layout = places.layout;
    assert!(panel.len() == ROWS * row_bytes && rows.len() <= panel.len());
    panel.fill(0);
    let (low_mask, high_mask) = (mask(layout.low), mask(layout.high));
    let sign = sign(layout);
    for (index, unit) in panel.chunks_exact_mut(layout.unit()).enumerate() {
        let (header, levels) = unit.split_at_mut(layout.header());
        for (row, stored) in rows.chunks_exact(row_bytes).enumerate() {
            let block = &stored[index * places.block..][..places.block];
            for at in 0..places.halves() {
                header[at / 2 * 2 * ROWS + 2 * row + at % 2] = block[places.d + at];
            }
            let scales = &mut header[ROWS * places.halves()..];
            for at in 0..layout.scales {
                scales[at * ROWS + row] = block[places.scales + at];
            }
            for (group, out) in levels.chunks_exact_mut(layout.group()).enumerate() {
                let (low, high) = out.split_at_mut(QUAD * layout.low);
                for i in 0..GROUP {
                    let (byte, shift) = places.low[group * GROUP + i];
                    let level = (block[usize::from(byte)] >> shift & low_mask) ^ sign;
                    let (at, shift) = field(layout.low, i, row);
                    low[at] |= level << shift;
                    if layout.high > 0 {
                        let (byte, shift) = places.high[group * GROUP + i];
                        let level = block[usize::from(byte)] >> shift & high_mask;
                        let (at, shift) = field(layout.high, i, row);
                        high[at] |= level << shift;
                    }
                }
            }
        }
    }
}

/// The first rows of `panel`, as many as fill `rows`: the inverse of [`interleave`].
///
/// # Panics
/// If the format has no blocks, or the lengths are not those of whole rows and a panel.
pub(crate) fn deinterleave(format: Format, panel: &[u8], row_bytes: usize, rows: &mut [u8]) {
    let places = Places::of(format);
    let layout = places.layout;
    assert!(panel.len() == ROWS * row_bytes && rows.len() <= panel.len());
    rows.fill(0);
    let (low_mask, high_mask) = (mask(layout.low), mask(layout.high));
    let sign = sign(layout);
    for (index, unit) in panel.chunks_exact(layout.unit()).enumerate() {
        let (header, levels) = unit.split_at(layout.header());
        for (row, stored) in rows.chunks_exact_mut(row_bytes).enumerate() {
            let block = &mut stored[index * places.block..][..places.block];
            for at in 0..places.halves() {
                block[places.d + at] = header[at / 2 * 2 * ROWS + 2 * row + at % 2];
            }
            let scales = &header[ROWS * places.halves()..];
            for at in 0..layout.scales {
                block[places.scales + at] = scales[at * ROWS + row];
            }
            for (group, out) in levels.chunks_exact(layout.group()).enumerate() {
                let (low, high) = out.split_at(QUAD * layout.low);
                for i in 0..GROUP {
                    let (at, shift) = field(layout.low, i, row);
                    let level = (low[at] >> shift & low_mask) ^ sign;
                    let (byte, shift) = places.low[group * GROUP + i];
                    block[usize::from(byte)] |= level << shift;
                    if layout.high > 0 {
                        let (at, shift) = field(layout.high, i, row);
                        let level = high[at] >> shift & high_mask;
                        let (byte, shift) = places.high[group * GROUP + i];
                        block[usize::from(byte)] |= level << shift;
                    }
                }
            }
        }
    }
}

/// The lowest `bits` bits.
fn mask(bits: usize) -> u8 {
    ((1u16 << bits) - 1) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every bit of every block format, at random.
    fn random(bytes: usize, seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..bytes)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect()
    }

    fn formats() -> impl Iterator<Item = Format> {
        Format::ALL
            .into_iter()
            .filter(|format| format.layout().is_some())
    }

    #[test]
    fn panels_take_the_bytes_of_their_rows_and_give_them_back() {
        for format in formats() {
            let layout = format.layout().unwrap();
            assert_eq!(
                Some(layout.unit()),
                format.row_bytes(layout.numbers).map(|block| ROWS * block),
                "{}",
                format.name()
            );
            let row_bytes = format.row_bytes(2 * LONGEST).unwrap();
            for count in [1, 5, 16] {
                let rows = random(count * row_bytes, 7 + count as u64);
                let mut panel = vec![0xaa; ROWS * row_bytes];
                interleave(format, &rows, row_bytes, &mut panel);
                let mut back = vec![0x55; rows.len()];
                deinterleave(format, &panel, row_bytes, &mut back);
                assert_eq!(back, rows, "{} rows of {}", count, format.name());
            }
        }
    }

    /// The levels of a unit as the kernels find them are those that the scalar meaning uses.
    #[test]
    fn levels_lie_where_the_module_says() {
        for format in formats() {
            let layout = format.layout().unwrap();
            let places = Places::of(format);
            let rows = random(ROWS * places.block, 3);
            let mut panel = vec![0; rows.len()];
            interleave(format, &rows, places.block, &mut panel);
            let groups = &panel[layout.header()..];
            for row in 0..ROWS {
                let block = &rows[row * places.block..][..places.block];
                // With the scales of this block, equal levels are equal numbers of a sub-block.
                let mut meaning = vec![0.0; layout.numbers];
                format.decode(block, &mut meaning);
                let mut seen: std::collections::HashMap<(usize, usize), f32> = Default::default();
                for (i, &meaning) in meaning.iter().enumerate() {
                    let group = &groups[i / GROUP * layout.group()..][..layout.group()];
                    let (low, high) = group.split_at(QUAD * layout.low);
                    let mut level = 0;
                    for (bits, bytes, shift) in
                        [(layout.low, low, 0), (layout.high, high, layout.low)]
                    {
                        if bits > 0 {
                            let (at, from) = field(bits, i % GROUP, row);
                            level |= usize::from(bytes[at] >> from & mask(bits)) << shift;
                        }
                    }
                    let before = seen.insert((i / 16, level), meaning);
                    let same = before.is_none_or(|before| {
                        before == meaning || (before.is_nan() && meaning.is_nan())
                    });
                    assert!(same, "{} number {i}", format.name());
                }
            }
        }
    }
}
