//! Q5_0, 22 bytes: scale f16, 32 fifth bits, 16 × two nibbles. x = d·(q − 16).

use super::block32::{BLOCK, fifth_bit, fifth_bits, inverse, level, nibble, nibbles, symmetric};
use super::f16::{read as read_f16, write as write_f16};
use super::search::extreme;

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let d = read_f16(bytes, 0);
    for (j, v) in out.iter_mut().enumerate().take(BLOCK) {
        *v = (f32::from(nibble(&bytes[6..], j) | fifth_bit(&bytes[2..], j)) - 16.0) * d;
    }
}

/// As `quantize_row_q5_0_ref`: the value of largest magnitude becomes level −16.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let d = extreme(x) / -16.0;
    let id = inverse(d);
    let q = |j: usize| level(x[j] * id + 16.5, 31);
    write_f16(d, out, 0);
    out[2..6].copy_from_slice(&fifth_bits(q));
    nibbles(q, &mut out[6..22]);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0; BLOCK];
    write_f16(symmetric(16, x, weights, &mut levels), out, 0);
    out[2..6].copy_from_slice(&fifth_bits(|j| levels[j]));
    nibbles(|j| levels[j], &mut out[6..22]);
}
