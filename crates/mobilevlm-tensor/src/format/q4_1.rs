//! Q4_1, 20 bytes: scale f16, minimum f16, 16 × two nibbles. x = d·q + m.

use super::block32::{BLOCK, asymmetric, inverse, level, nibble, nibbles, range};
use super::f16::{read as read_f16, write as write_f16};

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let (d, m) = (read_f16(bytes, 0), read_f16(bytes, 2));
    for (j, v) in out.iter_mut().enumerate().take(BLOCK) {
        *v = f32::from(nibble(&bytes[4..], j)) * d + m;
    }
}

/// As `quantize_row_q4_1_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let (min, max) = range(x);
    let d = (max - min) / 15.0;
    let id = inverse(d);
    write_f16(d, out, 0);
    write_f16(min, out, 2);
    nibbles(|j| level((x[j] - min) * id + 0.5, 15), &mut out[4..20]);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0; BLOCK];
    let (d, m) = asymmetric(15, x, weights, &mut levels);
    write_f16(d, out, 0);
    write_f16(m, out, 2);
    nibbles(|j| levels[j], &mut out[4..20]);
}
