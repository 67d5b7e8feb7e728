//! Attention of some rows of one head over all positions, in 16-bit integers.
//!
//! Four kinds of vectors are rounded to integers: a query, a key, the values of one dimension over
//! the positions, and the weights of one row over them. Each is first scaled to the length (the
//! root of its sum of squares) 32767. No integer is then larger than that, and no sum of products
//! of two such vectors, nor a part of it, is larger than the product of their lengths, 2³⁰ (Cauchy
//! and Schwarz), but for what rounding adds: at most √n / 2 to the length of `n` integers, which
//! 2³¹ has room for. So sums are exact, in any order, and a row's result depends on nothing but the
//! row, the keys and the values.
//!
//! The layout is that of [`attention`](super::attention) with pairs instead of numbers: of two
//! neighbouring numbers of a head in the keys, of two neighbouring positions in the values.

use super::attention::PANEL;
use super::exp::exp2_coarse;
use super::norm::sum_of_squares;
use crate::kernels::simd_i16::SimdI16;
use crate::scratch::{FLOATS, integers_mut};

/// Positions for which sums cannot overflow, by far: (32767 + √n / 2)² < 2³¹.
pub(crate) const MOST_POSITIONS: usize = 1 << 24;

/// The length to which vectors are scaled.
const LENGTH: f32 = 32767.0;

/// A pair of ones.
const ONES: i32 = 0x1_0001;

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
    /// Number of positions.
    pub(crate) positions: usize,
    /// `[panels][pairs of numbers][PANEL]`, of [`pack_keys`].
    pub(crate) keys: &'a [i32],
    /// `[panels · PANEL]`: what the integer 1 means in a position's key.
    pub(crate) key_units: &'a [f32],
    /// `[pairs of positions][head_dim rounded up to PANEL]`, of [`pack_values`].
    pub(crate) values: &'a [i32],
    /// `[head_dim rounded up to PANEL]`: what the integer 1 means in a dimension's values.
    pub(crate) value_units: &'a [f32],
}

/// One head's part of some rows, as [`pack_keys`] and [`pack_values`] read it.
pub(crate) struct Rows<'a> {
    /// From the head's part of the first row on.
    pub(crate) from: &'a [f32],
    /// From one row to the next, in numbers.
    pub(crate) stride: usize,
    /// Number of rows: positions.
    pub(crate) rows: usize,
    /// Numbers in a head.
    pub(crate) head_dim: usize,
}

impl Rows<'_> {
    #[inline(always)]
    fn row(&self, row: usize) -> &[f32] {
        &self.from[row * self.stride..][..self.head_dim]
    }

    /// Asks for a row that will be read some rows later.
    #[inline(always)]
    fn prefetch<S: SimdI16>(&self, s: S, row: usize) {
        const AHEAD: usize = 8;
        let from = self.from.as_ptr();
        prefetch(
            s,
            from.wrapping_add((row + AHEAD) * self.stride),
            self.head_dim,
        );
    }
}

/// Pairs in the packed keys of one head.
pub(crate) fn key_pairs(head_dim: usize, positions: usize) -> usize {
    positions.next_multiple_of(PANEL) * head_dim.div_ceil(2)
}

/// Pairs in the packed values of one head.
pub(crate) fn value_pairs(head_dim: usize, positions: usize) -> usize {
    positions.div_ceil(2) * head_dim.next_multiple_of(PANEL)
}

/// Numbers of scratch for `rows` rows at once.
pub(crate) fn scratch_numbers(rows: usize, head_dim: usize, positions: usize) -> usize {
    let (padded, width) = (
        head_dim.next_multiple_of(PANEL),
        positions.next_multiple_of(PANEL),
    );
    rows * (padded / 2 + padded + weight_pairs(width) + width)
}

/// Pairs in a row of weights for so many positions: whole vectors of any table.
#[inline(always)]
fn weight_pairs(positions: usize) -> usize {
    positions.next_multiple_of(2 * PANEL) / 2
}

/// The factor that scales a vector with this sum of squares to [`LENGTH`], and its inverse.
///
/// A vector so short that its squares vanish counts as zero.
#[inline(always)]
fn scales(sum_of_squares: f32) -> (f32, f32) {
    let length = sum_of_squares.sqrt();
    if length < 1e-18 {
        return (0.0, 0.0);
    }
    (LENGTH / length, length / LENGTH)
}

/// A slice of at most `LANES` numbers, the other lanes zero.
#[inline(always)]
fn read_up_to<S: SimdI16>(s: S, x: &[f32]) -> S::Vector {
    if x.len() == S::LANES {
        s.read(x)
    } else {
        s.read_partial(x)
    }
}

/// The numbers from `at` on, zero beyond the slice.
#[inline(always)]
fn read_at<S: SimdI16>(s: S, x: &[f32], at: usize) -> S::Vector {
    read_up_to(s, &x[at.min(x.len())..(at + S::LANES).min(x.len())])
}

/// Asks for numbers that will be read soon. Those of one head are too few in a row for the
/// processor to foresee the next row.
#[inline(always)]
fn prefetch<S: SimdI16>(s: S, from: *const f32, count: usize) {
    for line in 0..count.div_ceil(FLOATS) {
        s.prefetch(from.wrapping_add(line * FLOATS).cast());
    }
}

/// Rounds a query to pairs (`out`: half of its length rounded up to a panel, of which the
/// rest becomes zero). Returns what the integer 1 means.
#[inline(always)]
fn round_row<S: SimdI16>(s: S, x: &[f32], out: &mut [i32]) -> f32 {
    let (scale, unit) = scales(sum_of_squares(s, x, 0.0));
    let scale = s.splat(scale);
    assert!(out.len() == x.len().next_multiple_of(PANEL) / 2);
    let mut at = 0;
    while at < 2 * out.len() {
        let x = read_at(s, x, at);
        // SAFETY: `at + LANES ≤ 2 · out.len()`, as `LANES` divides a panel.
        unsafe { s.store_rounded(s.mul(x, scale), out.as_mut_ptr().add(at / 2)) };
        at += S::LANES;
    }
    unit
}

/// Packs the keys of one head: `out` as [`Attention::keys`], `units` as [`Attention::key_units`].
/// Positions that fill up the last panel are zero.
#[inline(always)]
pub(crate) fn pack_keys<S: SimdI16>(s: S, keys: &Rows, out: &mut [i32], units: &mut [f32]) {
    let pairs = keys.head_dim.div_ceil(2);
    assert!(out.len() == key_pairs(keys.head_dim, keys.rows));
    assert!(units.len() == keys.rows.next_multiple_of(PANEL));
    // A part of a key, since its length is not known here.
    let mut rounded = [0; PANEL / 2];
    for (position, unit) in units.iter_mut().enumerate() {
        let panel = &mut out[position / PANEL * PANEL * pairs..][..PANEL * pairs];
        let at = position % PANEL;
        if position >= keys.rows {
            *unit = 0.0;
            for pair in panel.chunks_exact_mut(PANEL) {
                pair[at] = 0;
            }
            continue;
        }
        keys.prefetch(s, position);
        let key = keys.row(position);
        let (scale, key_unit) = scales(sum_of_squares(s, key, 0.0));
        *unit = key_unit;
        let scale = s.splat(scale);
        for (key, panel) in key
            .chunks(S::LANES)
            .zip(panel.chunks_mut(PANEL * S::LANES / 2))
        {
            let key = s.mul(read_up_to(s, key), scale);
            // SAFETY: `LANES` is 16 at most, the numbers of a panel.
            unsafe { s.store_rounded(key, rounded.as_mut_ptr()) };
            for (pair, rounded) in panel.chunks_exact_mut(PANEL).zip(&rounded) {
                pair[at] = *rounded;
            }
        }
    }
}

/// Packs the values of one head: `out` as [`Attention::values`], the first half of `units` as
/// [`Attention::value_units`]; the second half is scratch. What fills up a row, and the last pair, is zero.
#[inline(always)]
pub(crate) fn pack_values<S: SimdI16>(s: S, values: &Rows, out: &mut [i32], units: &mut [f32]) {
    let padded = values.head_dim.next_multiple_of(PANEL);
    assert!(out.len() == value_pairs(values.head_dim, values.rows) && units.len() == 2 * padded);
    // Row by row, since the rows of one column share a set of the cache where the stride is 4 KiB.
    let (units, factors) = units.split_at_mut(padded);
    units.fill(0.0);
    for position in 0..values.rows {
        values.prefetch(s, position);
        let row = values.row(position).chunks(S::LANES);
        for (x, squares) in row.zip(units.chunks_exact_mut(S::LANES)) {
            let x = read_up_to(s, x);
            s.write(s.mul_add(x, x, s.read(squares)), squares);
        }
    }
    for (unit, factor) in units.iter_mut().zip(&mut *factors) {
        (*factor, *unit) = scales(*unit);
    }
    for (pair, out) in out.chunks_exact_mut(padded).enumerate() {
        values.prefetch(s, 2 * pair);
        values.prefetch(s, 2 * pair + 1);
        let even = values.row(2 * pair);
        let odd = if 2 * pair + 1 < values.rows {
            values.row(2 * pair + 1)
        } else {
            &[]
        };
        let mut at = 0;
        while at < padded {
            let factors = s.read(&factors[at..]);
            let first = s.mul(read_at(s, even, at), factors);
            let second = s.mul(read_at(s, odd, at), factors);
            // SAFETY: `at + LANES ≤ padded`, the length of this part of `out`.
            unsafe { s.store_integers(s.round_pairs(first, second), out.as_mut_ptr().add(at)) };
            at += S::LANES;
        }
    }
}

/// Computes `a`, `ROWS` rows at once with `WIDE` accumulators each; `NARROW` vectors are a panel.
///
/// # Safety
/// For each row, `head_dim` numbers are readable at `q` and writable, and nobody else's, at `out`.
#[inline(always)]
pub(crate) unsafe fn attention<
    S: SimdI16,
    const ROWS: usize,
    const WIDE: usize,
    const NARROW: usize,
>(
    s: S,
    a: &Attention,
    scratch: &mut [f32],
) {
    assert!(NARROW * S::LANES == PANEL && WIDE.is_multiple_of(NARROW));
    assert!(a.keys.len() == key_pairs(a.head_dim, a.positions));
    assert!(a.key_units.len() == a.positions.next_multiple_of(PANEL));
    assert!(a.values.len() == value_pairs(a.head_dim, a.positions));
    assert!(a.value_units.len() == a.head_dim.next_multiple_of(PANEL));
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
/// These rows exist, keys and values are as long as their fields say, and `attention`'s promise.
#[inline(always)]
unsafe fn rows<S: SimdI16, const R: usize, const WIDE: usize, const NARROW: usize>(
    s: S,
    a: &Attention,
    first: usize,
    scratch: &mut [f32],
) {
    let (padded, width) = (a.value_units.len(), a.key_units.len());
    let (queries, rest) = scratch.split_at_mut(R * padded / 2);
    let (outputs, rest) = rest.split_at_mut(R * padded);
    let weights_stride = weight_pairs(width);
    let (weights, rest) = rest.split_at_mut(R * weights_stride);
    let scores = &mut rest[..R * width];
    let (queries, weights) = (integers_mut(queries), integers_mut(weights));

    // In powers of two, which are the exponentials that are taken.
    let scale = std::f32::consts::LOG2_E / (a.head_dim as f32).sqrt();
    let mut units = [0.0; R];
    for row in 0..R {
        // SAFETY: readable by the caller's promise.
        let q =
            unsafe { std::slice::from_raw_parts(a.q.add((first + row) * a.stride), a.head_dim) };
        prefetch(
            s,
            a.q.wrapping_add((first + R + row) * a.stride),
            a.head_dim,
        );
        units[row] = scale * round_row(s, q, &mut queries[row * padded / 2..][..padded / 2]);
    }
    let pairs = a.head_dim.div_ceil(2);
    let keys = Side {
        from: a.keys,
        step: PANEL,
        group: pairs * PANEL,
        units: a.key_units,
    };
    // SAFETY: `width / PANEL` panels of `pairs` exist.
    unsafe { products::<S, R, WIDE, NARROW>(s, queries, padded / 2, &keys, pairs, &units, scores) };

    for row in 0..R {
        let scores = &mut scores[row * width..][..width];
        let weights = &mut weights[row * weights_stride..][..weights_stride];
        units[row] = round_weights(s, scores, a.positions, weights);
    }

    let values = Side {
        from: a.values,
        step: padded,
        group: PANEL,
        units: a.value_units,
    };
    let pairs = a.positions.div_ceil(2);
    // SAFETY: `pairs` rows of `padded` pairs exist.
    unsafe {
        products::<S, R, WIDE, NARROW>(s, weights, weights_stride, &values, pairs, &units, outputs)
    };

    for row in 0..R {
        // SAFETY: writable and ours by the caller's promise.
        let out = unsafe {
            std::slice::from_raw_parts_mut(a.out.add((first + row) * a.stride), a.head_dim)
        };
        out.copy_from_slice(&outputs[row * padded..][..a.head_dim]);
    }
}

/// The second operand of [`products`]: groups of [`PANEL`] columns, of pairs.
struct Side<'a> {
    from: &'a [i32],
    /// From one term of the sums to the next, in pairs.
    step: usize,
    /// From one group to the next, in pairs.
    group: usize,
    /// Of each column, what the integer 1 means.
    units: &'a [f32],
}

/// `out[r, c] = units[r] · right.units[c] · Σ_t left[r, t] · right[t, c]` for `R` rows and as many
/// columns as `right` has units, a multiple of [`PANEL`]; `terms` pairs.
///
/// # Safety
/// `right` is readable for these columns and `terms` terms.
#[inline(always)]
unsafe fn products<S: SimdI16, const R: usize, const WIDE: usize, const NARROW: usize>(
    s: S,
    left: &[i32],
    left_stride: usize,
    right: &Side,
    terms: usize,
    units: &[f32; R],
    out: &mut [f32],
) {
    let width = right.units.len();
    assert!(left.len() >= (R - 1) * left_stride + terms && left_stride >= terms);
    assert!(out.len() >= R * width && width.is_multiple_of(PANEL));
    let (left, out) = (left.as_ptr(), out.as_mut_ptr());
    let wide = WIDE * S::LANES;
    let mut column = 0;
    while column + wide <= width {
        // SAFETY: columns up to `column + wide ≤ width`; lengths as asserted.
        unsafe {
            tile::<S, R, WIDE>(s, left, left_stride, right, terms, units, out, column);
        }
        column += wide;
    }
    while column < width {
        // SAFETY: `width` is a multiple of a panel, so one more fits.
        unsafe {
            tile::<S, R, NARROW>(s, left, left_stride, right, terms, units, out, column);
        }
        column += PANEL;
    }
}

/// Columns `column..column + N · LANES` of [`products`].
///
/// # Safety
/// `left` is readable for `R` rows of `terms`, `right` for these columns, `out` is writable for `R`
/// rows of `right`'s columns.
#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the inner part of `products`, which has one caller"
)]
unsafe fn tile<S: SimdI16, const R: usize, const N: usize>(
    s: S,
    left: *const i32,
    left_stride: usize,
    right: &Side,
    terms: usize,
    units: &[f32; R],
    out: *mut f32,
    column: usize,
) {
    let mut sums = [[s.zeros(); N]; R];
    // `wrapping`, since after the last term this may lie beyond the memory.
    let mut from = right
        .from
        .as_ptr()
        .wrapping_add(column / PANEL * right.group);
    // Not more than one term at a time, or the compiler takes AVX-512's instruction apart into a
    // product and a sum, to shorten the chain of sums.
    for term in 0..terms {
        let mut vectors = [s.zeros(); N];
        for v in 0..N {
            let lane = v * S::LANES;
            let offset = lane / PANEL * right.group + lane % PANEL;
            // SAFETY: all vectors lie in the columns that the caller promises.
            vectors[v] = unsafe { s.load_integers(from.add(offset)) };
        }
        for r in 0..R {
            // SAFETY: row `r`, term `term` of `left`.
            let pair = s.splat_pair(unsafe { *left.add(r * left_stride + term) });
            for v in 0..N {
                sums[r][v] = s.add_pair_products(pair, vectors[v], sums[r][v]);
            }
        }
        from = from.wrapping_add(right.step);
    }
    for v in 0..N {
        let at = column + v * S::LANES;
        // SAFETY: `right` has units for all its columns.
        let column_units = unsafe { s.load(right.units.as_ptr().add(at)) };
        for r in 0..R {
            let unit = s.mul(column_units, s.splat(units[r]));
            let value = s.mul(s.integers_to_f32(sums[r][v]), unit);
            // SAFETY: row `r`, columns from `at`.
            unsafe { s.store(value, out.add(r * right.units.len() + at)) };
        }
    }
}

/// Rounds the softmax of the first `positions` scores, in powers of two, to pairs. What is behind
/// them becomes zero. Returns what the integer 1 means, so that the weights sum to one.
#[inline(always)]
fn round_weights<S: SimdI16>(
    s: S,
    scores: &mut [f32],
    positions: usize,
    weights: &mut [i32],
) -> f32 {
    assert!(weights.len() == weight_pairs(scores.len()));
    scores[positions..].fill(f32::NEG_INFINITY);
    let mut largest = s.splat(f32::NEG_INFINITY);
    for chunk in scores.chunks_exact(S::LANES) {
        largest = s.max(s.read(chunk), largest);
    }
    let largest = s.splat(s.largest(largest));
    let mut squares = s.splat(0.0);
    for chunk in scores.chunks_exact_mut(S::LANES) {
        let weight = exp2_coarse(s, s.sub(s.read(chunk), largest));
        squares = s.mul_add(weight, weight, squares);
        s.write(weight, chunk);
    }
    weights[scores.len() / 2..].fill(0);
    let (scale, _) = scales(s.sum(squares));
    let vector = s.splat(scale);
    for (chunk, pairs) in scores
        .chunks_exact(S::LANES)
        .zip(weights.chunks_exact_mut(S::LANES / 2))
    {
        // SAFETY: `pairs` has `LANES / 2` places.
        unsafe { s.store_rounded(s.mul(s.read(chunk), vector), pairs.as_mut_ptr()) };
    }
    // The sum of the integers rather than of the weights, so that what rounding takes from small
    // weights does not make the output smaller.
    let mut sum = s.zeros();
    for pairs in weights.chunks_exact(S::LANES) {
        // SAFETY: `pairs` has `LANES` pairs.
        let pairs = unsafe { s.load_integers(pairs.as_ptr()) };
        sum = s.add_pair_products(pairs, s.splat_pair(ONES), sum);
    }
    // A scale that is no number, from a score that is none, reaches the output.
    scale / (scale * s.sum(s.integers_to_f32(sum)))
}
