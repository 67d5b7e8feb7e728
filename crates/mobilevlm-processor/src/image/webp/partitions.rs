//! Whether the partitions of a lossy bitstream lie within it.
//!
//! The decoder takes memory for a partition of the length that the file says, up to 16 MiB, before
//! it looks whether so much is there. How many partitions there are stands behind a part of the
//! frame's header that is arithmetically coded, so that part is read here first. Source: RFC 6386,
//! sections 7.3 (decoder), 9.2 to 9.6 and 19.2 (header).

/// Whether all partitions of the key frame `body` are whole, the first included.
pub(super) fn are_whole(body: &[u8]) -> bool {
    rest(body).is_some()
}

/// What is left for the last partition, which has no length of its own.
fn rest(body: &[u8]) -> Option<&[u8]> {
    let (tag, behind) = body.split_at_checked(10)?;
    let first = u24(&tag[..3]) >> 5;
    let (first, behind) = behind.split_at_checked(first)?;
    let (lengths, mut rest) = behind.split_at_checked(3 * (count(first) - 1))?;
    for length in lengths.chunks_exact(3) {
        rest = rest.get(u24(length)..)?;
    }
    Some(rest)
}

fn u24(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16
}

/// How many partitions follow the first one.
fn count(first: &[u8]) -> usize {
    let mut header = Bits::new(first);
    header.skip(2); // colour space, clamping
    if header.flag() {
        let (map, data) = (header.flag(), header.flag());
        if data {
            header.skip(1); // absolute values or differences
            header.skip_optional(4, 8); // quantiser and its sign
            header.skip_optional(4, 7); // loop filter and its sign
        }
        if map {
            header.skip_optional(3, 8); // probabilities
        }
    }
    header.skip(10); // loop filter: type, level, sharpness
    if header.flag() && header.flag() {
        header.skip_optional(8, 7); // differences by reference frame and by mode
    }
    1 << (2 * u32::from(header.flag()) + u32::from(header.flag()))
}

/// The arithmetic decoder at even probabilities, which is all that the header needs.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Two bytes of the stream; the upper one is compared.
    value: u32,
    range: u32,
    shifts: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self {
            bytes: bytes.iter(),
            value: 0,
            range: 255,
            shifts: 0,
        };
        bits.value = bits.byte() << 8 | bits.byte();
        bits
    }

    /// The next byte; zeros follow the end.
    fn byte(&mut self) -> u32 {
        self.bytes.next().copied().map_or(0, u32::from)
    }

    fn flag(&mut self) -> bool {
        let split = 1 + ((self.range - 1) >> 1);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range <<= 1;
            self.value <<= 1;
            self.shifts += 1;
            if self.shifts == 8 {
                self.shifts = 0;
                self.value |= self.byte();
            }
        }
        is_set
    }

    fn skip(&mut self, bits: usize) {
        for _ in 0..bits {
            self.flag();
        }
    }

    /// Skips `fields` fields of `width` bits, each of which is there if a flag before it says so.
    fn skip_optional(&mut self, fields: usize, width: usize) {
        for _ in 0..fields {
            if self.flag() {
                self.skip(width);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The encoder of RFC 6386, section 7.3, at even probabilities.
    fn encode(flags: &[bool]) -> Vec<u8> {
        let (mut out, mut range, mut bottom, mut left) = (Vec::<u8>::new(), 255_u32, 0_u32, 24);
        // Zeros push the last bits out.
        for &flag in flags.iter().chain(&[false; 32]) {
            let split = 1 + ((range - 1) >> 1);
            if flag {
                bottom = bottom.wrapping_add(split);
                range -= split;
            } else {
                range = split;
            }
            while range < 128 {
                range <<= 1;
                if bottom & (1 << 31) != 0 {
                    let carry = out
                        .iter()
                        .rposition(|&byte| byte != 255)
                        .expect("a carry has a place");
                    out[carry] += 1;
                    out[carry + 1..].fill(0);
                }
                bottom <<= 1;
                left -= 1;
                if left == 0 {
                    out.push((bottom >> 24) as u8);
                    bottom &= (1 << 24) - 1;
                    left = 8;
                }
            }
        }
        out
    }

    /// Header flags up to the number of partitions, as two bits; every field is there that
    /// `present` names, and all its bits are `value`.
    fn header(present: u8, value: bool, partitions: [bool; 2]) -> Vec<bool> {
        let has = |bit: u8| present >> bit & 1 == 1;
        let mut flags = vec![value; 2];
        let optional = |flags: &mut Vec<bool>, fields, width| {
            for field in 0..fields {
                let there = (field % 2 == 0) == value;
                flags.push(there);
                flags.extend(vec![value; if there { width } else { 0 }]);
            }
        };
        flags.push(has(0));
        if has(0) {
            flags.extend([has(1), has(2)]);
            if has(2) {
                flags.push(value);
                optional(&mut flags, 4, 8);
                optional(&mut flags, 4, 7);
            }
            if has(1) {
                optional(&mut flags, 3, 8);
            }
        }
        flags.extend([value; 10]);
        flags.push(has(3));
        if has(3) {
            flags.push(has(4));
            if has(4) {
                optional(&mut flags, 8, 7);
            }
        }
        flags.extend(partitions);
        flags
    }

    #[test]
    fn partitions_are_counted_behind_every_kind_of_header() {
        for present in 0..32 {
            for value in [false, true] {
                for (partitions, expected) in [
                    ([false, false], 1),
                    ([false, true], 2),
                    ([true, false], 4),
                    ([true, true], 8),
                ] {
                    let first = encode(&header(present, value, partitions));
                    assert_eq!(count(&first), expected, "{present:#b} {value}");
                }
            }
        }
    }

    #[test]
    fn a_partition_that_is_longer_than_the_file_is_noticed() {
        let first = encode(&header(0, false, [true, false]));
        let tag = (first.len() << 5).to_le_bytes();
        let body = |lengths: [u8; 9], data: usize| {
            [&tag[..3], &[0; 7], &first, &lengths, &vec![0; data]].concat()
        };
        let lengths = [2, 0, 0, 3, 0, 0, 4, 0, 0];
        assert!(are_whole(&body(lengths, 9)));
        assert!(!are_whole(&body(lengths, 8)));
        assert!(!are_whole(&body([255; 9], 9)));
        let whole = body(lengths, 9);
        assert!((0..whole.len()).all(|length| !are_whole(&whole[..length])));
    }
}
