//! What the machine can do: the limits that measured speeds are compared with.

use std::hint::black_box;
use std::time::Instant;

use crate::Compute;
use crate::pages::prefer_huge_pages;

/// Runs of which the best counts.
const RUNS: usize = 15;

/// Bytes of a [`buffer`]: far more than a cache holds.
const BUFFER: usize = 1 << 30;

/// Bytes that a task of a pass reads.
const PIECE: usize = 1 << 20;

/// How fast all threads together read some memory, pass by pass.
///
/// Passes are made one at a time, and over memory of the caller's, so that they can stand between
/// the runs of what is compared with them and read the same bytes: on a shared machine the
/// bandwidth differs from minute to minute and from one region of memory to another.
pub struct ReadProbe<'a> {
    pieces: Vec<&'a [u8]>,
}

impl<'a> ReadProbe<'a> {
    /// A pass reads each of `memory`, which should be far more than a cache holds.
    pub fn over(memory: impl IntoIterator<Item = &'a [u8]>) -> ReadProbe<'a> {
        ReadProbe {
            pieces: memory
                .into_iter()
                .flat_map(|part| part.chunks(PIECE))
                .collect(),
        }
    }

    /// Reads all of it once; the rate in 10⁹ bytes a second.
    pub fn pass(&self, compute: &Compute) -> f64 {
        rate(|| {
            compute.pool().run(self.pieces.len(), &|piece| {
                black_box(compute.kernels().read(self.pieces[piece]));
            });
            self.pieces.iter().map(|piece| piece.len()).sum::<usize>() as f64
        })
    }
}

/// Memory for [`ReadProbe::over`]: 1 GiB, in huge pages where the system gives them.
pub fn buffer() -> Vec<u8> {
    let mut bytes = vec![0; BUFFER];
    // So that it is memory that is measured, and not address translation.
    prefer_huge_pages(&bytes);
    // Written once, since memory that was never written is one page of zeros.
    bytes.fill(1);
    bytes
}

/// The best rate of fifteen passes over a [`buffer`].
pub fn read_bandwidth(compute: &Compute) -> f64 {
    let buffer = buffer();
    let probe = ReadProbe::over([&buffer[..]]);
    best(|| probe.pass(compute))
}

/// The best rate, in 10⁹ operations a second, of multiplying and adding with this kernel table on
/// all threads together. A multiply-add is two operations.
pub fn multiply_add_peak(compute: &Compute) -> f64 {
    let kernels = compute.kernels();
    peak(compute, kernels.tile().peak_operations, &|rounds| {
        black_box(kernels.peak(rounds));
    })
}

/// The same for products of 8-bit integers and their sums, with the instructions that the integer
/// kernels of this table use.
pub fn int8_peak(compute: &Compute) -> f64 {
    let kernels = compute.kernels();
    peak(compute, kernels.tile().int8_operations, &|rounds| {
        black_box(kernels.int8_peak(rounds));
    })
}

/// The best rate of a loop of so many `operations` a round.
fn peak(compute: &Compute, operations: usize, run: &(dyn Fn(usize) + Sync)) -> f64 {
    const ROUNDS: usize = 100_000;
    let tasks = compute.pool().threads() * 16;
    best(|| {
        rate(|| {
            compute.pool().run(tasks, &|_| run(black_box(ROUNDS)));
            (tasks * ROUNDS * operations) as f64
        })
    })
}

/// 10⁹ a second of what `run` says that it has done.
fn rate(run: impl FnOnce() -> f64) -> f64 {
    let start = Instant::now();
    let done = run();
    done / start.elapsed().as_secs_f64() / 1e9
}

/// The best of some rates.
fn best(run: impl Fn() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(0.0, f64::max)
}
