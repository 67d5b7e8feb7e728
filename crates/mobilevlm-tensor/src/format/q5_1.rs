//! Q5_1, 24 bytes: scale f16, minimum f16, 32 fifth bits, 16 × two nibbles. x = d·q + m.

use super::block32::{
    BLOCK, asymmetric, fifth_bit, fifth_bits, inverse, level, nibble, nibbles, range,
};
use super::f16::{read as read_f16, write as write_f16};

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let (d, m) = (read_f16(bytes, 0), read_f16(bytes, 2));
    for (j, v) in out.iter_mut().enumerate().take(BLOCK) {
        *v = f32::from(nibble(&bytes[8..], j) | fifth_bit(&bytes[4..], j)) * d + m;
    }
}

/// As `quantize_row_q5_1_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let (min, max) = range(x);
    let d = (max - min) / 31.0;
    let id = inverse(d);
    let q = |j: usize| level((x[j] - min) * id + 0.5, 31);
    write_f16(d, out, 0);
    write_f16(min, out, 2);
    out[4..8].copy_from_slice(&fifth_bits(q));
    nibbles(q, &mut out[8..24]);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0; BLOCK];
    let (d, m) = asymmetric(31, x, weights, &mut levels);
    write_f16(d, out, 0);
    write_f16(m, out, 2);
    out[4..8].copy_from_slice(&fifth_bits(|j| levels[j]));
    nibbles(|j| levels[j], &mut out[8..24]);
}
