//! Products of many rows: both operands are first brought into the order in which registers
//! take them, which pays when each is used many times.
//!
//! A tile is `ROWS` rows of `x` and [`COLUMNS`] weight rows; its `ROWS · COLUMNS` accumulators
//! stay in registers over a [`BLOCK`]. Packed operands are read strictly forward: for each step of
//! `LANES` numbers, the vectors of all rows of the tile. Rows and numbers that do not exist are
//! zeros, so there are no edges. The order of additions is that of [`direct`](super::direct).

use super::direct::{BLOCK, COLUMNS};
use crate::format::stored_f32;
use crate::kernels::simd::{F32, Simd, Stored};

/// Numbers that a row of `length` numbers takes when packed for vectors of `lanes`.
pub(crate) fn padded(length: usize, lanes: usize) -> usize {
    length.next_multiple_of(lanes)
}

/// Packs numbers `first..first + length` of the rows of `x` (`[rows, k]`, at most `ROWS` rows)
/// into `out`: `[steps][ROWS][LANES]`.
#[inline(always)]
pub(crate) fn pack_rows<S: Simd, const ROWS: usize>(
    s: S,
    x: &[f32],
    k: usize,
    first: usize,
    length: usize,
    out: &mut [f32],
) {
    pack::<S, F32, ROWS>(s, stored_f32(x), k, first, length, out);
}

/// Packs numbers `first..first + length` of the stored rows `w` (`[rows, k]`, at most `ROWS` rows)
/// into `out`: `[steps][ROWS][LANES]`, as `f32`.
#[inline(always)]
fn pack<S: Simd, W: Stored, const ROWS: usize>(
    s: S,
    w: &[u8],
    k: usize,
    first: usize,
    length: usize,
    out: &mut [f32],
) {
    let rows = w.len() / (k * W::BYTES);
    let steps = length.div_ceil(S::LANES);
    assert!(rows <= ROWS && w.len() == rows * k * W::BYTES && first + length <= k);
    assert!(out.len() >= steps * ROWS * S::LANES);
    let zero = s.splat(0.0);
    for row in 0..ROWS {
        for step in 0..steps {
            let at = step * S::LANES;
            let values = if row >= rows {
                zero
            } else {
                let rest = length - at;
                // SAFETY: the row exists and `first + at < first + length ≤ k`.
                let from = unsafe { w.as_ptr().add((row * k + first + at) * W::BYTES) };
                if rest >= S::LANES {
                    // SAFETY: `LANES` numbers are left of this row's part.
                    unsafe { W::load(s, from) }
                } else {
                    // SAFETY: `rest` numbers are left of this row's part.
                    unsafe { W::load_partial(s, from, rest) }
                }
            };
            // SAFETY: `step < steps` and `row < ROWS`, for which `out` is long enough.
            unsafe { s.store(values, out.as_mut_ptr().add((step * ROWS + row) * S::LANES)) };
        }
    }
}

/// `y[i, j] = x[i] · w[j] + bias[j]` for the rows `i` of some tiles and the weight rows `j`.
pub(crate) struct Packed<'a> {
    /// All of `x`, packed: for each block, for each tile, `[steps][ROWS][LANES]`.
    pub(crate) x: &'a [f32],
    /// Rows of all of `x`.
    pub(crate) m: usize,
    /// The tiles to compute.
    pub(crate) tiles: std::ops::Range<usize>,
    /// `[n, k]`, stored.
    pub(crate) w: &'a [u8],
    /// Weight rows.
    pub(crate) n: usize,
    /// Numbers in a row.
    pub(crate) k: usize,
    /// `[n]`.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the products are added to what `y` holds.
    pub(crate) accumulate: bool,
    /// Output of row 0 of `x` with the first weight row.
    pub(crate) y: *mut f32,
    /// From one row of `y` to the next, in numbers.
    pub(crate) stride: usize,
}

/// Weight rows that are packed at once: 32 · 1024 · 4 bytes = 128 KiB, which stay in a second-level
/// cache of 256 KiB or more while all tiles use them.
const STRIP: usize = 32;

/// Numbers that [`packed`] needs for packed weights.
pub(crate) const STRIP_NUMBERS: usize = STRIP * BLOCK;

/// Computes `a`. `panels` is scratch of [`STRIP_NUMBERS`].
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for the rows `i < m` of the tiles and
/// `j < n`.
#[inline(always)]
pub(crate) unsafe fn packed<S: Simd, W: Stored, const ROWS: usize>(
    s: S,
    a: &Packed,
    panels: &mut [f32],
) {
    let all_tiles = a.m.div_ceil(ROWS);
    assert!(a.w.len() == a.n * a.k * W::BYTES && a.tiles.end <= all_tiles);
    assert!(a.x.len() >= all_tiles * ROWS * padded(a.k, S::LANES) && panels.len() >= STRIP_NUMBERS);
    assert!(a.bias.is_none_or(|bias| bias.len() == a.n));
    let row_bytes = a.k * W::BYTES;
    let mut first = 0;
    while first < a.k {
        let length = BLOCK.min(a.k - first);
        let width = padded(length, S::LANES);
        let panel = COLUMNS * width;
        // The block of all rows of `x` stays in the second-level cache while the strips pass by,
        // and the block of one tile in the first-level cache while the panels of a strip do.
        for strip in (0..a.n).step_by(STRIP) {
            let columns = strip..(strip + STRIP).min(a.n);
            for (j, out) in columns
                .clone()
                .step_by(COLUMNS)
                .zip(panels.chunks_exact_mut(panel))
            {
                let end = (j + COLUMNS).min(a.n);
                pack::<S, W, COLUMNS>(
                    s,
                    &a.w[j * row_bytes..end * row_bytes],
                    a.k,
                    first,
                    length,
                    out,
                );
            }
            let mut next = Lines::after::<W>(a, strip, first);
            let pieces = a.tiles.len() * columns.len().div_ceil(COLUMNS);
            for tile in a.tiles.clone() {
                let x = &a.x[all_tiles * ROWS * first + tile * ROWS * width..][..ROWS * width];
                for (j, w) in columns
                    .clone()
                    .step_by(COLUMNS)
                    .zip(panels.chunks_exact(panel))
                {
                    next.prefetch(s, pieces);
                    // SAFETY: both hold `width / LANES` steps, as they were packed.
                    let sums =
                        unsafe { multiply::<S, ROWS>(s, x.as_ptr(), w.as_ptr(), width / S::LANES) };
                    // SAFETY: the tile and its first column exist; `y` by the caller's promise.
                    unsafe { add_to_output(a, tile * ROWS, j, &sums, first == 0) };
                }
            }
        }
        first += length;
    }
}

/// The stored weights that are packed next, asked for line by line while the present ones are
/// multiplied. They lie in short runs, one per row, which hardware prefetchers are late for.
struct Lines {
    from: *const u8,
    row_bytes: usize,
    rows: usize,
    lines_per_row: usize,
    /// Lines asked for so far.
    done: usize,
}

const LINE: usize = 64;

impl Lines {
    /// What follows the strip of weight rows from `strip` and the block from `first`: the next
    /// strip, or the next block of the first one.
    #[inline(always)]
    fn after<W: Stored>(a: &Packed, strip: usize, first: usize) -> Lines {
        let (strip, first) = if strip + STRIP < a.n {
            (strip + STRIP, first)
        } else {
            (0, first + BLOCK)
        };
        let length = BLOCK.min(a.k.saturating_sub(first));
        Lines {
            from: a.w.as_ptr().wrapping_add((strip * a.k + first) * W::BYTES),
            row_bytes: a.k * W::BYTES,
            rows: STRIP.min(a.n - strip),
            lines_per_row: (length * W::BYTES).div_ceil(LINE),
            done: 0,
        }
    }

    /// Asks for the lines of one of `pieces` equal pieces of work.
    #[inline(always)]
    fn prefetch<S: Simd>(&mut self, s: S, pieces: usize) {
        let total = self.rows * self.lines_per_row;
        let end = (self.done + total.div_ceil(pieces)).min(total);
        while self.done < end {
            let (row, line) = (
                self.done / self.lines_per_row,
                self.done % self.lines_per_row,
            );
            s.prefetch(self.from.wrapping_add(row * self.row_bytes + line * LINE));
            self.done += 1;
        }
    }
}

/// The products of `ROWS` packed rows with `COLUMNS` packed rows.
///
/// # Safety
/// `x` holds `steps · ROWS` vectors and `w` `steps · COLUMNS`.
#[inline(always)]
unsafe fn multiply<S: Simd, const ROWS: usize>(
    s: S,
    mut x: *const f32,
    mut w: *const f32,
    steps: usize,
) -> [[f32; COLUMNS]; ROWS] {
    let mut sums = [[s.splat(0.0); COLUMNS]; ROWS];
    for _ in 0..steps {
        let mut rows = [s.splat(0.0); ROWS];
        for r in 0..ROWS {
            // SAFETY: inside the vectors of this step.
            rows[r] = unsafe { s.load(x.add(r * S::LANES)) };
        }
        for c in 0..COLUMNS {
            // SAFETY: the same.
            let weights = unsafe { s.load(w.add(c * S::LANES)) };
            for r in 0..ROWS {
                sums[r][c] = s.mul_add(rows[r], weights, sums[r][c]);
            }
        }
        // SAFETY: at most one past the last vector.
        unsafe {
            x = x.add(ROWS * S::LANES);
            w = w.add(COLUMNS * S::LANES);
        }
    }
    let mut out = [[0.0; COLUMNS]; ROWS];
    for r in 0..ROWS {
        out[r] = s.sums(sums[r]);
    }
    out
}

/// Adds the sums of one block to the rows from `i` and columns from `j` that exist.
///
/// # Safety
/// `i < m`, `j < n`, and `packed`'s promise about `y`.
#[inline(always)]
unsafe fn add_to_output<const ROWS: usize>(
    a: &Packed,
    i: usize,
    j: usize,
    sums: &[[f32; COLUMNS]; ROWS],
    first_block: bool,
) {
    let columns = COLUMNS.min(a.n - j);
    let mut bias = [0.0; COLUMNS];
    if let (Some(all), true) = (a.bias, first_block) {
        bias[..columns].copy_from_slice(&all[j..j + columns]);
    }
    for (row, sums) in sums.iter().enumerate().take(a.m - i) {
        // SAFETY: row `i + row` is below `m`.
        let y = unsafe { a.y.add((i + row) * a.stride + j) };
        let mut out = [0.0; COLUMNS];
        // Whole rows of a tile move as one vector.
        let moved = if columns == COLUMNS { COLUMNS } else { columns };
        if a.accumulate || !first_block {
            // SAFETY: these columns exist.
            unsafe { std::ptr::copy_nonoverlapping(y, out.as_mut_ptr(), moved) };
        }
        for c in 0..COLUMNS {
            // The bias is added to what was there, as in the direct product, then the sums.
            out[c] = if first_block {
                out[c] + bias[c]
            } else {
                out[c]
            } + sums[c];
        }
        // SAFETY: these columns exist.
        unsafe { std::ptr::copy_nonoverlapping(out.as_ptr(), y, moved) };
    }
}
