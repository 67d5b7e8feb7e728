//! What the formats with blocks of 32 values share. Value j of the first half of a block lies in
//! the low nibble of byte j, value j + 16 in its high nibble.

/// Values of a block.
pub(super) const BLOCK: usize = 32;

const HALF: usize = BLOCK / 2;

/// What values are multiplied with to become levels; zero where the scale is.
pub(super) fn inverse(d: f32) -> f32 {
    if d != 0.0 { 1.0 / d } else { 0.0 }
}

/// Least and greatest value; of no value, +MAX and −MAX.
pub(super) fn range(x: &[f32]) -> (f32, f32) {
    let (mut min, mut max) = (f32::MAX, -f32::MAX);
    for &v in x {
        if v < min {
            min = v;
        }
        if v > max {
            max = v;
        }
    }
    (min, max)
}

/// Truncates as C's conversion to `int8_t` does for values that fit, and clips above.
pub(super) fn level(v: f32, top: u8) -> u8 {
    (v as i8 as u8).min(top)
}

/// Packs the low four bits of 32 levels.
pub(super) fn nibbles(levels: impl Fn(usize) -> u8, out: &mut [u8]) {
    for (j, byte) in out.iter_mut().enumerate().take(HALF) {
        *byte = (levels(j) & 15) | (levels(j + HALF) & 15) << 4;
    }
}

/// Level `j` as [`nibbles`] packed it.
pub(super) fn nibble(bytes: &[u8], j: usize) -> u8 {
    if j < HALF {
        bytes[j] & 15
    } else {
        bytes[j - HALF] >> 4
    }
}

/// The fifth bits of 32 levels.
pub(super) fn fifth_bits(levels: impl Fn(usize) -> u8) -> [u8; 4] {
    (0..BLOCK)
        .fold(0u32, |bits, j| bits | u32::from(levels(j) >> 4) << j)
        .to_le_bytes()
}

/// The fifth bit of level `j`, in its place.
pub(super) fn fifth_bit(bytes: &[u8], j: usize) -> u8 {
    (bytes[j / 8] >> (j % 8) & 1) << 4
}
