//! Q4_K, 144 bytes for 256 values: d, dmin (f16), eight 6-bit scales and minima, 256 × 4 bits.
//! x = d·scale·q − dmin·min.

use super::block256::{BLOCK, encode_eight, six_bits, sizes};
use super::f16::read as read_f16;
use super::search::Grid;

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let (d, dmin) = (read_f16(bytes, 0), read_f16(bytes, 2));
    for (i, v) in out.iter_mut().enumerate().take(BLOCK) {
        let (scale, min) = six_bits(&bytes[4..16], i / 32);
        let q = bytes[16 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
        *v = d * f32::from(scale) * f32::from(q) - dmin * f32::from(min);
    }
}

/// As `quantize_row_q4_K_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    weighted(x, &sizes(x), out);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0u8; BLOCK];
    encode_eight(
        &Grid {
            top: 15,
            first: -1.0,
            steps: 20,
            absolute: false,
        },
        x,
        weights,
        out,
        &mut levels,
    );
    for (rows, out) in levels
        .chunks_exact(64)
        .zip(out[16..144].chunks_exact_mut(32))
    {
        for l in 0..32 {
            out[l] = rows[l] | rows[l + 32] << 4;
        }
    }
}
