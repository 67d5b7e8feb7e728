//! The whole path of a linear layer through emulated tile registers.

use super::*;
use crate::{Bytes, Compute, Format, Matrix, ops};

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

/// Rows below, at and above whole tiles and a task's rows; outputs below, at and above a panel and a
/// task's panels; widths below, at and above a block, and of sub-blocks that four does not divide.
const SHAPES: [[usize; 3]; 9] = [
    [9, 1, 256],
    [15, 16, 768],
    [16, 17, 256],
    [17, 33, 512],
    [40, 40, 1280],
    [150, 20, 256],
    [12, 300, 256],
    [31, 18, 32],
    [33, 35, 544],
];

/// Table `avx512` is compared with the definition by the tests of all tables; this one gives its
/// very bits.
#[test]
fn results_are_those_of_avx512() {
    let Some(emulated) = emulated() else { return };
    for format in Format::ALL.into_iter().filter(|format| format.block() > 1) {
        for [m, n, k] in SHAPES {
            if !k.is_multiple_of(format.block()) {
                continue;
            }
            let (x, bias) = (numbers(m * k, 1), numbers(n, 2));
            let stored = Bytes::from(format.encode(&numbers(n * k, 3)));
            let w = Matrix::new(format, n, k, stored).unwrap().interleave();
            let results = [&avx512::TABLE, emulated].map(|table| {
                let compute = Compute::new(table, 2);
                let mut plain = vec![f32::NAN; m * n];
                ops::linear(&compute, &x, &w, None, &mut plain);
                let mut added = numbers(m * n, 4);
                ops::linear_add(&compute, &x, &w, Some(&bias), &mut added);
                // Row by row, as a decode step takes them.
                let mut alone = vec![f32::NAN; m * n];
                for (x, y) in x.chunks_exact(k).zip(alone.chunks_exact_mut(n)) {
                    ops::linear(&compute, x, &w, None, y);
                }
                let results = [plain, added, alone];
                results.map(|y| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>())
            });
            let case = format!("{}, {m} rows, n {n}, k {k}", format.name());
            assert!(results[0] == results[1], "{case}");
            assert!(results[1][0] == results[1][2], "{case}, rows alone");
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
