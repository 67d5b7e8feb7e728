//! The linear layer in integers against the triple loop.

use mobilevlm_tensor::{Compute, Format, Matrix, ops};

use crate::support::{Differences, ROUNDING, numbers};

/// Weight rows: around a panel, around two, and beyond one task.
const OUTPUTS: [usize; 5] = [1, 16, 17, 33, 300];
/// Rows that are multiplied with weights as they are stored.
const FEW: [usize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Rows for which weights are laid out: around every tile height, and beyond one task.
const MANY: [usize; 5] = [9, 12, 13, 17, 150];

pub(crate) fn few(compute: &Compute, format: Format, differences: &mut Differences) {
    all_sizes(compute, format, &FEW, differences);
}

pub(crate) fn many(compute: &Compute, format: Format, differences: &mut Differences) {
    all_sizes(compute, format, &MANY, differences);
}

/// Rows of a prompt: below, at and around whole tiles, and beyond one task.
const PROMPTS: [usize; 7] = [1, 2, 15, 16, 33, 205, 350];

/// Products in bfloat16 against those of the numbers rounded so.
pub(crate) fn tiles(compute: &Compute, format: Format, differences: &mut Differences) {
    // Around the 512 numbers whose weights are taken apart at once.
    let widths = [1, 3].map(|blocks| blocks * 256);
    let narrow = [32, 544].into_iter().filter(|_| format.block() == 32);
    for k in narrow.chain(widths) {
        for &n in &OUTPUTS {
            for (case, &m) in PROMPTS.iter().enumerate() {
                if m * n * k <= 500_000 || case % 3 == n % 3 {
                    one_product_of_tiles(compute, format, [m, n, k], differences);
                }
            }
        }
    }
}

/// The nearest number that bfloat16 has, half away from zero.
fn bf16(x: f32) -> f32 {
    f32::from_bits((x.to_bits() + 0x8000) & 0xffff_0000)
}

fn one_product_of_tiles(
    compute: &Compute,
    format: Format,
    [m, n, k]: [usize; 3],
    differences: &mut Differences,
) {
    let (x, bias, before) = (numbers(m * k, 1), numbers(n, 2), numbers(m * n, 4));
    let stored = format.encode(&numbers(n * k, 3)).into();
    let weight = Matrix::new(format, n, k, stored).expect("whole blocks");
    let mut decoded = vec![0.0; n * k];
    for (row, out) in decoded.chunks_exact_mut(k).enumerate() {
        weight.row(row, out);
    }
    let weight = weight.interleave();
    let mut y = before.clone();
    let starts = match (m + n) % 3 {
        0 => {
            ops::linear(compute, &x, &weight, None, &mut y);
            [0.0, 0.0]
        }
        1 => {
            ops::linear(compute, &x, &weight, Some(&bias), &mut y);
            [1.0, 0.0]
        }
        _ => {
            ops::linear_add(compute, &x, &weight, Some(&bias), &mut y);
            [1.0, 1.0]
        }
    };
    let x: Vec<f32> = x.into_iter().map(bf16).collect();
    for j in 0..n {
        let w = &decoded[j * k..(j + 1) * k];
        // Levels and minima are not rounded in the order of the definition, so a number right
        // between two of bfloat16 may become either.
        let weights: Vec<(f64, f64)> = (w.chunks(16))
            .flat_map(|w| {
                let reach = 4e-6 * w.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
                w.iter().map(move |&w| {
                    let [low, high] = [w - reach, w + reach].map(|w| f64::from(bf16(w)));
                    (f64::from(bf16(w)), (high - low).abs())
                })
            })
            .collect();
        for i in 0..m {
            let start = starts[0] * f64::from(bias[j]) + starts[1] * f64::from(before[i * n + j]);
            let (mut sum, mut size, mut either) = (start, start.abs(), 0.0);
            for (x, (w, other)) in x[i * k..(i + 1) * k].iter().zip(&weights) {
                let x = f64::from(*x);
                sum += x * w;
                size += (x * w).abs();
                either += (x * other).abs();
            }
            let bound = (k / 2 + 8) as f64 * ROUNDING * size + either;
            differences.compare(y[i * n + j], sum, bound, || {
                format!("[{m}, {k}] · [{n}, {k}]ᵀ at ({i}, {j})")
            });
        }
    }
}

/// Quantising loses at most half a level, of which the largest of 32 numbers has 127.
pub(crate) fn quantise(compute: &Compute, differences: &mut Differences) {
    // The identity gives back what the activations became.
    let k = 256;
    let identity: Vec<f32> = (0..k * k)
        .map(|at| if at / k == at % k { 1.0 } else { 0.0 })
        .collect();
    let stored = Format::Q8_0.encode(&identity).into();
    let weight = Matrix::new(Format::Q8_0, k, k, stored).expect("whole blocks");
    for (case, m) in [1, 3, 40].into_iter().enumerate() {
        let mut x = numbers(m * k, 5 + case as u64);
        x[..32].fill(0.0);
        let mut y = vec![f32::NAN; m * k];
        ops::linear(compute, &x, &weight.interleave(), None, &mut y);
        for (at, (&found, &expected)) in y.iter().zip(&x).enumerate() {
            let group = &x[at / 32 * 32..][..32];
            let largest = group.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            // 1 is 127 of 127 levels with a float16 scale.
            let bound = f64::from(largest) * (0.5 / 127.0 + 1e-3);
            differences.compare(found, f64::from(expected), bound, || {
                format!("[{m}, {k}], element {at}")
            });
        }
    }
}

fn all_sizes(compute: &Compute, format: Format, rows: &[usize], differences: &mut Differences) {
    // Around the 512 numbers whose levels are laid out at once.
    let widths = [1, 3].map(|blocks| blocks * 256);
    let narrow = [32, 544].into_iter().filter(|_| format.block() == 32);
    for k in narrow.chain(widths) {
        for &n in &OUTPUTS {
            for (case, &m) in rows.iter().enumerate() {
                if m * n * k > 500_000 && case % 3 != n % 3 {
                    continue;
                }
                one_size(compute, format, [m, n, k], differences);
            }
        }
    }
}

/// Activations that quantising leaves as they are: in each 32 numbers the levels −127 to 127 times
/// a power of two, one of them the largest.
fn exact(count: usize, seed: u64) -> Vec<f32> {
    let mut x = numbers(count, seed);
    for (index, group) in x.chunks_mut(32).enumerate() {
        let scale = [1.0, 0.125, 4.0][index % 3];
        for v in group.iter_mut() {
            *v = (*v * 127.0).round() * scale;
        }
        group[index % 32] = 127.0 * scale * if index % 2 == 0 { 1.0 } else { -1.0 };
    }
    x
}

fn one_size(
    compute: &Compute,
    format: Format,
    [m, n, k]: [usize; 3],
    differences: &mut Differences,
) {
    let x = exact(m * k, 1);
    let bias = numbers(n, 2);
    let stored = format.encode(&numbers(n * k, 3)).into();
    let weight = Matrix::new(format, n, k, stored).expect("whole blocks");
    let before = numbers(m * n, 4);
    let mut decoded = vec![0.0; n * k];
    for (row, out) in decoded.chunks_exact_mut(k).enumerate() {
        weight.row(row, out);
    }
    let weight = weight.interleave();

    // Each of the ways to start an output, in turn.
    let mut y = vec![f32::NAN; m * n];
    let (start_bias, start_before) = match (m + n) % 3 {
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
    for i in 0..m {
        for j in 0..n {
            let start =
                start_bias * f64::from(bias[j]) + start_before * f64::from(before[i * n + j]);
            let (mut sum, mut size) = (start, start.abs());
            let weights = &decoded[j * k..(j + 1) * k];
            for (x, w) in x[i * k..(i + 1) * k].chunks(16).zip(weights.chunks(16)) {
                let mut total = 0.0;
                // A level is at most so far from zero: levels and minimum are summed apart.
                let reach = 2.0 * w.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
                for (x, w) in x.iter().zip(w) {
                    total += f64::from(*x) * f64::from(*w);
                    size += f64::from(x.abs()) * f64::from(reach + w.abs());
                }
                sum += total;
            }
            // A few roundings for each 16 numbers, and those of scales and minima.
            let mut bound = (k / 8 + 8) as f64 * ROUNDING * size;
            if compute.kernels().name() == "avx2" && format == Format::Q8_0 {
                bound += words_bound(&x[i * k..(i + 1) * k], weights);
            }
            differences.compare(y[i * n + j], sum, bound, || {
                format!("[{m}, {k}] · [{n}, {k}]ᵀ at ({i}, {j})")
            });
        }
    }
}

/// What the table `avx2` rounds beyond that: of each 256 numbers, activations to 4095 levels and
/// weights to 16 · 127.
fn words_bound(x: &[f32], w: &[f32]) -> f64 {
    let largest = |v: &[f32]| v.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let blocks = x.chunks(256).zip(w.chunks(256)).map(|(x, w)| {
        let (x_step, w_step) = (largest(x) / 4095.0, largest(w) / (16.0 * 127.0));
        let terms = x.iter().zip(w).map(|(x, w)| {
            let product = x_step * w.abs() + w_step * x.abs() + x_step * w_step;
            f64::from(product) * 0.51
        });
        terms.sum::<f64>()
    });
    blocks.sum()
}
