//! Functions of one number, and of two, for each element of a slice.

use super::exp::exp;
use crate::kernels::simd::Simd;

/// A function of one number.
pub(crate) trait Function {
    /// The function in each lane.
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector;
}

/// Replaces each element of `x` by the function's value.
#[inline(always)]
pub(crate) fn map<S: Simd, F: Function>(s: S, x: &mut [f32]) {
    let mut chunks = x.chunks_exact_mut(S::LANES);
    for chunk in &mut chunks {
        s.write(F::apply(s, s.read(chunk)), chunk);
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        s.write_partial(F::apply(s, s.read_partial(rest)), rest);
    }
}

/// `x ← x + y`.
#[inline(always)]
pub(crate) fn add<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    let mut xs = x.chunks_exact_mut(S::LANES);
    let mut ys = y.chunks_exact(S::LANES);
    for (x, y) in (&mut xs).zip(&mut ys) {
        s.write(s.add(s.read(x), s.read(y)), x);
    }
    for (x, y) in xs.into_remainder().iter_mut().zip(ys.remainder()) {
        *x += y;
    }
}

/// `gate ← silu(gate) · up`.
#[inline(always)]
pub(crate) fn silu_mul<S: Simd>(s: S, gate: &mut [f32], up: &[f32]) {
    let mut gates = gate.chunks_exact_mut(S::LANES);
    let mut ups = up.chunks_exact(S::LANES);
    for (gate, up) in (&mut gates).zip(&mut ups) {
        let x = s.read(gate);
        s.write(s.mul(s.mul(x, sigmoid(s, x)), s.read(up)), gate);
    }
    let (gate, up) = (gates.into_remainder(), ups.remainder());
    if !gate.is_empty() {
        let x = s.read_partial(gate);
        s.write_partial(s.mul(s.mul(x, sigmoid(s, x)), s.read_partial(up)), gate);
    }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// x · Φ(x) with the normal distribution's Φ(x) = (1 + erf(x / √2)) / 2, within 1e-7 of |x| + 1e-7.
pub(crate) struct Gelu;

impl Function for Gelu {
    /// x · Φ(x) = max(x, 0) − |x| / 2 · erfc(|x| / √2), which loses no digits for negative x.
    ///
    /// erfc(t) = e^(−t²) · u · p(u) with u = 1 / (1 + 0.35 t), the form of Abramowitz and Stegun
    /// 7.1.26; p interpolates at the ten Chebyshev nodes of u in [0.08, 1]: error 1.4e-8.
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector {
        let zero = s.splat(0.0);
        let one = s.splat(1.0);
        // The zero comes first: `max` gives the second operand where one is NaN.
        let positive = s.max(zero, x);
        let size = s.max(s.sub(zero, x), x);
        let t = s.mul(size, s.splat(std::f32::consts::FRAC_1_SQRT_2));
        let u = s.div(one, s.mul_add(t, s.splat(0.35), one));
        let mut p = s.splat(0.044_250_71);
        for coefficient in [
            -0.190_468_56,
            0.254_983_22,
            -0.124_744_21,
            0.166_764_37,
            0.103_812_82,
            0.165_571_05,
            0.184_866_94,
            0.197_498_17,
            0.197_465_52,
        ] {
            p = s.mul_add(p, u, s.splat(coefficient));
        }
        let gaussian = exp(s, s.mul(s.sub(zero, t), t));
        let erfc = s.mul(s.mul(gaussian, u), p);
        // Infinity times zero has no value, and the limit is zero.
        let below = s.select_less(
            zero,
            erfc,
            s.mul(s.mul(size, s.splat(0.5)), erfc),
            s.mul(erfc, s.splat(0.5)),
        );
        s.sub(positive, below)
    }
}

/// x · sigmoid(1.702 x), as in CLIP.
pub(crate) struct QuickGelu;

impl Function for QuickGelu {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector {
        s.mul(x, sigmoid(s, s.mul(x, s.splat(1.702))))
    }
}

/// max(x, 0).
pub(crate) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector {
        s.max(s.splat(0.0), x)
    }
}

/// min(max(x + 3, 0), 6) / 6.
pub(crate) struct HardSigmoid;

impl Function for HardSigmoid {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector {
        let shifted = s.max(s.splat(0.0), s.add(x, s.splat(3.0)));
        s.div(s.min(s.splat(6.0), shifted), s.splat(6.0))
    }
}

/// x · hard_sigmoid(x).
pub(crate) struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::Vector) -> S::Vector {
        s.mul(x, HardSigmoid::apply(s, x))
    }
}
