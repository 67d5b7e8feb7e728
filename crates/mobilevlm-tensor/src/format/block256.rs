//! What the K formats share: super-blocks of 256 values, and eight pairs of 6-bit numbers.

use super::f16::write as write_f16;
use super::search::{Grid, nearest, scale_and_min};

/// Values of a super-block.
pub(super) const BLOCK: usize = 256;

/// Scale and minimum `j` of eight, 6 bits each, from 12 bytes.
pub(super) fn six_bits(packed: &[u8], j: usize) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        let low = packed[j + 4];
        (
            low & 15 | packed[j - 4] >> 6 << 4,
            low >> 4 | packed[j] >> 6 << 4,
        )
    }
}

fn pack_six_bits(scales: [u8; 8], mins: [u8; 8], packed: &mut [u8]) {
    for j in 0..4 {
        packed[j] = scales[j] | scales[j + 4] >> 4 << 6;
        packed[j + 4] = mins[j] | mins[j + 4] >> 4 << 6;
        packed[j + 8] = scales[j + 4] & 15 | mins[j + 4] << 4;
    }
}

/// What each squared difference counts in Q4_K and Q5_K: the number's size, and the typical size of
/// the 32 that share its scale.
pub(super) fn sizes(x: &[f32]) -> [f32; BLOCK] {
    let mut weights = [0.0; BLOCK];
    for (x, weights) in x.chunks_exact(32).zip(weights.chunks_exact_mut(32)) {
        let mut squares = 0.0f32;
        for v in x {
            squares += v * v;
        }
        let typical = (squares / 32.0).sqrt();
        for (w, v) in weights.iter_mut().zip(x) {
            *w = typical + v.abs();
        }
    }
    weights
}

/// The part that Q4_K and Q5_K share: writes `d`, `dmin` and the packed scales, 16 bytes in all,
/// and the 256 levels.
pub(super) fn encode_eight(
    grid: &Grid,
    x: &[f32],
    weights: &[f32],
    out: &mut [u8],
    levels: &mut [u8; BLOCK],
) {
    let mut scales = [0.0f32; 8];
    let mut mins = [0.0f32; 8];
    for (j, ((x, weights), levels)) in x
        .chunks_exact(32)
        .zip(weights.chunks_exact(32))
        .zip(levels.chunks_exact_mut(32))
        .enumerate()
    {
        (scales[j], mins[j]) = scale_and_min(grid, x, weights, levels);
    }
    let greatest = |v: &[f32; 8]| v.iter().fold(0.0f32, |m, &v| if v > m { v } else { m });
    let (max_scale, max_min) = (greatest(&scales), greatest(&mins));
    let inverse = |max: f32| if max > 0.0 { 63.0 / max } else { 0.0 };
    let six =
        |values: [f32; 8], max: f32| values.map(|v| (nearest(inverse(max) * v) as u8).min(63));
    pack_six_bits(six(scales, max_scale), six(mins, max_min), &mut out[4..16]);
    let d = write_f16(max_scale / 63.0, out, 0);
    let dmin = write_f16(max_min / 63.0, out, 2);
    for (j, (x, levels)) in x
        .chunks_exact(32)
        .zip(levels.chunks_exact_mut(32))
        .enumerate()
    {
        let (scale, min) = six_bits(&out[4..16], j);
        requantise(
            d * f32::from(scale),
            dmin * f32::from(min),
            grid.top,
            x,
            levels,
        );
    }
}

/// Levels for the scale and minimum as they were stored; a zero scale leaves the levels.
pub(super) fn requantise(d: f32, min: f32, top: i32, x: &[f32], levels: &mut [u8]) {
    if d == 0.0 {
        return;
    }
    for (q, &v) in levels.iter_mut().zip(x) {
        *q = nearest((v + min) / d).clamp(0, top) as u8;
    }
}

/// As [`requantise`] for levels around zero, stored with `top` added.
pub(super) fn requantise_signed(d: f32, top: i32, x: &[f32], levels: &mut [u8]) {
    if d == 0.0 {
        return;
    }
    for (q, &v) in levels.iter_mut().zip(x) {
        *q = (nearest(v / d).clamp(-top, top - 1) + top) as u8;
    }
}

/// Packs the low two bits of 256 levels into 64 bytes, four rows of 32 to a byte.
pub(super) fn pack_two_bits(levels: &[u8; BLOCK], out: &mut [u8]) {
    for (half, out) in levels.chunks_exact(128).zip(out.chunks_exact_mut(32)) {
        for l in 0..32 {
            out[l] = (0..4).fold(0, |byte, row| byte | (half[l + 32 * row] & 3) << (2 * row));
        }
    }
}

/// Level `i` of 256 as [`pack_two_bits`] wrote it.
pub(super) fn two_bits(packed: &[u8], i: usize) -> u8 {
    packed[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3
}
