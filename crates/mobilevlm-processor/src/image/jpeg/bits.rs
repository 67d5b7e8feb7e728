//! The bits of a scan: stuffed bytes removed, an end at the next marker.

use super::huffman::Table;

/// Reads bits from the highest on.
///
/// Behind the data there are zeros without end. Callers ask [`Bits::overrun`] once per MCU
/// instead of handling an end at every bit.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    /// The next bits, from the highest on; below `count` of them, zeros.
    buffer: u64,
    count: u32,
    /// How many bits were made up; the last of `count`, unless they were consumed already.
    made_up: u32,
}

impl<'a> Bits<'a> {
    /// Begins at `position` of `data`.
    pub(super) fn new(data: &'a [u8], position: usize) -> Bits<'a> {
        Bits {
            data,
            position,
            buffer: 0,
            count: 0,
            made_up: 0,
        }
    }

    /// Where reading stopped: never behind the marker that ends the data.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Whether bits were consumed that the file does not have.
    pub(super) fn overrun(&self) -> bool {
        self.made_up > self.count
    }

    /// Makes at least 32 bits available.
    #[inline]
    fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        // Four bytes at once where none of them is 0xff.
        if let Some(&four) = self
            .data
            .get(self.position..)
            .and_then(|rest| rest.first_chunk())
            && !four.contains(&0xff)
        {
            self.buffer |= u64::from(u32::from_be_bytes(four)) << (32 - self.count);
            self.count += 32;
            self.position += 4;
            return;
        }
        while self.count <= 56 {
            let byte = self.next_byte();
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn next_byte(&mut self) -> u8 {
        match self.data.get(self.position..) {
            Some([0xff, 0, ..]) => {
                self.position += 2;
                0xff
            }
            Some([byte, ..]) if *byte != 0xff => {
                self.position += 1;
                *byte
            }
            _ => {
                self.made_up += 8;
                0
            }
        }
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        self.refill();
        let bits = (self.buffer >> (64 - count)) as i32;
        self.consume(count);
        bits
    }

    /// A number of `count` bits in JPEG's form: a leading zero bit means negative.
    #[inline]
    pub(super) fn take_signed(&mut self, count: u32) -> i32 {
        let bits = self.take(count);
        if count > 0 && bits < 1 << (count - 1) {
            bits - (1 << count) + 1
        } else {
            bits
        }
    }

    /// The next symbol of a Huffman code, or `None` where the bits are no code word.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Option<u8> {
        self.refill();
        let (symbol, length) = table.find((self.buffer >> 48) as u16)?;
        self.consume(length);
        Some(symbol)
    }

    #[inline]
    fn consume(&mut self, count: u32) {
        self.buffer <<= count;
        self.count -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_is_removed_and_a_marker_ends_the_data() {
        let data = [0xa5, 0xff, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xff, 0xd9];
        let mut bits = Bits::new(&data, 0);
        let read: Vec<i32> = (0..8).map(|_| bits.take(8)).collect();
        assert_eq!(read[..7], [0xa5, 0xff, 0x12, 0x34, 0x56, 0x78, 0x9a]);
        assert_eq!(read[7], 0);
        assert_eq!(bits.position(), 8);
        assert!(bits.overrun());
    }

    #[test]
    fn the_last_bit_is_no_overrun() {
        let mut bits = Bits::new(&[0b1010_0000], 0);
        assert_eq!(bits.take(1), 1);
        assert_eq!(bits.take(7), 0b010_0000);
        assert!(!bits.overrun());
        bits.take(1);
        assert!(bits.overrun());
    }

    #[test]
    fn signed_numbers_as_in_the_standard() {
        // Table F.1: category 3 holds -7..=-4 and 4..=7.
        for (raw, value) in [(0b000, -7), (0b011, -4), (0b100, 4), (0b111, 7)] {
            assert_eq!(Bits::new(&[raw << 5], 0).take_signed(3), value);
        }
    }
}
