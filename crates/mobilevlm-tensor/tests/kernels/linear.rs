//! The linear layer against the triple loop.

use mobilevlm_tensor::{Bytes, Compute, Format, Matrix, ops};

use crate::support::{Differences, ROUNDING, numbers};

/// Numbers in a row of `x`: around the vector widths 4, 8, 16, around the block of 1024.
const WIDTHS: [usize; 16] = [
    0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100, 1023, 1024, 1025, 2500,
];
/// Weight rows: around the 4 that are multiplied at once, and beyond one task.
const OUTPUTS: [usize; 7] = [0, 1, 3, 4, 5, 33, 300];
/// Rows that are multiplied directly: around every tile height, up to the most.
const FEW: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 23, 24];
/// Rows that are packed: around multiples of every tile height, and beyond one task.
const MANY: [usize; 6] = [25, 26, 29, 30, 31, 150];

pub(crate) fn few_rows(compute: &Compute, format: Format, differences: &mut Differences) {
    all_sizes(compute, format, &FEW, differences);
}

pub(crate) fn many_rows(compute: &Compute, format: Format, differences: &mut Differences) {
    all_sizes(compute, format, &MANY, differences);
}

/// Packing is exact: with a weight that is the identity, the output is the input.
pub(crate) fn packing(compute: &Compute, differences: &mut Differences) {
    for k in [1, 5, 16, 17, 1030] {
        let identity: Vec<f32> = (0..k * k)
            .map(|at| if at / k == at % k { 1.0 } else { 0.0 })
            .collect();
        let weight = matrix(Format::F32, k, k, &identity, 0);
        let m = 32;
        let x = numbers(m * k, 3);
        let mut y = vec![f32::NAN; m * k];
        ops::linear(compute, &x, &weight, None, &mut y);
        for (at, (&found, &expected)) in y.iter().zip(&x).enumerate() {
            differences.compare(found, f64::from(expected), 0.0, || {
                format!("k {k}, element {at}")
            });
        }
    }
}

fn all_sizes(compute: &Compute, format: Format, rows: &[usize], differences: &mut Differences) {
    for &k in &WIDTHS {
        for &n in &OUTPUTS {
            for (case, &m) in rows.iter().enumerate() {
                // All combinations of the small sizes, and the large ones each with some others.
                if m * n * k > 2_000_000 && case % 3 != 0 {
                    continue;
                }
                one_size(compute, format, [m, n, k], differences);
            }
        }
    }
}

fn one_size(
    compute: &Compute,
    format: Format,
    [m, n, k]: [usize; 3],
    differences: &mut Differences,
) {
    let x = numbers(m * k, 1);
    let bias = numbers(n, 2);
    let weight = matrix(format, n, k, &numbers(n * k, 3), 1 + (m + n + k) % 3);
    let before = numbers(m * n, 4);
    let mut decoded = vec![0.0; n * k];
    for (row, out) in decoded.chunks_exact_mut(k.max(1)).enumerate() {
        weight.row(row, out);
    }

    // Each of the three ways to start an output, in turn.
    let mut y = vec![f32::NAN; m * n];
    let (start_bias, start_before) = match (m + n + k) % 3 {
        0 => {
            ops::linear(compute, &x, &weight, None, &mut y);
            (0.0, 0.0)
        }
        1 => {
            ops::linear(compute, &x, &weight, Some(&bias), &mut y);
            (1.0, 0.0)
        }
        _ => {
            y.copy_from_slice(&before);
            ops::linear_add(compute, &x, &weight, Some(&bias), &mut y);
            (1.0, 1.0)
        }
    };
    // The longest chain of additions that a product goes through: its lane over a block for the
    // narrowest vector, the lanes, the blocks, and the start.
    let additions = k.min(1024).div_ceil(4) + 5 + k.div_ceil(1024) + 2;
    for i in 0..m {
        for j in 0..n {
            let start = [
                start_bias * f64::from(bias[j]),
                start_before * f64::from(before[i * n + j]),
            ];
            let (mut sum, mut size) = (start[0] + start[1], start[0].abs() + start[1].abs());
            for (x, w) in x[i * k..(i + 1) * k]
                .iter()
                .zip(&decoded[j * k..(j + 1) * k])
            {
                let product = f64::from(*x) * f64::from(*w);
                sum += product;
                size += product.abs();
            }
            let bound = additions as f64 * ROUNDING * size;
            differences.compare(y[i * n + j], sum, bound, || {
                format!("[{m}, {k}] · [{n}, {k}]ᵀ at ({i}, {j})")
            });
        }
    }
}

/// The matrix of `values`, whose bytes start `offset` bytes after an aligned address.
fn matrix(format: Format, rows: usize, columns: usize, values: &[f32], offset: usize) -> Matrix {
    let mut stored = vec![0; offset];
    stored.extend(format.encode(values));
    Matrix::new(format, rows, columns, Bytes::from(stored).slice(offset..))
        .expect("the bytes of the shape")
}
