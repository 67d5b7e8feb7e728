//! Results are a pure function of the inputs and the table: the same to the last bit for one row
//! alone and in a batch, for any number of threads, for a cache built at once or step by step.

use mobilevlm_tensor::ops::{self, KeyValues, Visible};
use mobilevlm_tensor::{Bytes, Compute, Format, Kernels, Matrix, tables};
use proptest::prelude::*;

/// Every table that the machine can run; the others are reported.
fn runnable() -> Vec<&'static Kernels> {
    tables()
        .iter()
        .filter_map(|table| {
            if table.kernels().is_none() {
                println!(
                    "{}: skipped, this machine lacks {}",
                    table.name,
                    table.missing.join(", ")
                );
            }
            table.kernels()
        })
        .collect()
}

/// Each of them with rows of prompts, and with rows of decode steps.
fn runnable_ways() -> impl Iterator<Item = Compute> {
    runnable().into_iter().flat_map(|kernels| {
        let compute = Compute::new(kernels, 2);
        [compute.with_steps(usize::MAX), compute]
    })
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn matrix(format: Format, rows: usize, columns: usize) -> Matrix {
    let stored = format.encode(&numbers(rows * columns, 7));
    Matrix::new(format, rows, columns, Bytes::from(stored)).expect("the bytes of the shape")
}

/// Bits, since `==` would take −0 for 0.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_row_alone_equals_the_row_in_a_batch() {
    for compute in runnable_ways() {
        for format in Format::ALL {
            for (n, k) in [(300, 1030), (5, 2048), (64, 17), (70, 256usize)] {
                if !k.is_multiple_of(format.block()) {
                    continue;
                }
                let x = numbers(170 * k, 2);
                for w in ways(matrix(format, n, k)) {
                    rows_alone(&compute, &x, &w);
                }
            }
        }
    }
}

/// A matrix as it is, and in panels where its format has them.
fn ways(w: Matrix) -> Vec<Matrix> {
    match w.format().block() {
        1 => vec![w],
        _ => vec![w.interleave(), w],
    }
}

fn rows_alone(compute: &Compute, x: &[f32], w: &Matrix) {
    let (n, k) = (w.rows(), w.columns());
    let bias = numbers(n, 1);
    let alone: Vec<u32> = (x.chunks_exact(k))
        .flat_map(|row| {
            let mut y = numbers(n, 3);
            ops::linear_add(compute, row, w, Some(&bias), &mut y);
            bits(&y)
        })
        .collect();
    // Direct and packed, with every number of rows left over by a tile.
    for m in [
        2, 3, 4, 5, 6, 7, 11, 23, 24, 25, 26, 27, 28, 29, 30, 31, 170,
    ] {
        let mut y = numbers(n, 3).repeat(m);
        ops::linear_add(compute, &x[..m * k], w, Some(&bias), &mut y);
        let (table, format) = (compute.kernels().name(), w.format().name());
        assert!(
            bits(&y) == alone[..m * n],
            "{table} {format}: {m} rows, n {n}, k {k}"
        );
    }
}

/// Steps of some sequences beside the prompts of others.
#[test]
fn rows_of_steps_and_prompts_do_not_depend_on_each_other() {
    for kernels in runnable() {
        let compute = Compute::new(kernels, 2);
        let (n, k, format) = (70, 512, Format::Q4K);
        let (w, bias) = (matrix(format, n, k).interleave(), numbers(n, 1));
        let product = |steps: usize, x: &[f32]| {
            let mut y = numbers(n, 3).repeat(x.len() / k);
            let compute = compute.with_steps(steps);
            ops::linear_add(&compute, x, &w, Some(&bias), &mut y);
            bits(&y)
        };
        let x = numbers(40 * k, 2);
        for steps in [0, 1, 8, 9, 39, 40] {
            let (first, rest) = x.split_at(steps * k);
            let apart = [product(steps, first), product(0, rest)].concat();
            assert!(product(steps, &x) == apart, "{} {steps}", kernels.name());
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same() {
    for kernels in runnable() {
        let results: Vec<Vec<u32>> = [1, 2, 3, 8]
            .into_iter()
            .map(|threads| {
                let c = Compute::new(kernels, threads);
                let (m, width, ffn) = (150, 96, 400);
                let weight = numbers(width, 4);
                let mut x = numbers(m * width, 1);
                let mut normal = vec![0.0; x.len()];
                ops::layer_norm(&c, &x, &weight, &weight, 1e-5, &mut normal);
                ops::rms_norm(&c, &normal, &weight, 1e-5, &mut x);
                ops::rotary(
                    &c,
                    &mut x,
                    32,
                    &ops::Rotary::new(32, 1e4, m),
                    &(0..m).collect::<Vec<_>>(),
                );
                let mut kv = KeyValues::new(3, 32);
                kv.append(&c, &x, &normal);
                let mut mixed = vec![0.0; x.len()];
                ops::attention(&c, &x, 3, &kv, Visible::Causal { first: 0 }, &mut mixed);
                let before = mixed.clone();
                ops::attention_i16(&c, &before, &x, &normal, 3, 32, &mut mixed);
                let mut up = vec![0.0; m * ffn];
                ops::linear(&c, &mixed, &matrix(Format::F16, ffn, width), None, &mut up);
                let mut gate = up.clone();
                ops::gelu(&c, &mut up);
                ops::silu_mul(&c, &mut gate, &up);
                // The last row alone too, the shape of a decode step.
                let mut one = vec![0.0; ffn];
                ops::linear(
                    &c,
                    &mixed[..width],
                    &matrix(Format::F16, ffn, width),
                    None,
                    &mut one,
                );
                gate.extend(one);
                bits(&gate)
            })
            .collect();
        for result in &results[1..] {
            assert!(*result == results[0], "{}", kernels.name());
        }
    }
}

#[test]
fn a_cache_built_step_by_step_equals_one_built_at_once() {
    for kernels in runnable() {
        let c = Compute::new(kernels, 2);
        let (heads, kv_heads, head_dim, positions) = (4, 2, 40, 53);
        let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let (q, k, v) = (
            numbers(positions * width, 1),
            numbers(positions * kv_width, 2),
            numbers(positions * kv_width, 3),
        );

        let mut whole = KeyValues::new(kv_heads, head_dim);
        whole.append(&c, &k, &v);
        let mut expected = vec![0.0; q.len()];
        ops::attention(
            &c,
            &q,
            heads,
            &whole,
            Visible::Causal { first: 0 },
            &mut expected,
        );

        let mut steps = KeyValues::new(kv_heads, head_dim);
        for position in 0..positions {
            // Wrong turns, forgotten again: what they leave behind must not be seen.
            let wrong = vec![f32::NAN; 3 * kv_width];
            steps.append(&c, &wrong, &wrong);
            steps.truncate(position);
            let at = position * kv_width..(position + 1) * kv_width;
            steps.append(&c, &k[at.clone()], &v[at]);
            let mut out = vec![0.0; width];
            let row = position * width..(position + 1) * width;
            ops::attention(
                &c,
                &q[row.clone()],
                heads,
                &steps,
                Visible::Causal { first: position },
                &mut out,
            );
            assert!(
                bits(&out) == bits(&expected[row]),
                "{} position {position}",
                kernels.name()
            );
        }
        assert_eq!(steps.len(), positions);
        // A copy goes its own way.
        let copy = steps.clone();
        steps.truncate(1);
        let mut out = vec![0.0; q.len()];
        ops::attention(&c, &q, heads, &copy, Visible::Causal { first: 0 }, &mut out);
        assert!(bits(&out) == bits(&expected), "{} copy", kernels.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any shape: the first rows of a batch equal a smaller batch, and part of the outputs equals
    /// a smaller weight.
    #[test]
    fn linear_is_the_same_in_any_company(m in 1usize..60, part in 1usize..60, n in 1usize..90, k in 1usize..1300, format in 0..Format::ALL.len(), panels: bool) {
        let format = Format::ALL[format];
        let k = k.next_multiple_of(format.block());
        let part = part.min(m);
        let w = matrix(format, n, k);
        let few = Matrix::new(format, n.div_ceil(2), k, w.bytes().slice(..w.bytes().len() / n * n.div_ceil(2))).unwrap();
        let panels = panels && format.block() > 1;
        let [w, few] = [w, few].map(|w| if panels { w.interleave() } else { w });
        let x = numbers(m * k, 5);
        for compute in runnable_ways() {
            let (mut all, mut rows) = (vec![0.0; m * n], vec![0.0; part * n]);
            ops::linear(&compute, &x, &w, None, &mut all);
            ops::linear(&compute, &x[..part * k], &w, None, &mut rows);
            prop_assert!(bits(&rows) == bits(&all[..part * n]));
            let mut narrow = vec![0.0; m * few.rows()];
            ops::linear(&compute, &x, &few, None, &mut narrow);
            for (narrow, all) in narrow.chunks_exact(few.rows()).zip(all.chunks_exact(n)) {
                prop_assert!(bits(narrow) == bits(&all[..few.rows()]));
            }
        }
    }

    /// Any shape: the last rows alone see the same as among all rows, in integers too.
    #[test]
    fn full_attention_is_the_same_in_any_company(m in 1usize..60, last in 1usize..60, n in 1usize..80, heads in 1usize..4, head_dim in 1usize..70) {
        let last = last.min(m);
        let width = heads * head_dim;
        let (q, k, v) = (numbers(m * width, 5), numbers(n * width, 6), numbers(n * width, 7));
        for kernels in runnable() {
            let compute = Compute::new(kernels, 2);
            let (mut all, mut rows) = (vec![0.0; m * width], vec![0.0; last * width]);
            ops::attention_i16(&compute, &q, &k, &v, heads, head_dim, &mut all);
            ops::attention_i16(&compute, &q[(m - last) * width..], &k, &v, heads, head_dim, &mut rows);
            prop_assert!(bits(&rows) == bits(&all[(m - last) * width..]));
        }
    }

    /// Any shape: the last rows alone see the same as among all rows.
    #[test]
    fn attention_is_the_same_in_any_company(m in 1usize..60, last in 1usize..60, kv_heads in 1usize..3, group in 1usize..3, head_dim in 1usize..70) {
        let last = last.min(m);
        let (width, kv_width) = (kv_heads * group * head_dim, kv_heads * head_dim);
        let (q, k) = (numbers(m * width, 5), numbers(m * kv_width, 6));
        for kernels in runnable() {
            let compute = Compute::new(kernels, 2);
            let mut kv = KeyValues::new(kv_heads, head_dim);
            kv.append(&compute, &k, &k);
            let (mut all, mut rows) = (vec![0.0; m * width], vec![0.0; last * width]);
            let heads = kv_heads * group;
            ops::attention(&compute, &q, heads, &kv, Visible::Causal { first: 0 }, &mut all);
            ops::attention(&compute, &q[(m - last) * width..], heads, &kv, Visible::Causal { first: m - last }, &mut rows);
            prop_assert!(bits(&rows) == bits(&all[(m - last) * width..]));
        }
    }
}
