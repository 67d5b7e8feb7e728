//! Q2_K, 84 bytes for 256 values: sixteen 4-bit scales and minima, 256 × 2 bits, d, dmin (f16).
//! x = d·scale·q − dmin·min.

use super::block256::{BLOCK, pack_two_bits, requantise, two_bits};
use super::f16::{read as read_f16, write as write_f16};
use super::search::{Grid, nearest, scale_and_min};

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let (d, dmin) = (read_f16(bytes, 80), read_f16(bytes, 82));
    for (i, v) in out.iter_mut().enumerate().take(BLOCK) {
        let packed = bytes[i / 16];
        let (scale, min) = (d * f32::from(packed & 15), dmin * f32::from(packed >> 4));
        *v = scale * f32::from(two_bits(&bytes[16..80], i)) - min;
    }
}

/// As `quantize_row_q2_K_ref`.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let weights: [f32; BLOCK] = std::array::from_fn(|i| x[i].abs());
    search(true, x, &weights, out);
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    search(false, x, weights, out);
}

fn search(absolute: bool, x: &[f32], weights: &[f32], out: &mut [u8]) {
    let grid = Grid {
        top: 3,
        first: -0.5,
        steps: 15,
        absolute,
    };
    let mut levels = [0u8; BLOCK];
    let mut scales = [0.0f32; 16];
    let mut mins = [0.0f32; 16];
    for (j, ((x, weights), levels)) in x
        .chunks_exact(16)
        .zip(weights.chunks_exact(16))
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        (scales[j], mins[j]) = scale_and_min(&grid, x, weights, levels);
    }
    let greatest = |v: &[f32; 16]| v.iter().fold(0.0f32, |m, &v| if v > m { v } else { m });
    let four = |v: f32, max: f32| {
        if max > 0.0 {
            nearest(15.0 / max * v) as u8
        } else {
            0
        }
    };
    let (max_scale, max_min) = (greatest(&scales), greatest(&mins));
    for j in 0..16 {
        out[j] = four(scales[j], max_scale) | four(mins[j], max_min) << 4;
    }
    let d = write_f16(max_scale / 15.0, out, 80);
    let dmin = write_f16(max_min / 15.0, out, 82);
    for (j, (x, levels)) in x
        .chunks_exact(16)
        .zip(levels.chunks_exact_mut(16))
        .enumerate()
    {
        requantise(
            d * f32::from(out[j] & 15),
            dmin * f32::from(out[j] >> 4),
            3,
            x,
            levels,
        );
    }
    pack_two_bits(&levels, &mut out[16..80]);
}
