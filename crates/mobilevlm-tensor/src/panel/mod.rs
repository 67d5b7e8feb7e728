//! Panels: sixteen weight rows interleaved, the order in which integer kernels read them.
//!
//! A panel holds the bits of sixteen rows of a block format and nothing else, so it takes exactly
//! the bytes of those rows and can be taken apart again, bit for bit. It is a sequence of units,
//! each with one block (32 or 256 numbers) of every row:
//!
//! | part of a unit | bytes |
//! |---|---|
//! | `d` of each row | 16 × f16 |
//! | `m` or `dmin` of each row, where the format has one | 16 × f16 |
//! | the packed scales, byte 0 of each row, byte 1 of each row, … | 16 each |
//! | the levels, 32 numbers of each row at a time: low bits, then high bits | 64 for each bit |
//!
//! Levels lie in *quads*: four neighbouring numbers of row 0, four of row 1, and so on, a byte each
//! in 64 bytes. This is a vector of 512 bits or two of 256, what a dot-product instruction takes,
//! and what a tile of 16 × 64 bytes wants. Fields of fewer bits share those bytes: of the eight
//! quads of 32 numbers,
//!
//! | field | where quad `q` lies |
//! |---|---|
//! | 8 bits | vector `q` |
//! | 4 bits | vector `q % 4`, low nibble for `q < 4`, else high |
//! | 2 bits | vector `q / 4`, bits `2·(q % 4)` and the next |
//! | 1 bit | bit `q` |
//!
//! Levels are stored without sign: a number is `scale · (level − offset)` or
//! `scale · level − minimum`. Rows that a matrix does not have are zero bytes.

mod pack;

pub(crate) use pack::{deinterleave, interleave};

use crate::Format;

/// Rows of a panel.
pub(crate) const ROWS: usize = 16;

/// Numbers of a row whose levels lie together.
pub(crate) const GROUP: usize = 32;

/// Bytes of a quad: four levels of each row.
pub(crate) const QUAD: usize = 4 * ROWS;

/// How a format's panels are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Numbers of a row in a unit: 32 or 256.
    pub(crate) numbers: usize,
    /// Whether each row has a second f16.
    pub(crate) minimum: bool,
    /// Bytes of packed scales of a row in a unit.
    pub(crate) scales: usize,
    /// Bits of the low field of a level.
    pub(crate) low: usize,
    /// Bits of the high field of a level.
    pub(crate) high: usize,
}

impl Layout {
    /// Where the levels of a unit begin.
    pub(crate) const fn header(self) -> usize {
        ROWS * (2 + 2 * self.minimum as usize + self.scales)
    }

    /// Bytes of the levels of 32 numbers of each row.
    pub(crate) const fn group(self) -> usize {
        QUAD * (self.low + self.high)
    }

    /// Bytes of a unit.
    pub(crate) const fn unit(self) -> usize {
        self.header() + self.numbers / GROUP * self.group()
    }
}

impl Format {
    /// How panels of this format are laid out; `None` where it has no blocks.
    pub(crate) const fn layout(self) -> Option<Layout> {
        let (numbers, minimum, scales, low, high) = match self {
            Format::Q8_0 => (32, false, 0, 8, 0),
            Format::Q4_0 => (32, false, 0, 4, 0),
            Format::Q4_1 => (32, true, 0, 4, 0),
            Format::Q5_0 => (32, false, 0, 4, 1),
            Format::Q5_1 => (32, true, 0, 4, 1),
            Format::Q2K => (256, true, 16, 2, 0),
            Format::Q3K => (256, false, 12, 2, 1),
            Format::Q4K => (256, true, 12, 4, 0),
            Format::Q5K => (256, true, 12, 4, 1),
            Format::Q6K => (256, false, 16, 4, 2),
            _ => return None,
        };
        Some(Layout {
            numbers,
            minimum,
            scales,
            low,
            high,
        })
    }

    /// Bytes of a panel: sixteen rows of `columns` numbers, interleaved. `None` if the format has
    /// no blocks or `columns` are no whole number of them.
    pub fn panel_bytes(self, columns: usize) -> Option<usize> {
        self.layout()?;
        self.row_bytes(columns)?.checked_mul(ROWS)
    }
}
