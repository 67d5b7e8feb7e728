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
    const PIECE: usize = (1 << 20) / 4;
    let mut buffer = vec![0f32; BUFFER / 4];
    in_huge_pages(&buffer);
    // Written once, since memory that was never written is one page of zeros.
    for_each_piece(compute.pool(), &mut buffer, PIECE, |_, piece| {
        piece.fill(1.0)
    });
    best(|| {
        compute.pool().run(buffer.len() / PIECE, &|piece| {
            black_box(compute.kernels().read(&buffer[piece * PIECE..][..PIECE]));
        });
        BUFFER as f64
    })
}

/// Asks for huge pages, so that the probe measures memory and not address translation.
fn in_huge_pages(buffer: &[f32]) {
    #[cfg(target_os = "linux")]
    {
        let page = 4096;
        let start = (buffer.as_ptr() as usize).next_multiple_of(page);
        let length = size_of_val(buffer) - page;
        // SAFETY: whole pages inside the buffer; the advice changes no content. A refusal only
        // makes the probe a little slower, so the result is not looked at.
        unsafe {
            libc::madvise(
                start as *mut libc::c_void,
                length / page * page,
                libc::MADV_HUGEPAGE,
            )
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = buffer;
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
