//! Q4_0, 18 bytes: scale f16, 16 × two nibbles. x = d·(q − 8).

use super::block32::{BLOCK, inverse, level, nibble, nibbles, symmetric};
use super::f16::{read as read_f16, write as write_f16};
use super::search::extreme;

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let d = read_f16(bytes, 0);
    for (j, v) in out.iter_mut().enumerate().take(BLOCK) {
        *v = (f32::from(nibble(&bytes[2..], j)) - 8.0) * d;
    }
}

/// As `quantize_row_q4_0_ref`: the value of largest magnitude becomes level −8.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let d = extreme(x) / -8.0;
    let id = inverse(d);
    write_f16(d, out, 0);
    nibbles(|j| level(x[j] * id + 8.5, 15), &mut out[2..18]);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0; BLOCK];
    write_f16(symmetric(8, x, weights, &mut levels), out, 0);
    nibbles(|j| levels[j], &mut out[2..18]);
}
