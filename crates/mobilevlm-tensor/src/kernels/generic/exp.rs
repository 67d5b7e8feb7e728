//! The exponential function, on which softmax and the activations rest.

use crate::kernels::simd::Simd;

/// Below this, `exp` is 0; e^LOWEST is 1.4 times the smallest normal number.
const LOWEST: f32 = -86.98;
/// Above this, `exp` is infinite.
const HIGHEST: f32 = 88.722_83;
/// ln 2 in two parts: the first has few bits, so that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1.5 · 2²³ + 126: added to a small number, it leaves that number, rounded to an integer and
/// increased by 126, in the lowest bits. 126 is the exponent of one half.
const TO_EXPONENT: f32 = 12_583_038.0;

/// eˣ in each lane, within 2 units in the last place; 0 below [`LOWEST`].
///
/// x = n · ln 2 + r with |r| ≤ ln 2 / 2, and eʳ = 1 + r + r² · q(r), where q interpolates
/// (eʳ − 1 − r) / r² at the six Chebyshev nodes of that interval: error 2.3e-10.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    // The bound comes first in `max` and `min`: they give the second operand where one is NaN.
    let bounded = s.min(s.splat(HIGHEST), s.max(s.splat(LOWEST), x));
    let shifted = s.mul_add(
        bounded,
        s.splat(std::f32::consts::LOG2_E),
        s.splat(TO_EXPONENT),
    );
    let n = s.sub(shifted, s.splat(TO_EXPONENT));
    let r = s.mul_add(n, s.splat(-LN_2_HIGH), bounded);
    let r = s.mul_add(n, s.splat(-LN_2_LOW), r);

    let mut q = s.splat(0.000_198_910_8);
    for coefficient in [
        0.001_393_373_1,
        0.008_333_311,
        0.041_666_464,
        0.166_666_67,
        0.5,
    ] {
        q = s.mul_add(q, r, s.splat(coefficient));
    }
    let e_to_r = s.add(s.mul_add(s.mul(r, r), q, r), s.splat(1.0));

    // 2 · eʳ · 2ⁿ⁻¹, since 2¹²⁸ itself would not be a number.
    let result = s.mul(s.add(e_to_r, e_to_r), s.shift_into_exponent(shifted));
    let result = s.select_less(x, s.splat(LOWEST), s.splat(0.0), result);
    s.select_less(s.splat(HIGHEST), x, s.splat(f32::INFINITY), result)
}
