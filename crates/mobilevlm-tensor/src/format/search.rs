//! Searches for the scale (and minimum) of a block, in float32 and in the order that ggml sums.
//!
//! Quantised bytes are compared with ggml's byte by byte, so each expression here is evaluated in
//! the same order and without fused multiply-add as `make_qkx2_quants`, `make_qx_quants` and
//! `make_q3_quants` of `ggml-quants.c`.

use super::block256::BLOCK;

/// Rounds half to even by adding 1.5·2²³, as ggml's `nearest_int` does; defined for |v| < 2²².
pub(super) fn nearest(v: f32) -> i32 {
    ((v + 12_582_912.0).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// Below this a block counts as all zeros.
pub(super) const ZERO: f32 = 1e-15;

/// The value of largest magnitude, the first of equals; zero for an empty or all-zero block.
pub(super) fn extreme(x: &[f32]) -> f32 {
    let mut extreme = 0.0f32;
    for &v in x {
        if v.abs() > extreme.abs() {
            extreme = v;
        }
    }
    extreme
}

/// How [`scale_and_min`] tries scales: `steps + 1` of them around the range of the block.
pub(super) struct Grid {
    pub(super) top: i32,
    pub(super) first: f32,
    pub(super) steps: i32,
    /// Weigh absolute instead of squared differences.
    pub(super) absolute: bool,
}

/// The scale and the (negated) minimum that lose least: x ≈ scale·q − minimum, q in `0..=top`.
///
/// Writes the levels q that they were found with.
pub(super) fn scale_and_min(
    grid: &Grid,
    x: &[f32],
    weights: &[f32],
    levels: &mut [u8],
) -> (f32, f32) {
    let top = grid.top as f32;
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = weights[0];
    let mut sum_x = sum_w * x[0];
    for (&v, &w) in x.iter().zip(weights).skip(1) {
        if v < min {
            min = v;
        }
        if v > max {
            max = v;
        }
        sum_w += w;
        sum_x += w * v;
    }
    if min > 0.0 {
        min = 0.0;
    }
    if max == min {
        levels.fill(0);
        return (0.0, -min);
    }
    let level =
        |inverse: f32, least: f32, v: f32| nearest(inverse * (v - least)).clamp(0, grid.top) as f32;
    let loss = |scale: f32, least: f32, inverse: f32, origin: f32| {
        let mut sum = 0.0;
        for (&v, &w) in x.iter().zip(weights) {
            let difference = scale * level(inverse, origin, v) + least - v;
            sum += w * if grid.absolute {
                difference.abs()
            } else {
                difference * difference
            };
        }
        sum
    };
    let origin = min;
    let inverse = top / (max - min);
    let mut scale = 1.0 / inverse;
    let mut least_loss = loss(scale, min, inverse, origin);
    let mut best = (inverse, origin);
    for step in 0..=grid.steps {
        // Later steps start from the best minimum so far, not from the least value.
        let inverse = (grid.first + 0.1 * step as f32 + top) / (max - min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for (&v, &w) in x.iter().zip(weights) {
            let l = level(inverse, min, v);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * v;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let this_loss = loss(this_scale, this_min, inverse, min);
            if this_loss < least_loss {
                least_loss = this_loss;
                best = (inverse, min);
                scale = this_scale;
                min = this_min;
            }
        }
    }
    for (q, &v) in levels.iter_mut().zip(x) {
        *q = level(best.0, best.1, v) as u8;
    }
    (scale, -min)
}

/// What each squared difference counts in the formats with scales alone: the square of the number.
pub(super) fn squares(x: &[f32]) -> [f32; BLOCK] {
    std::array::from_fn(|i| x[i] * x[i])
}

/// The scale that loses least in Σ w·(x − scale·q)², q in `-top..top`. Writes q + top.
pub(super) fn scale(top: i32, x: &[f32], weights: &[f32], levels: &mut [u8]) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO {
        levels.fill(0);
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
        for (&v, &w) in x.iter().zip(weights) {
            let l = nearest(inverse * v).clamp(-top, top - 1) as f32;
            sum_lx += w * v * l;
            sum_l2 += w * l * l;
        }
        (sum_lx, sum_l2)
    };
    let mut best_inverse = -(top as f32) / extreme;
    let (sum_lx, sum_l2) = sums(best_inverse);
    let mut scale = if sum_l2 != 0.0 { sum_lx / sum_l2 } else { 0.0 };
    let mut best = scale * sum_lx;
    for step in (-9..=9).filter(|&step| step != 0) {
        let inverse = -(top as f32 + 0.1 * step as f32) / extreme;
        let (sum_lx, sum_l2) = sums(inverse);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            best_inverse = inverse;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    for (q, &v) in levels.iter_mut().zip(x) {
        *q = (nearest(best_inverse * v).clamp(-top, top - 1) + top) as u8;
    }
    scale
}

/// The scale for few levels: each level in turn is moved to where it serves the others best.
/// Writes q + top.
pub(super) fn scale_by_coordinate(top: i32, x: &[f32], weights: &[f32], q: &mut [u8]) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO {
        q.fill(0);
        return 0.0;
    }
    let inverse = -(top as f32) / extreme;
    let mut levels = [0.0f32; 16];
    let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
    for ((level, &v), &w) in levels.iter_mut().zip(x).zip(weights) {
        let l = nearest(inverse * v).clamp(-top, top - 1) as f32;
        *level = l;
        sum_lx += w * v * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for ((level, &v), &w) in levels.iter_mut().zip(x).zip(weights) {
            let mut rest_lx = sum_lx - w * v * *level;
            if rest_lx <= 0.0 {
                continue;
            }
            let mut rest_l2 = sum_l2 - w * *level * *level;
            let l = nearest(v * rest_l2 / rest_lx).clamp(-top, top - 1) as f32;
            if l == *level {
                continue;
            }
            rest_lx += w * v * l;
            rest_l2 += w * l * l;
            if rest_l2 > 0.0 && rest_lx * rest_lx * sum_l2 > sum_lx * sum_lx * rest_l2 {
                (*level, sum_lx, sum_l2) = (l, rest_lx, rest_l2);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for (q, &l) in q.iter_mut().zip(&levels) {
        *q = (l as i32 + top) as u8;
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}
