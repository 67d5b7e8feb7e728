//! Q3_K, 110 bytes for 256 values: 256 high bits, 256 × 2 low bits, sixteen 6-bit scales, d (f16).
//! x = d·(scale − 32)·(q − 4).

use super::block256::{BLOCK, pack_two_bits, requantise_signed, two_bits};
use super::f16::{read as read_f16, write as write_f16};
use super::search::{nearest, scale_by_coordinate, squares};

/// Scale `j` of sixteen, −32..=31, from 12 bytes: nibbles first, then the upper two bits.
fn scale(packed: &[u8], j: usize) -> i8 {
    let low = if j < 8 {
        packed[j] & 15
    } else {
        packed[j - 8] >> 4
    };
    let high = packed[8 + j % 4] >> (2 * (j / 4)) & 3;
    (low | high << 4) as i8 - 32
}

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let d = read_f16(bytes, 108);
    for (i, v) in out.iter_mut().enumerate().take(BLOCK) {
        let high = bytes[i % 32] >> (i / 32) & 1;
        let q = (two_bits(&bytes[32..96], i) | high << 2) as i8 - 4;
        *v = d * f32::from(scale(&bytes[96..108], i / 16)) * f32::from(q);
    }
}

/// As `quantize_row_q3_K_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    weighted(x, &squares(x), out);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0u8; BLOCK];
    let mut scales = [0.0f32; 16];
    let mut extreme = 0.0f32;
    for (j, ((x, weights), levels)) in x
        .chunks_exact(16)
        .zip(weights.chunks_exact(16))
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        scales[j] = scale_by_coordinate(4, x, weights, levels);
        if scales[j].abs() > extreme.abs() {
            extreme = scales[j];
        }
    }
    out.fill(0);
    let inverse = -32.0 / extreme;
    let d = if extreme != 0.0 {
        for (j, &s) in scales.iter().enumerate() {
            let l = (nearest(inverse * s) as i8).clamp(-32, 31) + 32;
            let l = l as u8;
            out[96 + j % 8] |= (l & 15) << (4 * (j / 8));
            out[104 + j % 4] |= l >> 4 << (2 * (j / 4));
        }
        write_f16(1.0 / inverse, out, 108)
    } else {
        write_f16(0.0, out, 108)
    };
    for (j, (x, levels)) in x
        .chunks_exact(16)
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        requantise_signed(d * f32::from(scale(&out[96..108], j)), 4, x, levels);
    }
    for (i, &q) in levels.iter().enumerate() {
        out[i % 32] |= (q >> 2) << (i / 32);
    }
    pack_two_bits(&levels, &mut out[32..96]);
}
