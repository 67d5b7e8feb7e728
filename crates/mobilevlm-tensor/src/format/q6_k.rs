//! Q6_K, 210 bytes for 256 values: 256 × 4 low bits, 256 × 2 high bits, sixteen i8 scales, d (f16).
//! x = d·scale·(q − 32).

use super::block256::{BLOCK, pack_two_bits, requantise_signed, two_bits};
use super::f16::{read as read_f16, write as write_f16};
use super::search::{ZERO, nearest, scale, squares};

/// Where the low nibble of value `i` lies: byte, shift. Rows of 32: 0 and 2 share bytes, 1 and 3.
fn low_place(i: usize) -> (usize, usize) {
    (i / 128 * 64 + i % 64, i % 128 / 64 * 4)
}

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let d = read_f16(bytes, 208);
    for (i, v) in out.iter_mut().enumerate().take(BLOCK) {
        let (byte, shift) = low_place(i);
        let q = (bytes[byte] >> shift & 15 | two_bits(&bytes[128..192], i) << 4) as i8 - 32;
        *v = d * f32::from(bytes[192 + i / 16] as i8) * f32::from(q);
    }
}

/// As `quantize_row_q6_K_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    weighted(x, &squares(x), out);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    out.fill(0);
    let mut levels = [0u8; BLOCK];
    let mut scales = [0.0f32; 16];
    let mut extreme = 0.0f32;
    for (j, ((x, weights), levels)) in x
        .chunks_exact(16)
        .zip(weights.chunks_exact(16))
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        scales[j] = scale(32, x, weights, levels);
        if scales[j].abs() > extreme.abs() {
            extreme = scales[j];
        }
    }
    if extreme.abs() < ZERO {
        return;
    }
    let inverse = -128.0 / extreme;
    let d = write_f16(1.0 / inverse, out, 208);
    for (j, (x, levels)) in x
        .chunks_exact(16)
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        let scale = nearest(inverse * scales[j]).min(127) as i8;
        out[192 + j] = scale as u8;
        requantise_signed(d * f32::from(scale), 32, x, levels);
    }
    for (i, &q) in levels.iter().enumerate() {
        let (byte, shift) = low_place(i);
        out[byte] |= (q & 15) << shift;
    }
    pack_two_bits(&levels.map(|q| q >> 4), &mut out[128..192]);
}
