//! Attention of some rows of one head over the positions of a cache.
//!
//! Scores are sums over the numbers of a head, outputs sums over the positions, each in order and
//! in a lane of its own, so they are the same for a row alone and for many rows at once. Positions
//! that a row does not see have weight zero, which changes no sum.

use super::exp::exp;
use crate::kernels::simd::Simd;

/// Positions in a panel of keys, and the multiple to which the values' head size is padded.
pub(crate) const PANEL: usize = 16;

/// Some rows of one head.
pub(crate) struct Attention<'a> {
    /// The head's part of the first query row.
    pub(crate) q: *const f32,
    /// The head's part of the first output row.
    pub(crate) out: *mut f32,
    /// From one row to the next, of queries and of outputs, in numbers.
    pub(crate) stride: usize,
    /// Number of rows.
    pub(crate) rows: usize,
    /// Numbers in a head.
    pub(crate) head_dim: usize,
    /// Panels of [`PANEL`] positions: `[panels][head_dim][PANEL]`.
    pub(crate) keys: &'a [f32],
    /// `[positions][head_dim rounded up to PANEL]`.
    pub(crate) values: &'a [f32],
    /// Positions that the first row sees.
    pub(crate) visible: usize,
    /// How many more each further row sees.
    pub(crate) visible_step: usize,
}

/// Numbers of scratch for `rows` rows at once, each seeing at most `positions`.
pub(crate) fn scratch_numbers(rows: usize, head_dim: usize, positions: usize) -> usize {
    rows * (head_dim + head_dim.next_multiple_of(PANEL) + positions.next_multiple_of(PANEL))
}

/// Computes `a`, `ROWS` rows at once with `WIDE` accumulators each; `NARROW` vectors are a panel.
///
/// # Safety
/// For each row, `head_dim` numbers are readable at `q` and writable, and nobody else's, at `out`.
#[inline(always)]
pub(crate) unsafe fn attention<
    S: Simd,
    const ROWS: usize,
    const WIDE: usize,
    const NARROW: usize,
>(
    s: S,
    a: &Attention,
    scratch: &mut [f32],
) {
    assert!(NARROW * S::LANES == PANEL && WIDE.is_multiple_of(NARROW));
    let most = a.visible + a.visible_step * a.rows.saturating_sub(1);
    assert!(a.keys.len() >= most.next_multiple_of(PANEL) * a.head_dim);
    assert!(a.values.len() >= most * a.head_dim.next_multiple_of(PANEL));
    let mut row = 0;
    while row + ROWS <= a.rows {
        // SAFETY: `row + ROWS ≤ rows`; lengths as asserted; pointers by the caller's promise.
        unsafe { rows::<S, ROWS, WIDE, NARROW>(s, a, row, scratch) };
        row += ROWS;
    }
    while row < a.rows {
        // SAFETY: `row < rows`; the rest as above.
        unsafe { rows::<S, 1, WIDE, NARROW>(s, a, row, scratch) };
        row += 1;
    }
}

/// Rows `first..first + R`.
///
/// # Safety
/// These rows exist, keys and values hold what they see, and `attention`'s promise.
#[inline(always)]
unsafe fn rows<S: Simd, const R: usize, const WIDE: usize, const NARROW: usize>(
    s: S,
    a: &Attention,
    first: usize,
    scratch: &mut [f32],
) {
    let visible = |row: usize| a.visible + (first + row) * a.visible_step;
    let seen = visible(R - 1);
    let width = seen.next_multiple_of(PANEL);
    let padded = a.head_dim.next_multiple_of(PANEL);
    let (queries, rest) = scratch.split_at_mut(R * a.head_dim);
    let (outputs, rest) = rest.split_at_mut(R * padded);
    let scores = &mut rest[..R * width];

    let scale = 1.0 / (a.head_dim as f32).sqrt();
    for row in 0..R {
        // SAFETY: readable by the caller's promise.
        let q =
            unsafe { std::slice::from_raw_parts(a.q.add((first + row) * a.stride), a.head_dim) };
        for (scaled, q) in queries[row * a.head_dim..].iter_mut().zip(q) {
            *scaled = q * scale;
        }
    }

    let keys = Side {
        from: a.keys.as_ptr(),
        step: PANEL,
        group: a.head_dim * PANEL,
    };
    // SAFETY: `width / PANEL` panels exist, and `queries` and `scores` have `R` rows.
    unsafe {
        products::<S, R, WIDE, NARROW>(s, queries, a.head_dim, &keys, a.head_dim, scores, width)
    };

    let mut inverse = [0.0; R];
    for row in 0..R {
        inverse[row] = 1.0 / exponentials(s, &mut scores[row * width..][..width], visible(row));
    }

    let values = Side {
        from: a.values.as_ptr(),
        step: padded,
        group: PANEL,
    };
    // SAFETY: `seen` positions of `padded` numbers exist, and `outputs` has `R` rows.
    unsafe { products::<S, R, WIDE, NARROW>(s, scores, width, &values, seen, outputs, padded) };

    for row in 0..R {
        // SAFETY: writable and ours by the caller's promise.
        let out = unsafe {
            std::slice::from_raw_parts_mut(a.out.add((first + row) * a.stride), a.head_dim)
        };
        for (out, sum) in out.iter_mut().zip(&outputs[row * padded..]) {
            *out = sum * inverse[row];
        }
    }
}

/// The second operand of [`products`]: groups of [`PANEL`] columns.
struct Side {
    from: *const f32,
    /// From one term of the sums to the next, in numbers.
    step: usize,
    /// From one group to the next, in numbers.
    group: usize,
}

/// `out[r, c] = Σ_t left[r, t] · right[t, c]` for `R` rows and `width` columns, a multiple of
/// [`PANEL`]; `terms` terms, added in order.
///
/// # Safety
/// `right` is readable for `width` columns and `terms` terms.
#[inline(always)]
unsafe fn products<S: Simd, const R: usize, const WIDE: usize, const NARROW: usize>(
    s: S,
    left: &[f32],
    left_stride: usize,
    right: &Side,
    terms: usize,
    out: &mut [f32],
    width: usize,
) {
    assert!(left.len() >= (R - 1) * left_stride + terms && left_stride >= terms);
    assert!(out.len() >= R * width && width.is_multiple_of(PANEL));
    let wide = WIDE * S::LANES;
    let mut column = 0;
    while column + wide <= width {
        // SAFETY: columns up to `column + wide ≤ width`; lengths as asserted.
        unsafe {
            outer::<S, R, WIDE>(
                s,
                left.as_ptr(),
                left_stride,
                right,
                terms,
                out.as_mut_ptr(),
                width,
                column,
            )
        };
        column += wide;
    }
    while column < width {
        // SAFETY: `width` is a multiple of a panel, so one more fits.
        unsafe {
            outer::<S, R, NARROW>(
                s,
                left.as_ptr(),
                left_stride,
                right,
                terms,
                out.as_mut_ptr(),
                width,
                column,
            )
        };
        column += PANEL;
    }
}

/// Columns `column..column + N · LANES` of [`products`].
///
/// # Safety
/// `left` is readable for `R` rows of `terms`, `right` for these columns, `out` is writable for `R`
/// rows of `width`.
#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the inner part of `products`, which has one caller"
)]
unsafe fn outer<S: Simd, const R: usize, const N: usize>(
    s: S,
    left: *const f32,
    left_stride: usize,
    right: &Side,
    terms: usize,
    out: *mut f32,
    width: usize,
    column: usize,
) {
    let mut sums = [[s.splat(0.0); N]; R];
    // SAFETY: the group of `column` exists.
    let mut from = unsafe { right.from.add(column / PANEL * right.group) };
    for term in 0..terms {
        let mut vectors = [s.splat(0.0); N];
        for v in 0..N {
            let lane = v * S::LANES;
            let offset = lane / PANEL * right.group + lane % PANEL;
            // SAFETY: all vectors lie in the columns that the caller promises.
            vectors[v] = unsafe { s.load(from.add(offset)) };
        }
        for r in 0..R {
            // SAFETY: row `r`, term `term` of `left`.
            let factor = s.splat(unsafe { *left.add(r * left_stride + term) });
            for v in 0..N {
                sums[r][v] = s.mul_add(factor, vectors[v], sums[r][v]);
            }
        }
        // `wrapping`, since after the last term this may lie beyond the memory.
        from = from.wrapping_add(right.step);
    }
    for r in 0..R {
        for v in 0..N {
            // SAFETY: row `r`, columns from `column`.
            unsafe { s.store(sums[r][v], out.add(r * width + column + v * S::LANES)) };
        }
    }
}

/// Replaces the first `visible` scores by their exponentials relative to the largest, the others
/// by zero, and returns the sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, scores: &mut [f32], visible: usize) -> f32 {
    scores[visible..].fill(f32::NEG_INFINITY);
    let mut largest = s.splat(f32::NEG_INFINITY);
    for chunk in scores.chunks_exact(S::LANES) {
        largest = s.max(s.read(chunk), largest);
    }
    let largest = s.splat(s.largest(largest));
    let mut sum = s.splat(0.0);
    for chunk in scores.chunks_exact_mut(S::LANES) {
        let weight = exp(s, s.sub(s.read(chunk), largest));
        sum = s.add(sum, weight);
        s.write(weight, chunk);
    }
    s.sum(sum)
}
