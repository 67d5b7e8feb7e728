//! What the formats with blocks of 32 values share. Value j of the first half of a block lies in
//! the low nibble of byte j, value j + 16 in its high nibble.

use super::block256::{requantise, requantise_signed};
use super::f16::{narrow, widen};
use super::search::{Grid, scale, scale_and_min};

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

/// The scale d, as it will be stored, that loses least in Σ w·(x − d·q)², q in `-top..top`. Writes
/// q + top.
pub(super) fn symmetric(top: i32, x: &[f32], weights: &[f32], levels: &mut [u8]) -> f32 {
    let d = widen(narrow(scale(top, x, weights, levels)));
    requantise_signed(d, top, x, levels);
    d
}

/// The scale d and the minimum m, as they will be stored, that lose least in Σ w·(x − d·q − m)², q
/// in `0..=top`. Writes q.
pub(super) fn asymmetric(top: i32, x: &[f32], weights: &[f32], levels: &mut [u8]) -> (f32, f32) {
    let grid = Grid {
        top,
        first: -1.0,
        steps: 20,
        absolute: false,
    };
    // The search wants a minimum below zero; seen from the greatest value, every one is.
    let (_, greatest) = range(x);
    let below: [f32; BLOCK] = std::array::from_fn(|j| x[j] - greatest);
    let (d, negated) = scale_and_min(&grid, &below, weights, levels);
    let (d, m) = (widen(narrow(d)), widen(narrow(greatest - negated)));
    requantise(d, -m, top, x, levels);
    (d, m)
}
