//! Products of few rows with stored weights, read straight from where they are stored.
//!
//! This is what decoding does: each weight is read from memory once, converted in registers and
//! multiplied with every row.
//!
//! The order of additions, here and in [`packed`](super::packed): the numbers of a row lie along
//! the lanes; an output has one vector accumulator, which takes them in their order; after every
//! [`BLOCK`] numbers its lanes are summed and that sum is added to the output. Nothing in this
//! depends on which rows are computed together.

use crate::kernels::simd::{F32, Simd, Stored};

/// Numbers of a row that are summed in one vector accumulator. 1024 · 4 bytes · 4 weight rows =
/// 16 KiB, half of a first-level cache of 32 KiB.
pub(crate) const BLOCK: usize = 1024;

/// Weight rows that are multiplied at once.
pub(crate) const COLUMNS: usize = 4;

/// `y[i, j] = x[i] · w[j] + bias[j]` for all rows `i` of `x` and `j` of the weights.
pub(crate) struct Direct<'a> {
    /// `[m, k]`.
    pub(crate) x: &'a [f32],
    /// `[n, k]`, stored.
    pub(crate) w: &'a [u8],
    /// Numbers in a row.
    pub(crate) k: usize,
    /// `[n]`.
    pub(crate) bias: Option<&'a [f32]>,
    /// Whether the products are added to what `y` holds.
    pub(crate) accumulate: bool,
    /// Output of the first row with the first weight row.
    pub(crate) y: *mut f32,
    /// From one row of `y` to the next, in numbers.
    pub(crate) stride: usize,
    /// Rows of `x`.
    pub(crate) m: usize,
    /// Weight rows.
    pub(crate) n: usize,
}

/// Computes `a`, up to `ROWS` rows of `x` at once. So many that their accumulators and a step's
/// vectors fit the registers; what reads weights of two bytes also needs some to convert them.
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for `i < m`, `j < n`.
#[inline(always)]
pub(crate) unsafe fn direct<S: Simd, W: Stored, const ROWS: usize>(s: S, a: &Direct) {
    assert!(a.x.len() == a.m * a.k && a.w.len() == a.n * a.k * W::BYTES);
    assert!(a.bias.is_none_or(|bias| bias.len() == a.n));
    let mut j = 0;
    while j < a.n {
        let mut i = 0;
        while i + ROWS <= a.m {
            // SAFETY: `i + ROWS ≤ m` and `j < n`; `y` by the caller's promise.
            unsafe { tile::<S, W, ROWS>(s, a, i, j) };
            i += ROWS;
        }
        if ROWS > 4 && i + 4 <= a.m {
            // SAFETY: `i + 4 ≤ m` and `j < n`; `y` by the caller's promise.
            unsafe { tile::<S, W, 4>(s, a, i, j) };
            i += 4;
        }
        while i + 2 <= a.m {
            // SAFETY: `i + 2 ≤ m` and `j < n`; `y` by the caller's promise.
            unsafe { tile::<S, W, 2>(s, a, i, j) };
            i += 2;
        }
        if i < a.m {
            // SAFETY: `i < m` and `j < n`; `y` by the caller's promise.
            unsafe { tile::<S, W, 1>(s, a, i, j) };
        }
        j += COLUMNS;
    }
}

/// Rows `i..i + R` of `x` with weight rows `j..j + COLUMNS`, those that exist.
///
/// # Safety
/// `i + R ≤ m`, `j < n`, the lengths fit (as `direct` checks), and `direct`'s promise about `y`.
#[inline(always)]
unsafe fn tile<S: Simd, W: Stored, const R: usize>(s: S, a: &Direct, i: usize, j: usize) {
    let columns = COLUMNS.min(a.n - j);
    let row_bytes = a.k * W::BYTES;
    let mut x = [a.x.as_ptr(); R];
    for (r, x) in x.iter_mut().enumerate() {
        // SAFETY: row `i + r` exists.
        *x = unsafe { x.add((i + r) * a.k) };
    }
    // A missing weight row is replaced by the last one, and its result dropped.
    let mut w = [a.w.as_ptr(); COLUMNS];
    for (c, w) in w.iter_mut().enumerate() {
        // SAFETY: the row is one that exists.
        *w = unsafe { w.add((j + c).min(a.n - 1) * row_bytes) };
    }

    let mut out = [[0.0; COLUMNS]; R];
    for (r, out) in out.iter_mut().enumerate() {
        for (c, out) in out.iter_mut().enumerate().take(columns) {
            let bias = a.bias.map_or(0.0, |bias| bias[j + c]);
            let mut before = 0.0;
            if a.accumulate {
                // SAFETY: row and column exist; `y` by the caller's promise.
                before = unsafe { *a.y.add((i + r) * a.stride + j + c) };
            }
            *out = before + bias;
        }
    }

    let mut first = 0;
    while first < a.k {
        let length = BLOCK.min(a.k - first);
        let whole = first + length - length % S::LANES;
        let mut sums = [[s.splat(0.0); COLUMNS]; R];
        let mut at = first;
        while at < whole {
            let mut rows = [s.splat(0.0); R];
            for r in 0..R {
                // SAFETY: `at + LANES ≤ k`, so this stays inside the row.
                rows[r] = unsafe { s.load(x[r].add(at)) };
            }
            for c in 0..COLUMNS {
                // SAFETY: the same.
                let weights = unsafe { W::load(s, w[c].add(at * W::BYTES)) };
                if i == 0 {
                    // The same place of the next four rows. A row is often a page of memory, and
                    // hardware prefetchers start anew in each.
                    s.prefetch(w[c].wrapping_add(at * W::BYTES + COLUMNS * row_bytes));
                }
                for r in 0..R {
                    sums[r][c] = s.mul_add(rows[r], weights, sums[r][c]);
                }
            }
            at += S::LANES;
        }
        let rest = first + length - whole;
        if rest > 0 {
            for c in 0..COLUMNS {
                // SAFETY: `whole + rest ≤ k`.
                let weights = unsafe { W::load_partial(s, w[c].add(whole * W::BYTES), rest) };
                for r in 0..R {
                    // SAFETY: the same.
                    let x = unsafe { F32::load_partial(s, x[r].add(whole).cast(), rest) };
                    sums[r][c] = s.mul_add(x, weights, sums[r][c]);
                }
            }
        }
        for r in 0..R {
            let block = s.sums(sums[r]);
            for c in 0..COLUMNS {
                out[r][c] += block[c];
            }
        }
        first += length;
    }

    for (r, out) in out.iter().enumerate() {
        for (c, &out) in out.iter().enumerate().take(columns) {
            // SAFETY: row and column exist; `y` by the caller's promise.
            unsafe { *a.y.add((i + r) * a.stride + j + c) = out };
        }
    }
}
