//! The bits of a VP8L stream, the lowest of each byte first.

/// Reads bits. Behind the data there are zeros without end; callers ask [`Bits::overrun`].
pub(super) struct Bits<'a> {
    data: &'a [u8],
    buffer: u64,
    count: u32,
    /// How many of the bits ever in the buffer were made up.
    made_up: u64,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        Bits {
            data,
            buffer: 0,
            count: 0,
            made_up: 0,
        }
    }

    /// Whether bits were consumed that the file does not have.
    pub(super) fn overrun(&self) -> bool {
        self.made_up > u64::from(self.count)
    }

    #[inline]
    fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some((&four, rest)) = self.data.split_first_chunk() {
            self.buffer |= u64::from(u32::from_le_bytes(four)) << self.count;
            self.count += 32;
            self.data = rest;
            return;
        }
        while self.count <= 56 {
            match self.data {
                [byte, rest @ ..] => {
                    self.buffer |= u64::from(*byte) << self.count;
                    self.data = rest;
                }
                [] => self.made_up += 8,
            }
            self.count += 8;
        }
    }

    /// The next 32 bits, the first one lowest, without consuming them.
    #[inline]
    pub(super) fn peek(&mut self) -> u32 {
        self.refill();
        self.buffer as u32
    }

    #[inline]
    pub(super) fn consume(&mut self, count: u32) {
        self.buffer >>= count;
        self.count -= count;
    }

    /// The next `count` bits, fewer than 32.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek() & ((1 << count) - 1);
        self.consume(count);
        bits
    }

    /// The number that begins with prefix symbol `symbol`, below 40: a length or a distance code.
    #[inline]
    pub(super) fn number(&mut self, symbol: usize) -> usize {
        if symbol < 4 {
            return symbol + 1;
        }
        let extra = (symbol - 2) >> 1;
        let base = (2 + (symbol & 1)) << extra;
        base + self.take(extra as u32) as usize + 1
    }
}
