//! Q8_0, 34 bytes: scale f16, 32 × i8. x = d·q.

use super::block32::{BLOCK, inverse, symmetric};
use super::f16::{read as read_f16, write as write_f16};

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    let d = read_f16(bytes, 0);
    for (v, &q) in out.iter_mut().zip(&bytes[2..34]) {
        *v = f32::from(q as i8) * d;
    }
}

/// As `quantize_row_q8_0_ref`: d = max|x| / 127, levels rounded half away from zero.
pub(super) fn encode(x: &[f32], out: &mut [u8]) {
    let d = x
        .iter()
        .fold(0.0f32, |m, v| if v.abs() > m { v.abs() } else { m })
        / 127.0;
    let id = inverse(d);
    write_f16(d, out, 0);
    for (q, &v) in out[2..34].iter_mut().zip(x) {
        *q = (v * id).round() as i8 as u8;
    }
}

/// As [`encode`], with the least loss for these weights of squared differences.
pub(super) fn weighted(x: &[f32], weights: &[f32], out: &mut [u8]) {
    let mut levels = [0; BLOCK];
    // Without level −128, which has no opposite: integer kernels need one.
    write_f16(symmetric(127, x, weights, &mut levels), out, 0);
    for (byte, q) in out[2..34].iter_mut().zip(levels) {
        *byte = q.wrapping_sub(127);
    }
}
