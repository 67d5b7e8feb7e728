//! Rotary embedding against rotation by the angle of the definition.

use mobilevlm_tensor::{Compute, ops};

use crate::support::{Differences, ROUNDING, numbers};

pub(crate) fn check(compute: &Compute, differences: &mut Differences) {
    for head_dim in [2, 6, 8, 16, 18, 64, 80, 128] {
        for (heads, positions) in [(1, vec![0]), (3, vec![5, 0, 2047]), (2, (0..600).collect())] {
            let theta = 10_000f32;
            let angles = ops::Rotary::new(head_dim, theta, 2048);
            let width = heads * head_dim;
            let x = numbers(positions.len() * width, 1);
            let mut found = x.clone();
            ops::rotary(compute, &mut found, head_dim, &angles, &positions);
            for (at, &found) in found.iter().enumerate() {
                let (number, half) = (at % head_dim, head_dim / 2);
                let pair = number % half;
                let start = at - number + pair;
                let (a, b) = (f64::from(x[start]), f64::from(x[start + half]));
                let angle = positions[at / width] as f64
                    * f64::from(theta).powf(-2.0 * pair as f64 / head_dim as f64);
                let expected = if number < half {
                    a * angle.cos() - b * angle.sin()
                } else {
                    b * angle.cos() + a * angle.sin()
                };
                // The exponent is rounded, which its power feels ln θ-fold, then the power, its
                // reciprocal and the angle: errors that grow with the angle. Then come the cosine,
                // a product and a sum.
                let bound =
                    (a.abs() + b.abs()) * ROUNDING * (3.0 + (3.0 + f64::from(theta).ln()) * angle);
                differences.compare(found, expected, bound, || {
                    format!(
                        "head size {head_dim}, position {}, number {number}",
                        positions[at / width]
                    )
                });
            }
        }
    }
}
