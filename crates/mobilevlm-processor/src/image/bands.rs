//! Rows that several threads fill, for the two stages of a photo that take longest.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Work that is worth another thread, in bytes touched: about a millisecond.
const WORTH_A_THREAD: usize = 1 << 20;

/// Most threads: a photo of 12 million pixels has work for no more.
const MOST_THREADS: usize = 8;

/// Bands that each thread should find, so that one that is held up takes fewer.
const BANDS_PER_THREAD: usize = 4;

/// Calls `job(first row, rows)` for bands of `rows`, which have `stride` bytes each, on as many
/// threads as `work`, in bytes touched, is worth. The caller's is one of them.
///
/// # Panics
/// As `job`.
pub(super) fn fill(
    rows: &mut [u8],
    stride: usize,
    work: usize,
    job: impl Fn(usize, &mut [u8]) + Sync,
) {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    fill_with(
        cores.min(MOST_THREADS).min(work / WORTH_A_THREAD),
        rows,
        stride,
        &job,
    );
}

fn fill_with(
    threads: usize,
    rows: &mut [u8],
    stride: usize,
    job: &(impl Fn(usize, &mut [u8]) + Sync),
) {
    if threads < 2 {
        return job(0, rows);
    }
    let height = (rows.len() / stride)
        .div_ceil(threads * BANDS_PER_THREAD)
        .max(1);
    let bands = Mutex::new(rows.chunks_mut(height * stride).enumerate());
    let work = || {
        loop {
            // Taken out before the work, so that the lock is held for no longer.
            let next = bands.lock().unwrap_or_else(PoisonError::into_inner).next();
            match next {
                Some((band, rows)) => job(band * height, rows),
                None => return,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that the system refuses is done without.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_filled_once_with_its_own_number() {
        for (height, threads) in [(0, 2), (1, 3), (7, 2), (100, 1), (100, 3), (257, 8)] {
            let stride = 5;
            let mut rows = vec![0; height * stride];
            fill_with(threads, &mut rows, stride, &|first, rows: &mut [u8]| {
                for (y, row) in (first..).zip(rows.chunks_exact_mut(stride)) {
                    row.iter_mut().for_each(|byte| *byte += y as u8);
                }
            });
            let expected: Vec<u8> = (0..height).flat_map(|y| [y as u8; 5]).collect();
            assert_eq!(rows, expected, "{height} rows, {threads} threads");
        }
    }
}
