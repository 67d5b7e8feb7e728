//! The whole path of a linear layer through emulated tile registers.

use super::*;
use crate::{Bytes, Compute, Format, Matrix, Side, ops};

tile_table! { EMULATED, emulation::Emulation, "amx, emulated", [] }

/// The table with emulated registers, where the rest of it can run.
fn emulated() -> Option<&'static Kernels> {
    if avx512::TABLE.missing().is_empty() {
        return Some(&EMULATED);
    }
    println!("skipped, this machine lacks AVX-512");
    None
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

/// Rows below, at and above whole tiles; outputs below, at and above a panel and a task's panels;
/// widths below, at and above a block.
const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 256],
    [15, 16, 768],
    [16, 17, 256],
    [17, 33, 512],
    [40, 40, 1280],
    [150, 20, 256],
    [12, 300, 256],
    [31, 18, 32],
    [33, 35, 544],
];

/// With weights and activations that bfloat16 has, and sums that are exact, results are those of
/// `f32`, whatever the order of the sums: scales are powers of two, and the rest are whole numbers.
#[test]
fn exact_products_are_exact() {
    let Some(emulated) = emulated() else { return };
    let whole = |count: usize, factor: usize, reach: usize| -> Vec<f32> {
        let number = |at: usize| ((at * factor + at / 31) % (2 * reach + 1)) as f32 - reach as f32;
        (0..count).map(number).collect()
    };
    for [m, n, k] in SHAPES {
        let (x, bias) = (whole(m * k, 37, 60), whole(n, 5, 9));
        // The largest of each 32 is −8 times the scale, as the format has it exactly.
        let mut w = whole(n * k, 11, 7);
        for block in w.chunks_mut(32) {
            block[3] = -8.0;
        }
        let stored = Bytes::from(Format::Q4_0.encode(&w));
        let stored = Matrix::new(Format::Q4_0, n, k, stored).unwrap();
        let mut row = vec![0.0; k];
        stored.row(n - 1, &mut row);
        assert_eq!(row, w[(n - 1) * k..]);
        let panels = stored.interleave();
        for table in [emulated, &TABLE] {
            if !table.missing().is_empty() {
                println!("{}: skipped, it lacks {:?}", table.name, table.missing());
                continue;
            }
            let mut y = whole(m * n, 3, 20);
            let expected: Vec<f32> = (0..m * n)
                .map(|at| {
                    let (i, j) = (at / n, at % n);
                    let pairs = x[i * k..(i + 1) * k].iter().zip(&w[j * k..(j + 1) * k]);
                    y[at] + bias[j] + pairs.map(|(x, w)| x * w).sum::<f32>()
                })
                .collect();
            ops::linear_add(&Compute::new(table, 2), &x, &panels, Some(&bias), &mut y);
            assert!(y == expected, "{}: {m} rows, n {n}, k {k}", table.name);
        }
    }
}

/// Whole numbers of at most eight bits, whose sums are exact: products of matrices in both orders
/// are those of the definition, for all rows and for some of them.
#[test]
fn exact_products_of_two_matrices_are_exact() {
    let Some(emulated) = emulated() else { return };
    let whole = |count: usize, factor: usize| -> Vec<f32> {
        let number = |at: usize| ((at * factor + at / 31) % 121) as f32 - 60.0;
        (0..count).map(number).collect()
    };
    let transposed = |x: &[f32], columns: usize| -> Vec<f32> {
        let rows = x.len() / columns.max(1);
        let from = |at: usize| x[at % rows * columns + at / rows];
        (0..x.len()).map(from).collect()
    };
    // Below, at and above a tile, the tiles that are multiplied together, a step, and the steps
    // after which the next tiles follow.
    let shapes = [
        [1, 1, 1],
        [0, 5, 3],
        [3, 4, 0],
        [31, 17, 31],
        [32, 16, 32],
        [33, 40, 33],
        [300, 33, 96],
        [65, 32, 513],
        [20, 50, 1100],
    ];
    for [m, n, k] in shapes {
        let (left, right) = (whole(m * k, 37), whole(k * n, 11));
        let (left_turned, right_turned) = (transposed(&left, k), transposed(&right, n));
        let expected: Vec<f32> = (0..m * n)
            .map(|at| {
                let products = (0..k).map(|i| left[at / n * k + i] * right[i * n + at % n]);
                products.sum()
            })
            .collect();
        for table in [emulated, &TABLE] {
            if !table.missing().is_empty() {
                println!("{}: skipped, it lacks {:?}", table.name, table.missing());
                continue;
            }
            for left in [Side::Plain(&left), Side::Transposed(&left_turned)] {
                for right in [Side::Plain(&right), Side::Transposed(&right_turned)] {
                    for first in [0, ops::ROUNDED_ROWS] {
                        let rows = first.min(m)..m;
                        if !rows.start.is_multiple_of(ops::ROUNDED_ROWS) {
                            continue;
                        }
                        let mut y = vec![f32::NAN; rows.len() * n];
                        let shape = [m, n, k];
                        let expected = &expected[rows.start * n..];
                        assert!(ops::rounded_product(
                            table, shape, rows, left, right, &mut y
                        ));
                        assert!(y == expected, "{}: {shape:?}", table.name);
                    }
                }
            }
        }
    }
}

/// What is between two numbers of bfloat16 goes to the nearer one, half away from zero.
#[test]
fn factors_are_rounded() {
    let Some(emulated) = emulated() else { return };
    let half = f32::from_bits(0x3f80_8000);
    let numbers = [half, -half, f32::from_bits(0x3f80_7fff), 1.0, f32::INFINITY];
    let rounded = [0x3f81, 0xbf81, 0x3f80, 0x3f80, 0x7f80].map(|bits| f32::from_bits(bits << 16));
    for table in [emulated, &TABLE] {
        if !table.missing().is_empty() {
            println!("{}: skipped, it lacks {:?}", table.name, table.missing());
            continue;
        }
        let mut y = [0.0; 5];
        let (left, right) = (Side::Plain(&numbers), Side::Plain(&[1.0]));
        assert!(ops::rounded_product(
            table,
            [5, 1, 1],
            0..5,
            left,
            right,
            &mut y
        ));
        assert_eq!(y, rounded, "{}", table.name);
    }
}

/// Every format on emulated registers, against the numbers that its blocks mean.
#[test]
fn emulated_products_are_near_those_of_f32() {
    let Some(emulated) = emulated() else { return };
    for format in Format::ALL.into_iter().filter(|format| format.block() > 1) {
        let [m, n, k] = [17, 33, 768];
        let (x, mut w) = (numbers(m * k, 1), numbers(n * k, 3));
        let panels = Bytes::from(format.encode(&w));
        format.decode(&panels, &mut w);
        let panels = Matrix::new(format, n, k, panels).unwrap().interleave();
        let mut y = vec![f32::NAN; m * n];
        ops::linear(&Compute::new(emulated, 2), &x, &panels, None, &mut y);
        for (at, y) in y.into_iter().enumerate() {
            let pairs = x[at / n * k..][..k].iter().zip(&w[at % n * k..][..k]);
            let products = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w));
            let (sum, squares) = products.fold((0.0, 0.0), |(sum, squares), product| {
                (sum + product, squares + product * product)
            });
            // Each side rounds by at most 2⁻⁹ of a number, independently: eight deviations.
            let bound = 8.0 * 2_f64.powi(-9) * f64::sqrt(squares);
            let error = (f64::from(y) - sum).abs();
            assert!(
                error <= bound,
                "{} at {at}: {error} of {bound}",
                format.name()
            );
        }
    }
}

#[test]
fn the_loop_for_the_peak_does_what_it_is_counted_for() {
    let Some(emulated) = emulated() else { return };
    for table in [emulated, &TABLE] {
        if !table.missing().is_empty() {
            println!("{}: skipped, it lacks {:?}", table.name, table.missing());
            continue;
        }
        // The product of 16 × 64 with 64 × 16 ones is 64 everywhere.
        let sums = table.tile().int8_operations / (2 * 16 * 16 * 64);
        for rounds in [0, 1, 3] {
            assert_eq!(table.int8_peak(rounds), (rounds * sums * 64) as i32);
        }
    }
}

/// The instructions themselves, where the machine has them.
#[test]
fn the_registers_of_this_machine_agree_with_the_emulation() {
    let lacking = TABLE.missing();
    println!("this machine lacks {lacking:?}");
    assert!(!lacking.contains(&"amx self-check"));
}
