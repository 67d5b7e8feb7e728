//! Q5_K, 176 bytes for 256 values: as Q4_K, with 256 fifth bits before the nibbles.
//! x = d·scale·q − dmin·min.

use super::block256::{BLOCK, encode_eight, six_bits, sizes};
use super::f16::read as read_f16;
use super::search::Grid;

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let (d, dmin) = (read_f16(bytes, 0), read_f16(bytes, 2));
    for (i, v) in out.iter_mut().enumerate().take(BLOCK) {
        let (scale, min) = six_bits(&bytes[4..16], i / 32);
        let low = bytes[48 + i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
        let high = bytes[16 + i % 32] >> (i / 32) & 1;
        *v = d * f32::from(scale) * f32::from(low | high << 4) - dmin * f32::from(min);
    }
}

/// As `quantize_row_q5_K_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    weighted(x, &sizes(x), out);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0u8; BLOCK];
    encode_eight(
        &Grid {
            top: 31,
            first: -0.5,
            steps: 15,
            absolute: false,
        },
        x,
        weights,
        out,
        &mut levels,
    );
    out[16..48].fill(0);
    for (i, &q) in levels.iter().enumerate() {
        out[16 + i % 32] |= (q >> 4) << (i / 32);
    }
    for (rows, out) in levels
        .chunks_exact(64)
        .zip(out[48..176].chunks_exact_mut(32))
    {
        for l in 0..32 {
            out[l] = rows[l] & 15 | rows[l + 32] << 4;
        }
    }
}
