//! Normalisation against its definition.

use mobilevlm_tensor::{Compute, ops};

use crate::support::{Differences, ROUNDING, numbers};

const WIDTHS: [usize; 10] = [1, 3, 4, 8, 15, 16, 63, 64, 65, 1000];
const ROWS: [usize; 4] = [0, 1, 2, 37];
const EPS: f32 = 1e-5;

pub(crate) fn rms(compute: &Compute, differences: &mut Differences) {
    for width in WIDTHS {
        for rows in ROWS {
            let (x, weight) = (numbers(rows * width, 1), numbers(width, 2));
            let mut out = vec![f32::NAN; x.len()];
            ops::rms_norm(compute, &x, &weight, EPS, &mut out);
            for (at, &found) in out.iter().enumerate() {
                let row = &x[at / width * width..][..width];
                let mean = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / width as f64;
                let expected = f64::from(x[at]) / (mean + f64::from(EPS)).sqrt()
                    * f64::from(weight[at % width]);
                // A sum of at most width / 4 + 8 roundings, halved by the root, and five more.
                let bound = ((width / 4 + 8) as f64 / 2.0 + 5.0) * ROUNDING * expected.abs();
                differences.compare(found, expected, bound, || {
                    format!("{rows} rows of {width}, element {at}")
                });
            }
        }
    }
}

pub(crate) fn layer(compute: &Compute, differences: &mut Differences) {
    for width in WIDTHS {
        for rows in ROWS {
            let (mut x, weight, bias) = (
                numbers(rows * width, 1),
                numbers(width, 2),
                numbers(width, 3),
            );
            // A mean far from zero, which loses the digits of a variance taken in one pass.
            x.iter_mut().for_each(|x| *x += 10.0);
            let mut out = vec![f32::NAN; x.len()];
            ops::layer_norm(compute, &x, &weight, &bias, EPS, &mut out);
            for (at, &found) in out.iter().enumerate() {
                let row = &x[at / width * width..][..width];
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
                let variance = row
                    .iter()
                    .map(|&x| (f64::from(x) - mean).powi(2))
                    .sum::<f64>()
                    / width as f64;
                let scale = f64::from(weight[at % width]) / (variance + f64::from(EPS)).sqrt();
                let expected = (f64::from(x[at]) - mean) * scale + f64::from(bias[at % width]);
                // The mean's error counts in full for each element; the rest as above.
                let roundings = (width / 4 + 8) as f64;
                let size = (f64::from(x[at]) - mean).abs() * scale.abs()
                    + f64::from(bias[at % width]).abs();
                let bound = ROUNDING
                    * (roundings * mean.abs() * scale.abs() * 1.5 + (roundings + 6.0) * size);
                differences.compare(found, expected, bound, || {
                    format!("{rows} rows of {width}, element {at}")
                });
            }
        }
    }
}
