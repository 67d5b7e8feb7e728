//! What the machine can do: the limits that measured speeds are compared with.

use std::hint::black_box;
use std::time::Instant;

use crate::Compute;
use crate::parallel::for_each_piece;

/// Runs of which the best counts.
const RUNS: usize = 15;

/// Bytes that [`read_bandwidth`] reads in a run: far more than a cache holds.
const BUFFER: usize = 1 << 30;

/// The best rate, in 10⁹ bytes a second, at which all threads together read memory.
pub fn read_bandwidth(compute: &Compute) -> f64 {
    let mut buffer = vec![0f32; BUFFER / 4];
    const PIECE: usize = (1 << 20) / 4;
    for_each_piece(compute.pool(), &mut buffer, PIECE, |_, piece| {
        piece.fill(1.0)
    });
    best(|| {
        compute.pool().run(buffer.len() / PIECE, &|piece| {
            let mut folded = [0u32; 64];
            for group in buffer[piece * PIECE..][..PIECE].as_chunks::<64>().0 {
                for (folded, number) in folded.iter_mut().zip(group) {
                    *folded ^= number.to_bits();
                }
            }
            black_box(folded);
        });
        BUFFER as f64
    })
}

/// The best rate, in 10⁹ operations a second, of multiplying and adding with this kernel table on
/// all threads together. A multiply-add is two operations.
pub fn multiply_add_peak(compute: &Compute) -> f64 {
    const ROUNDS: usize = 100_000;
    let tasks = compute.pool().threads() * 16;
    best(|| {
        compute.pool().run(tasks, &|_| {
            black_box(compute.kernels().peak(black_box(ROUNDS)));
        });
        (tasks * ROUNDS * compute.kernels().tile().peak_operations) as f64
    })
}

/// The best of some runs, in 10⁹ a second; `run` returns what it has done.
fn best(run: impl Fn() -> f64) -> f64 {
    (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let done = run();
            done / start.elapsed().as_secs_f64() / 1e9
        })
        .fold(0.0, f64::max)
}
