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

/// 2ˣ in each lane for x ≤ 0, within 7e-6 of its value; 2⁻³⁰ for any smaller x.
///
/// x = n + r with |r| ≤ 1/2, and 2ʳ = 1 + r · q(r), where q interpolates (2ʳ − 1) / r at the four
/// Chebyshev nodes of that interval.
#[inline(always)]
pub(super) fn exp2_coarse<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    /// 1.5 · 2²³ + 127, as [`TO_EXPONENT`] with the exponent of one.
    const TO_EXPONENT: f32 = 12_583_039.0;
    // The bound comes first: `max` gives the second operand where one is NaN.
    let bounded = s.max(s.splat(-30.0), x);
    let shifted = s.add(bounded, s.splat(TO_EXPONENT));
    let r = s.sub(bounded, s.sub(shifted, s.splat(TO_EXPONENT)));
    let mut q = s.splat(0.009_656_71);
    for coefficient in [0.055_838_283, 0.240_225_3, 0.693_136_75] {
        q = s.mul_add(q, r, s.splat(coefficient));
    }
    s.mul(
        s.mul_add(q, r, s.splat(1.0)),
        s.shift_into_exponent(shifted),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::portable::Portable;
    use crate::kernels::{Kernels, tables};

    /// The units in the last place by which `found` misses eˣ.
    fn units(x: f32, found: f32) -> f64 {
        let expected = f64::from(x).exp();
        let unit = f64::from((expected as f32).next_up()) - f64::from(expected as f32);
        (f64::from(found) - expected).abs() / unit
    }

    #[test]
    fn within_two_units_in_every_table() {
        for table in tables() {
            let Some(kernels) = table.kernels() else {
                println!(
                    "{}: skipped, this machine lacks {}",
                    table.name,
                    table.missing.join(", ")
                );
                continue;
            };
            let mut worst = (0.0, 0.0);
            // From just above where the result is 0 to just below where it is infinite.
            for step in 0..1_000_000 {
                let x = -86.9 + step as f32 * (88.7 + 86.9) / 1e6;
                worst = max(worst, (units(x, exp_with(kernels, x)), x));
            }
            assert!(
                worst.0 <= 2.0,
                "{}: {} units at {}",
                table.name,
                worst.0,
                worst.1
            );

            let exp = |x| exp_with(kernels, x);
            assert_eq!([exp(0.0), exp(-0.0)], [1.0, 1.0], "{}", table.name);
            assert_eq!(
                [exp(-87.0), exp(-1e30), exp(f32::NEG_INFINITY)],
                [0.0; 3],
                "{}",
                table.name
            );
            assert_eq!(
                [exp(88.8), exp(f32::INFINITY)],
                [f32::INFINITY; 2],
                "{}",
                table.name
            );
            assert!(exp(f32::NAN).is_nan(), "{}", table.name);
        }
    }

    fn max(a: (f64, f32), b: (f64, f32)) -> (f64, f32) {
        if b.0 > a.0 { b } else { a }
    }

    /// [`exp`] with the vectors of a table that the machine can run.
    fn exp_with(kernels: &Kernels, x: f32) -> f32 {
        fn first_lane<S: Simd>(s: S, x: f32) -> f32 {
            let mut lanes = [0.0; 16];
            s.write(exp(s, s.splat(x)), &mut lanes);
            lanes[0]
        }
        match kernels.name() {
            "portable" => first_lane(Portable, x),
            // SAFETY: `kernels` is the table of this name, so the machine has its features.
            #[cfg(target_arch = "x86_64")]
            "avx2" => first_lane(unsafe { crate::kernels::avx2::Avx2::new() }, x),
            // SAFETY: the same. `amx` has the vectors of `avx512`.
            #[cfg(target_arch = "x86_64")]
            "avx512" | "amx" => first_lane(unsafe { crate::kernels::avx512::Avx512::new() }, x),
            // SAFETY: the same.
            #[cfg(target_arch = "aarch64")]
            "neon" | "neon_dot" | "neon_i8mm" => {
                first_lane(unsafe { <crate::kernels::neon::Neon>::new() }, x)
            }
            other => panic!("no test of the exponential for table {other}"),
        }
    }
}
