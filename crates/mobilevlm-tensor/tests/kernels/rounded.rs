//! Products of two matrices in bfloat16 against the triple loop over the numbers rounded so.

use mobilevlm_tensor::{Compute, Side, ops};

use crate::support::{Differences, ROUNDING, numbers};

/// `[m, n, k]`: below, at and above a tile, the tiles that are multiplied together, and the numbers
/// after which the next tiles follow.
const SHAPES: [[usize; 3]; 7] = [
    [1, 1, 1],
    [31, 33, 31],
    [32, 32, 32],
    [40, 17, 70],
    [300, 20, 65],
    [33, 50, 513],
    [20, 300, 1100],
];

/// The nearest number that bfloat16 has, half away from zero.
fn bf16(x: f32) -> f64 {
    f64::from(f32::from_bits((x.to_bits() + 0x8000) & 0xffff_0000))
}

pub(crate) fn check(compute: &Compute, differences: &mut Differences) {
    for [m, n, k] in SHAPES {
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let turned = |x: &[f32], columns: usize| -> Vec<f32> {
            let rows = x.len() / columns;
            let from = |at: usize| x[at % rows * columns + at / rows];
            (0..x.len()).map(from).collect()
        };
        let (left_turned, right_turned) = (turned(&left, k), turned(&right, n));
        for a in [Side::Plain(&left), Side::Transposed(&left_turned)] {
            for b in [Side::Plain(&right), Side::Transposed(&right_turned)] {
                let mut y = vec![f32::NAN; m * n];
                let kernels = compute.kernels();
                if !ops::rounded_product(kernels, [m, n, k], 0..m, a, b, &mut y) {
                    return;
                }
                for (at, &y) in y.iter().enumerate() {
                    let products = (0..k).map(|i| {
                        let (a, b) = (left[at / n * k + i], right[i * n + at % n]);
                        bf16(a) * bf16(b)
                    });
                    let (sum, size) = products.fold((0.0, 0.0), |(sum, size), product| {
                        (sum + product, size + product.abs())
                    });
                    // Each addition rounds once.
                    let bound = 2.0 * k as f64 * ROUNDING * size;
                    differences.compare(y, sum, bound, || format!("[{m}, {n}, {k}] at {at}"));
                }
            }
        }
    }
}
