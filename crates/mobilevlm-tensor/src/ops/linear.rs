//! The linear layer: where a model spends its time.

use crate::format::stored_f32;
use crate::kernels::generic::direct::{BLOCK, COLUMNS, Direct};
use crate::kernels::generic::packed::{Packed, STRIP_NUMBERS, padded};
use crate::parallel::Parts;
use crate::scratch::{FLOATS, with_scratch};
use crate::{Arithmetic, Compute, Format, Matrix};

use super::panels;

/// Up to so many rows are multiplied without packing. In cache, on one core of a Zen 4: 24 rows reach
/// 94 % of the AVX-512 peak directly and 80 % packed, with AVX2 76 % and 74 %.
const FEW_ROWS: usize = 24;

/// Weight bytes that a task of the direct product reads: some thirty microseconds, short enough to
/// share between threads, long enough that asking early for rows beyond its end, which another
/// thread will read, wastes little. 128 KiB read 15 % slower where memory is fast.
const DIRECT_BYTES: usize = 512 * 1024;

/// Rows of `x` that a task of the packed product takes, about: the block of 1024 numbers of 144
/// rows is 576 KiB, which stay in a second-level cache of 1 MiB beside the packed weights.
const PACKED_ROWS: usize = 144;

/// Weight rows that a task of the packed product takes at most, and of which it takes a multiple.
/// More rows use a block of `x` more often, fewer rows share the work more evenly.
const PACKED_COLUMNS: std::ops::RangeInclusive<usize> = 32..=256;

/// Tasks that each thread should find, so that one more or less makes little difference.
const TASKS_PER_THREAD: usize = 8;

/// y = x · wᵀ + bias.
///
/// `x`: `[m, k]`; `w`: `[n, k]` in any format; `bias`: `[n]`; `y`: `[m, n]`. Products are taken in
/// `f32`, each output is summed in an order that depends on `k` alone.
///
/// # Panics
/// If the lengths do not fit `w`.
pub fn linear(compute: &Compute, x: &[f32], w: &Matrix, bias: Option<&[f32]>, y: &mut [f32]) {
    run(compute, x, w, bias, y, false);
}

/// y += x · wᵀ + bias: a layer whose result is added to the residual stream.
///
/// Shapes as in [`linear`]. The products are added to the sum of `y` and the bias.
///
/// # Panics
/// If the lengths do not fit `w`.
pub fn linear_add(compute: &Compute, x: &[f32], w: &Matrix, bias: Option<&[f32]>, y: &mut [f32]) {
    run(compute, x, w, bias, y, true);
}

/// One of several linear layers with the same input: y = x · wᵀ + bias.
pub struct Linear<'a> {
    /// `[n, k]` in any format.
    pub w: &'a Matrix,
    /// `[n]`.
    pub bias: Option<&'a [f32]>,
    /// `[m, n]`.
    pub y: &'a mut [f32],
}

impl Linear<'_> {
    /// The first `rows` rows, and the others.
    pub(super) fn split(&mut self, rows: usize) -> (Linear<'_>, Linear<'_>) {
        let Linear { w, bias, y } = self;
        let (first, rest) = y.split_at_mut(rows * w.rows());
        let part = |y| Linear { w, bias: *bias, y };
        (part(first), part(rest))
    }
}

/// Several layers of the same `x`, `[m, k]`, which is brought into integers only once.
///
/// # Panics
/// If the lengths do not fit a layer's `w`.
pub fn linears(compute: &Compute, x: &[f32], layers: &mut [Linear]) {
    let fast = compute.arithmetic() == Arithmetic::Fast;
    if fast && layers.iter().all(|layer| layer.w.is_interleaved()) {
        return panels::run(compute, x, layers, false);
    }
    for layer in layers {
        linear(compute, x, layer.w, layer.bias, layer.y);
    }
}

fn run(
    compute: &Compute,
    x: &[f32],
    w: &Matrix,
    bias: Option<&[f32]>,
    y: &mut [f32],
    accumulate: bool,
) {
    let (n, k) = (w.rows(), w.columns());
    let m = y.len().checked_div(n).unwrap_or(0);
    assert_eq!(
        y.len(),
        m * n,
        "y has {} elements, not rows of {n}",
        y.len()
    );
    if let Some(bias) = bias {
        assert_eq!(
            bias.len(),
            n,
            "bias has {} elements, the weight {n} rows",
            bias.len()
        );
    }
    if n == 0 {
        return;
    }
    assert_eq!(
        x.len(),
        m * k,
        "x has {} elements, expected {m} rows of {k}",
        x.len()
    );
    compute.input_squares().add(w, x);
    if w.is_interleaved() && compute.arithmetic() == Arithmetic::Fast {
        let mut job = Linear { w, bias, y };
        return panels::run(compute, x, std::slice::from_mut(&mut job), accumulate);
    }
    let call = Call {
        x,
        w,
        bias,
        m,
        n,
        k,
        accumulate,
    };
    if m == 0 {
        return;
    }
    let _running = compute.product_clock().product();
    if m <= FEW_ROWS || k == 0 {
        direct(compute, &call, y);
    } else {
        packed(compute, &call, y);
    }
}

/// The arguments, their sizes checked.
struct Call<'a> {
    x: &'a [f32],
    w: &'a Matrix,
    bias: Option<&'a [f32]>,
    m: usize,
    n: usize,
    k: usize,
    accumulate: bool,
}

impl Call<'_> {
    fn bias(&self, first: usize, count: usize) -> Option<&[f32]> {
        self.bias.map(|bias| &bias[first..first + count])
    }
}

/// Each task takes some weight rows and all rows of `x`.
fn direct(compute: &Compute, call: &Call, y: &mut [f32]) {
    let &Call { w, m, n, k, .. } = call;
    let row_bytes = (w.bytes().len() / n).max(1);
    let rows = DIRECT_BYTES.div_ceil(row_bytes).next_multiple_of(COLUMNS);
    let y = Parts::new(y);
    compute.pool().run(n.div_ceil(rows), &|task| {
        let first = task * rows;
        let count = rows.min(n - first);
        with_rows(w, first, count, |format, rows| {
            let part = Direct {
                x: call.x,
                w: rows,
                k,
                bias: call.bias(first, count),
                accumulate: call.accumulate,
                y: y.pointer(first),
                stride: n,
                m,
                n: count,
            };
            // SAFETY: columns `first..first + count` of the `m` rows of `y`, which no other task
            // has.
            unsafe { compute.kernels().direct(format, &part) };
        });
    });
}

/// Packs `x` once, then each task takes a rectangle of `y`.
fn packed(compute: &Compute, call: &Call, y: &mut [f32]) {
    let &Call { w, m, n, k, .. } = call;
    let (kernels, pool) = (compute.kernels(), compute.pool());
    let tile = kernels.tile();
    let tiles = m.div_ceil(tile.rows);
    let packed_numbers = (tiles * tile.rows * padded(k, tile.lanes)).next_multiple_of(FLOATS);
    // Row groups of equal size, and so many column groups that there are tasks enough.
    let row_groups = m.div_ceil(PACKED_ROWS);
    let group_tiles = tiles.div_ceil(row_groups);
    let (least, most) = PACKED_COLUMNS.into_inner();
    let wanted = (pool.threads() * TASKS_PER_THREAD).div_ceil(row_groups);
    let columns = n.div_ceil(wanted).next_multiple_of(least).min(most);
    let column_groups = n.div_ceil(columns);

    with_scratch(packed_numbers + pool.threads() * STRIP_NUMBERS, |scratch| {
        let (x, panels) = scratch.split_at_mut(packed_numbers);
        pack_all(compute, call, tiles, x);
        let (x, panels, y) = (&*x, Parts::new(panels), Parts::new(y));
        pool.run_on(column_groups * row_groups, &|task, thread| {
            // Neighbouring tasks read the same weights.
            let (column_group, row_group) = (task / row_groups, task % row_groups);
            let first = column_group * columns;
            let count = columns.min(n - first);
            with_rows(w, first, count, |format, rows| {
                let part = Packed {
                    x,
                    m,
                    tiles: (row_group * group_tiles).min(tiles)
                        ..((row_group + 1) * group_tiles).min(tiles),
                    w: rows,
                    n: count,
                    k,
                    bias: call.bias(first, count),
                    accumulate: call.accumulate,
                    y: y.pointer(first),
                    stride: n,
                };
                // SAFETY: this thread's own part, since thread numbers differ.
                let panels = unsafe { panels.part(thread * STRIP_NUMBERS, STRIP_NUMBERS) };
                // SAFETY: the rectangle of these tiles and columns belongs to no other task.
                unsafe { kernels.packed(format, &part, panels) };
            });
        });
    });
}

/// Hands `job` the stored rows `first..first + count`, decoded to `f32` where they are blocks.
///
/// This is the definition of a product with a block format: the numbers that the blocks mean,
/// multiplied and summed as stored `f32` would be.
fn with_rows(w: &Matrix, first: usize, count: usize, job: impl FnOnce(Format, &[u8])) {
    if w.format().block() == 1 {
        return job(w.format(), w.rows_from(first, count));
    }
    with_scratch(count * w.columns(), |decoded| {
        if w.is_interleaved() {
            let mut stored = vec![0; count * w.row_bytes()];
            w.rows_into(first, &mut stored);
            w.format().decode(&stored, decoded);
        } else {
            w.format().decode(w.rows_from(first, count), decoded);
        }
        job(Format::F32, stored_f32(decoded));
    });
}

/// Packs all rows of `x` as [`Packed`] wants them: each task packs one tile.
fn pack_all(compute: &Compute, call: &Call, tiles: usize, out: &mut [f32]) {
    let &Call { m, k, .. } = call;
    let tile = compute.kernels().tile();
    let out = Parts::new(out);
    compute.pool().run(tiles, &|number| {
        let rows = number * tile.rows..((number + 1) * tile.rows).min(m);
        let x = &call.x[rows.start * k..rows.end * k];
        for first in (0..k).step_by(BLOCK) {
            let length = BLOCK.min(k - first);
            let numbers = tile.rows * padded(length, tile.lanes);
            // SAFETY: blocks follow each other, and in a block tiles do; each is packed once.
            let part = unsafe { out.part(tiles * tile.rows * first + number * numbers, numbers) };
            compute.kernels().pack_rows(x, k, first, length, part);
        }
    });
}
