//! Attention in integers against softmax(q · kᵀ / √d) · v.

use mobilevlm_tensor::ops::{self, KeyValues, Visible};
use mobilevlm_tensor::{Arithmetic, Compute, Kernels, tables};

use crate::support::{Differences, numbers};

/// Half an integer step of a vector that is scaled to the length 32767, relative to its length.
const HALF_STEP: f64 = 0.5 / 32767.0;

struct Case {
    /// Rows of queries.
    m: usize,
    positions: usize,
    heads: usize,
    head_dim: usize,
    /// What queries are multiplied by: the larger, the fewer positions have a weight.
    sharpness: f32,
}

/// Every element within the bound that follows from the roundings.
pub(crate) fn check(compute: &Compute, differences: &mut Differences) {
    let case = |m, positions, heads, head_dim, sharpness| Case {
        m,
        positions,
        heads,
        head_dim,
        sharpness,
    };
    let cases = [
        case(0, 3, 1, 4, 1.0),
        case(1, 1, 1, 1, 1.0),
        case(2, 16, 3, 5, 1.0),
        case(3, 15, 2, 80, 1.0),
        case(6, 33, 2, 17, 3.0),
        case(7, 2, 1, 128, 0.0),
        case(13, 100, 4, 32, 30.0),
        case(60, 577, 2, 64, 1.0),
        case(60, 577, 2, 64, 10.0),
    ];
    for case in &cases {
        one(compute, case, differences);
    }
}

fn one(compute: &Compute, case: &Case, differences: &mut Differences) {
    let &Case {
        m,
        positions,
        heads,
        head_dim,
        sharpness,
    } = case;
    let width = heads * head_dim;
    let mut q = numbers(m * width, 1);
    q.iter_mut().for_each(|q| *q *= sharpness);
    let (k, v) = (numbers(positions * width, 2), numbers(positions * width, 3));
    let mut out = vec![f32::NAN; m * width];
    ops::attention_i16(compute, &q, &k, &v, heads, head_dim, &mut out);

    // Squares of errors and of outputs.
    let (mut error, mut size) = (0.0, 0.0);
    for row in 0..m {
        for head in 0..heads {
            let of = |x: &[f32], row: usize| -> Vec<f64> {
                let x = &x[row * width + head * head_dim..][..head_dim];
                x.iter().map(|&x| f64::from(x)).collect()
            };
            let (q, found) = (of(&q, row), of(&out, row));
            let keys: Vec<Vec<f64>> = (0..positions).map(|position| of(&k, position)).collect();
            let values: Vec<Vec<f64>> = (0..positions).map(|position| of(&v, position)).collect();
            let scale = 1.0 / (head_dim as f64).sqrt();
            let scores: Vec<f64> = keys.iter().map(|k| dot(&q, k) * scale).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut weights: Vec<f64> =
                scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= total);

            // Rounding moves a query by at most √d half steps of its length, and a key: that moves
            // a score by at most `score_error`, and its weight by a factor. 1e-4 is for the terms
            // of second order, the coarse exponential, and the roundings in `f32`.
            let longest = keys.iter().map(|k| length(k)).fold(0.0, f64::max);
            let score_error = 2.0 * HALF_STEP * length(&q) * longest;
            let weight_error = 2.0 * score_error * 1.1 + 1e-4;
            for number in 0..head_dim {
                let value: Vec<f64> = values.iter().map(|v| v[number]).collect();
                let expected = dot(&weights, &value);
                // Each weight, and the sum of all, by half a step; each value by half a step.
                let sizes: f64 = value.iter().map(|v| v.abs() + expected.abs()).sum();
                let weighted: f64 = weights.iter().zip(&value).map(|(w, v)| w * v.abs()).sum();
                let bound = 1.1 * HALF_STEP * (length(&weights) * sizes + length(&value))
                    + weight_error * (weighted + expected.abs());
                differences.compare(found[number] as f32, expected, bound, || {
                    format!("{m} rows, {positions} positions, {heads} heads of {head_dim}, sharpness {sharpness}: row {row}, head {head}, number {number}")
                });
                error += (found[number] - expected).powi(2);
                size += expected.powi(2);
            }
        }
    }
    if m > 0 {
        // What the operation promises for the tower.
        differences.compare((error / size).sqrt() as f32, 0.0, 1e-3, || {
            format!("error of {m} rows, {positions} positions, sharpness {sharpness}")
        });
    }
}

/// Without integers it is `attention`, to the last bit.
#[test]
fn in_f32_it_is_attention() {
    let (m, n, heads, head_dim) = (7, 20, 2, 24);
    let width = heads * head_dim;
    let (q, k, v) = (
        numbers(m * width, 1),
        numbers(n * width, 2),
        numbers(n * width, 3),
    );
    let fast = Compute::new(Kernels::best(), 2);
    let exact = fast.clone().with_arithmetic(Arithmetic::F32);
    let mut kv = KeyValues::new(heads, head_dim);
    kv.append(&exact, &k, &v);
    let mut expected = vec![0.0; m * width];
    ops::attention(&exact, &q, heads, &kv, Visible::All, &mut expected);

    let mut work = KeyValues::new(heads, head_dim);
    let mut found = vec![0.0; m * width];
    // Twice: what the memory holds from the first time is replaced.
    for _ in 0..2 {
        ops::full_attention(&exact, &q, &k, &v, heads, &mut work, &mut found);
        assert_eq!(found, expected);
    }
    ops::full_attention(&fast, &q, &k, &v, heads, &mut work, &mut found);
    let mut integers = vec![0.0; m * width];
    ops::attention_i16(&fast, &q, &k, &v, heads, head_dim, &mut integers);
    assert!(found == integers || found == expected);
}

/// A NaN reaches what it is part of and nothing else.
#[test]
fn nan_stays_visible() {
    let (n, head_dim) = (20, 24);
    for table in tables() {
        let Some(kernels) = table.kernels() else {
            println!(
                "{}: skipped, this machine lacks {}",
                table.name,
                table.missing.join(", ")
            );
            continue;
        };
        let compute = Compute::new(kernels, 1);
        // Whether element `number` of row `row` is lost to a NaN in row 3, number 5 of an operand.
        let lost = |operand, row, number| match operand {
            "query" => row == 3,
            "key" => true,
            _ => number == 5,
        };
        for (operand, name) in ["query", "key", "value"].into_iter().enumerate() {
            let mut qkv = [1, 2, 3].map(|seed| numbers(n * head_dim, seed));
            qkv[operand][3 * head_dim + 5] = f32::NAN;
            let [q, k, v] = qkv;
            let mut out = vec![0.0; n * head_dim];
            ops::attention_i16(&compute, &q, &k, &v, 1, head_dim, &mut out);
            for (at, out) in out.iter().enumerate() {
                let (row, number) = (at / head_dim, at % head_dim);
                assert_eq!(
                    out.is_nan(),
                    lost(name, row, number),
                    "{}: NaN in a {name}, row {row}, number {number}",
                    table.name
                );
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
