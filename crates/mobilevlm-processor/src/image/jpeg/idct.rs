//! The inverse cosine transform: libjpeg's accurate integer one.
//!
//! Loeffler, Ligtenberg and Moschytz' algorithm with 13 fractional bits, two of which survive the
//! first pass. Upstream: `jidctint.c`; where numbers overflow, which no encoder makes them do,
//! what its vector versions do (products wrap, the first pass saturates to 16 bits).

use std::num::Wrapping;

const CONST_BITS: usize = 13;
const PASS1_BITS: usize = 2;

type Number = Wrapping<i32>;

/// A constant of the algorithm with 13 fractional bits.
const fn fix(value: f64) -> Number {
    Wrapping((value * (1 << CONST_BITS) as f64 + 0.5) as i32)
}

/// Samples of one block, row by row, from its coefficients in natural order.
pub(super) fn block(coefficients: &[i16; 64], quantisation: &[u16; 64]) -> [[u8; 8]; 8] {
    if coefficients[1..].iter().all(|&value| value == 0) {
        let dc = i32::from(coefficients[0].wrapping_mul(quantisation[0] as i16));
        return [[level((dc + 4) >> 3); 8]; 8];
    }
    let mut rows = [[Wrapping(0); 8]; 8];
    for (at, (&value, &step)) in coefficients.iter().zip(quantisation).enumerate() {
        rows[at / 8][at % 8] = Wrapping(i32::from(value.wrapping_mul(step as i16)));
    }
    // Each pass works down the columns, eight side by side, which compilers make vectors of.
    let columns = pass(&rows, CONST_BITS - PASS1_BITS);
    let saturated = columns.map(|row| row.map(|v| Wrapping(v.0.clamp(-0x8000, 0x7fff))));
    let rows = pass(&transpose(&saturated), CONST_BITS + PASS1_BITS + 3);
    transpose(&rows).map(|row| row.map(|v| level(v.0)))
}

fn level(sample: i32) -> u8 {
    sample.saturating_add(128).clamp(0, 255) as u8
}

fn transpose(rows: &[[Number; 8]; 8]) -> [[Number; 8]; 8] {
    std::array::from_fn(|y| std::array::from_fn(|x| rows[x][y]))
}

/// One dimension for eight columns at once, rounded by `shift` bits.
#[inline]
fn pass(input: &[[Number; 8]; 8], shift: usize) -> [[Number; 8]; 8] {
    let mut out = [[Wrapping(0); 8]; 8];
    let half = Wrapping(1 << (shift - 1));
    for lane in 0..8 {
        let [in0, in1, in2, in3, in4, in5, in6, in7]: [Number; 8] =
            std::array::from_fn(|row| input[row][lane]);

        let z1 = (in2 + in6) * fix(0.541196100);
        let even2 = z1 - in6 * fix(1.847759065);
        let even3 = z1 + in2 * fix(0.765366865);
        let even0 = (in0 + in4) << CONST_BITS;
        let even1 = (in0 - in4) << CONST_BITS;
        let sums = [even0 + even3, even1 + even2, even1 - even2, even0 - even3];

        let z5 = (in7 + in3 + in5 + in1) * fix(1.175875602);
        let z1 = (in7 + in1) * fix(0.899976223);
        let z2 = (in5 + in3) * fix(2.562915447);
        let z3 = z5 - (in7 + in3) * fix(1.961570560);
        let z4 = z5 - (in5 + in1) * fix(0.390180644);
        let odds = [
            in1 * fix(1.501321110) - z1 + z4,
            in3 * fix(3.072711026) - z2 + z3,
            in5 * fix(2.053119869) - z2 + z4,
            in7 * fix(0.298631336) - z1 + z3,
        ];

        for (at, (sum, odd)) in sums.into_iter().zip(odds).enumerate() {
            out[at][lane] = (sum + odd + half) >> shift;
            out[7 - at][lane] = (sum - odd + half) >> shift;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in float64.
    fn exact(coefficients: &[i16; 64]) -> [f64; 64] {
        let basis = |u: usize, x: usize| {
            let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
            let angle = (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0;
            scale * angle.cos() / 2.0
        };
        std::array::from_fn(|at| {
            let (y, x) = (at / 8, at % 8);
            (0..64)
                .map(|k| f64::from(coefficients[k]) * basis(k / 8, y) * basis(k % 8, x))
                .sum()
        })
    }

    #[test]
    fn stays_within_one_level_of_the_definition() {
        let mut state = 1_u32;
        let mut random = |range: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as i32 % (2 * range + 1) - range) as i16
        };
        for round in 0..500 {
            let mut block_in = [0; 64];
            for (k, value) in block_in.iter_mut().enumerate() {
                if k <= round % 64 {
                    *value = random(100);
                }
            }
            let expected = exact(&block_in);
            let found = block(&block_in, &[1; 64]);
            for (at, expected) in expected.iter().enumerate() {
                let expected = (expected + 128.0).clamp(0.0, 255.0);
                let error = (f64::from(found[at / 8][at % 8]) - expected).abs();
                assert!(error < 0.6, "round {round}, sample {at}: {error}");
            }
        }
    }

    #[test]
    fn any_coefficients_end_in_a_block() {
        for value in [i16::MIN, i16::MAX] {
            for step in [1, 255, u16::MAX] {
                block(&[value; 64], &[step; 64]);
            }
        }
        // Flat blocks take the short way: the same as the long way with a coefficient that
        // quantisation makes nothing of.
        for dc in [-2048, -1000, -4, -1, 0, 3, 4, 5, 1000, 2047] {
            let mut flat = [0; 64];
            flat[0] = dc;
            let mut steps = [1; 64];
            steps[63] = 0;
            let mut long = flat;
            long[63] = 1;
            assert_eq!(block(&flat, &steps), block(&long, &steps), "{dc}");
        }
    }
}
