//! Normalisation of rows.

use crate::kernels::simd::Simd;

/// Each row of `out`: the row of `x` divided by the root of its mean square, times `weight`.
#[inline(always)]
pub(crate) fn rms_norm<S: Simd>(s: S, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean_square = sum_of_squares(s, x, 0.0) / width as f32;
        let scale = 1.0 / (mean_square + eps).sqrt();
        let mut outs = out.chunks_exact_mut(S::LANES);
        let mut xs = x.chunks_exact(S::LANES);
        let mut weights = weight.chunks_exact(S::LANES);
        for ((out, x), weight) in (&mut outs).zip(&mut xs).zip(&mut weights) {
            s.write(s.mul(s.mul(s.read(x), s.splat(scale)), s.read(weight)), out);
        }
        let rest = outs
            .into_remainder()
            .iter_mut()
            .zip(xs.remainder())
            .zip(weights.remainder());
        for ((out, x), weight) in rest {
            *out = x * scale * weight;
        }
    }
}

/// Each row of `out`: the row of `x` with mean 0 and variance 1, times `weight` plus `bias`.
#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(
    s: S,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    out: &mut [f32],
) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(s, x) / width as f32;
        // The second pass over the row costs little and keeps the digits that
        // mean(x²) − mean(x)² would lose.
        let variance = sum_of_squares(s, x, mean) / width as f32;
        let scale = 1.0 / (variance + eps).sqrt();
        let mut outs = out.chunks_exact_mut(S::LANES);
        let mut xs = x.chunks_exact(S::LANES);
        let mut weights = weight.chunks_exact(S::LANES);
        let mut biases = bias.chunks_exact(S::LANES);
        for (((out, x), weight), bias) in
            (&mut outs).zip(&mut xs).zip(&mut weights).zip(&mut biases)
        {
            let normal = s.mul(s.sub(s.read(x), s.splat(mean)), s.splat(scale));
            s.write(s.mul_add(normal, s.read(weight), s.read(bias)), out);
        }
        let rest = outs.into_remainder().iter_mut().zip(xs.remainder());
        for ((out, x), (weight, bias)) in
            rest.zip(weights.remainder().iter().zip(biases.remainder()))
        {
            *out = (x - mean) * scale * weight + bias;
        }
    }
}

/// Four vectors are summed side by side, so that one addition need not wait for the last.
const SIDE: usize = 4;

#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sums = [s.splat(0.0); SIDE];
    let mut groups = x.chunks_exact(SIDE * S::LANES);
    for group in &mut groups {
        for (sum, x) in sums.iter_mut().zip(group.chunks_exact(S::LANES)) {
            *sum = s.add(*sum, s.read(x));
        }
    }
    let total: f32 = s.sums(sums).into_iter().sum();
    total + groups.remainder().iter().sum::<f32>()
}

/// Σ (x − centre)².
#[inline(always)]
pub(super) fn sum_of_squares<S: Simd>(s: S, x: &[f32], centre: f32) -> f32 {
    let mut sums = [s.splat(0.0); SIDE];
    let mut groups = x.chunks_exact(SIDE * S::LANES);
    for group in &mut groups {
        for (sum, x) in sums.iter_mut().zip(group.chunks_exact(S::LANES)) {
            let x = s.sub(s.read(x), s.splat(centre));
            *sum = s.mul_add(x, x, *sum);
        }
    }
    let total: f32 = s.sums(sums).into_iter().sum();
    total
        + groups
            .remainder()
            .iter()
            .map(|x| (x - centre) * (x - centre))
            .sum::<f32>()
}
