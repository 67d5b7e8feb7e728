//! Linear layers in integers: activations are quantised, weights come in panels.

use super::linear::Linear;
use crate::kernels::generic::panels::{Panels, STRIP_NUMBERS};
use crate::kernels::generic::quantise::{BLOCK, FIELDS, Levels, Row, Tiles};
use crate::panel::{GROUP, ROWS};
use crate::parallel::Parts;
use crate::scratch::{FLOATS, with_scratch};
use crate::{Compute, Format, Matrix};

use super::{tiles, words};

/// Up to so many rows are multiplied with weights where they are stored.
pub(super) const FEW_ROWS: usize = 8;

/// Weight bytes that a task of few rows reads at least.
const FEW_BYTES: usize = 64 * 1024;

/// Rows of `x` that a task of many rows takes at most: 512 levels of 320 rows are 160 KiB, which
/// stay in a second-level cache beside the weights, and weights are laid out once for all of them.
const MANY_ROWS: usize = 320;

/// Panels of which a task of many rows takes a multiple.
const PANELS_TOGETHER: usize = 2;

/// How many tasks of many rows there are.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// Tasks that each thread should find.
    pub(super) tasks_per_thread: usize,
    /// Panels that a task takes at most.
    pub(super) most_panels: usize,
}

/// So many tasks that one more or less makes little difference, none with more outputs than a
/// second-level cache has room for.
pub(super) const SPLIT: Split = Split {
    tasks_per_thread: 3,
    most_panels: 32,
};

/// The layers `layers` of the rows `x`; with `accumulate`, added to what `y` holds.
///
/// # Panics
/// If the lengths do not fit a layer's `w`.
pub(super) fn run(compute: &Compute, x: &[f32], layers: &mut [Linear], accumulate: bool) {
    let Some(k) = layers.first().map(|layer| layer.w.columns()) else {
        return;
    };
    let m = x.len().checked_div(k).unwrap_or(0);
    for Linear { w, bias, y } in layers.iter() {
        let n = w.rows();
        assert!(
            x.len() == m * w.columns() && y.len() == m * n,
            "x has {} elements and y {}, expected rows of {} and of {n}",
            x.len(),
            y.len(),
            w.columns(),
        );
        if let Some(bias) = bias {
            let found = bias.len();
            assert_eq!(found, n, "bias has {found} elements, the weight {n} rows");
        }
    }
    if m == 0 {
        return;
    }
    let _running = compute.product_clock().product();
    let Some(tiles) = compute.kernels().tiles() else {
        return run_integers(compute, x, layers, accumulate);
    };
    let steps = compute.steps().min(m);
    if steps == 0 {
        tiles::run(compute, tiles, x, layers, accumulate);
    } else if steps == m {
        run_integers(compute, x, layers, accumulate);
    } else {
        let (x_steps, x_rest) = x.split_at(steps * k);
        let (mut first, mut rest): (Vec<_>, Vec<_>) =
            layers.iter_mut().map(|layer| layer.split(steps)).unzip();
        run_integers(compute, x_steps, &mut first, accumulate);
        tiles::run(compute, tiles, x_rest, &mut rest, accumulate);
    }
}

/// Activations in integers.
fn run_integers(compute: &Compute, x: &[f32], layers: &mut [Linear], accumulate: bool) {
    // Neighbours that take the same kind of activations share them.
    let words = |layer: &Linear| compute.kernels().words(layer.w.format()).is_some();
    for layers in layers.chunk_by_mut(|a, b| words(a) == words(b)) {
        match compute.kernels().words(layers[0].w.format()) {
            Some(kernels) => words::run(compute, kernels, x, layers, accumulate),
            None => run_bytes(compute, x, layers, accumulate),
        }
    }
}

/// Activations in bytes.
fn run_bytes(compute: &Compute, x: &[f32], layers: &mut [Linear], accumulate: bool) {
    let k = layers[0].w.columns();
    let m = x.len() / k;
    let (kernels, threads) = (compute.kernels(), compute.pool().threads());
    if m <= FEW_ROWS {
        with_scratch(row_numbers(m, k), |scratch| {
            let mut rows = Rows::new(scratch, m, k);
            // Some microseconds: less than waking another thread.
            for i in 0..m {
                kernels.quantise(&x[i * k..(i + 1) * k], &mut rows.row(i));
            }
            let x = rows.levels();
            few(compute, m, layers, accumulate, &|format, part| {
                // SAFETY: `few` hands out parts that are one task's.
                unsafe { kernels.few(format, part, x) };
            });
        });
        return;
    }
    let tile = kernels.tile().panel_rows;
    let tiles = m.div_ceil(tile);
    let levels = (tiles * tile * k / 4).next_multiple_of(FLOATS);
    let scales = (tiles * tile * FIELDS * (k / GROUP)).next_multiple_of(FLOATS);
    let each = STRIP_NUMBERS.max(row_numbers(tile, k));
    with_scratch(levels + scales + threads * each, |scratch| {
        let (levels, rest) = scratch.split_at_mut(levels);
        let (scales, strips) = rest.split_at_mut(scales);
        quantise_tiles(compute, x, k, levels, scales, strips);
        let x = Tiles {
            levels: bytes(levels),
            scales,
            tiles,
        };
        let strips = Parts::new(strips);
        many(compute, [m, tile], SPLIT, layers, accumulate, &|task| {
            // SAFETY: this thread's own part, since thread numbers differ.
            let strip = unsafe { strips.part(task.thread * each, STRIP_NUMBERS) };
            // SAFETY: `many` hands out parts that are one task's.
            unsafe { kernels.many(task.format, &task.part, x, task.tiles, strip) };
        });
    });
}

/// Four levels in the place of a number.
fn bytes(numbers: &[f32]) -> &[i8] {
    // SAFETY: any bytes are levels, and they need no alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), 4 * numbers.len()) }
}

/// Numbers that `m` rows of `k` take in integers: levels, scales, and two kinds of sums.
fn row_numbers(m: usize, k: usize) -> usize {
    (m * k / 4 + 6 * m * k / GROUP).next_multiple_of(FLOATS)
}

/// Rows in integers, one after the other.
struct Rows<'a> {
    k: usize,
    levels: &'a mut [f32],
    scales: &'a mut [f32],
    sums32: &'a mut [f32],
    sums16: &'a mut [f32],
    totals16: &'a mut [f32],
}

impl<'a> Rows<'a> {
    /// `m` rows of `k` numbers in at least [`row_numbers`].
    fn new(scratch: &'a mut [f32], m: usize, k: usize) -> Rows<'a> {
        let (levels, rest) = scratch.split_at_mut(m * k / 4);
        let (scales, rest) = rest.split_at_mut(m * k / GROUP);
        let (sums32, rest) = rest.split_at_mut(m * k / GROUP);
        let (sums16, rest) = rest.split_at_mut(2 * m * k / GROUP);
        Rows {
            k,
            levels,
            scales,
            sums32,
            sums16,
            totals16: &mut rest[..2 * m * k / GROUP],
        }
    }

    /// Makes all rows zeros.
    fn clear(&mut self) {
        self.levels.fill(0.0);
        self.scales.fill(0.0);
        self.sums32.fill(0.0);
        self.sums16.fill(0.0);
        self.totals16.fill(0.0);
    }

    fn row(&mut self, i: usize) -> Row<'_> {
        let (k, groups) = (self.k, self.k / GROUP);
        let levels = &mut self.levels[i * k / 4..(i + 1) * k / 4];
        Row {
            // SAFETY: the same bytes, borrowed in the place of the numbers; any bytes are numbers.
            levels: unsafe { std::slice::from_raw_parts_mut(levels.as_mut_ptr().cast(), k) },
            scales: &mut self.scales[i * groups..(i + 1) * groups],
            sums32: &mut self.sums32[i * groups..(i + 1) * groups],
            sums16: &mut self.sums16[2 * i * groups..2 * (i + 1) * groups],
            totals16: &mut self.totals16[2 * i * groups..2 * (i + 1) * groups],
        }
    }

    fn levels(&self) -> Levels<'_> {
        Levels {
            levels: bytes(self.levels),
            scales: self.scales,
            sums32: self.sums32,
            sums16: self.sums16,
            totals16: self.totals16,
        }
    }
}

/// Fills the arrays of [`Tiles`]: each task quantises the rows of a tile and moves them there.
/// `strips` is scratch of [`row_numbers`] of a tile for each thread.
fn quantise_tiles(
    compute: &Compute,
    x: &[f32],
    k: usize,
    levels: &mut [f32],
    scales: &mut [f32],
    strips: &mut [f32],
) {
    let (kernels, pool) = (compute.kernels(), compute.pool());
    let (rows, together) = (kernels.tile().panel_rows, kernels.tile().panel_row);
    let (m, groups) = (x.len() / k, k / GROUP);
    let tiles = m.div_ceil(rows);
    let each = strips.len() / pool.threads();
    let (levels, scales) = (Parts::new(levels), Parts::new(scales));
    let strips = Parts::new(strips);
    pool.run_on(tiles, &|tile, thread| {
        // SAFETY: this thread's own part, since thread numbers differ.
        let strip = unsafe { strips.part(thread * each, each) };
        let count = rows.min(m - tile * rows);
        let mut quantised = Rows::new(strip, rows, k);
        if count < rows {
            quantised.clear();
        }
        for r in 0..count {
            let i = tile * rows + r;
            kernels.quantise(&x[i * k..(i + 1) * k], &mut quantised.row(r));
        }
        for first in (0..k).step_by(BLOCK) {
            let length = BLOCK.min(k - first);
            let start = (tiles * first + tile * length) * rows / 4;
            // SAFETY: blocks follow each other, and in a block tiles do; each is written once.
            let out = unsafe { levels.part(start, rows * length / 4) };
            // A matrix instruction takes more of a row at once than four numbers.
            if together > 4 {
                for (part, out) in out.chunks_exact_mut(rows * together / 4).enumerate() {
                    for (r, out) in out.chunks_exact_mut(together / 4).enumerate() {
                        let at = (r * k + first + part * together) / 4;
                        out.copy_from_slice(&quantised.levels[at..][..together / 4]);
                    }
                }
                continue;
            }
            for (quad, out) in out.chunks_exact_mut(rows).enumerate() {
                for (r, out) in out.iter_mut().enumerate() {
                    *out = quantised.levels[(r * k + first) / 4 + quad];
                }
            }
        }
        let each = FIELDS * rows;
        // SAFETY: the tile's own scales.
        let out = unsafe { scales.part(tile * groups * each, groups * each) };
        for (group, out) in out.chunks_exact_mut(each).enumerate() {
            for r in 0..rows {
                let at = r * groups + group;
                let totals = [quantised.totals16[2 * at], quantised.totals16[2 * at + 1]];
                let total = totals[0].to_bits().wrapping_add(totals[1].to_bits());
                out[r] = quantised.scales[at];
                out[rows + r] = quantised.sums32[at];
                out[2 * rows + r] = quantised.sums16[2 * at];
                out[3 * rows + r] = quantised.sums16[2 * at + 1];
                out[4 * rows + r] = f32::from_bits(total);
                out[5 * rows + r] = totals[0];
                out[6 * rows + r] = totals[1];
            }
        }
    });
}

/// Where the tasks of several layers begin: the layer of a task, and its number in it.
fn find(counts: &[usize], mut task: usize) -> (usize, usize) {
    let mut layer = 0;
    while task >= counts[layer] {
        task -= counts[layer];
        layer += 1;
    }
    (layer, task)
}

/// The most layers that are computed together.
const MOST_LAYERS: usize = 4;

/// Each task takes some neighbouring panels and all rows.
pub(super) fn few(
    compute: &Compute,
    m: usize,
    layers: &mut [Linear],
    accumulate: bool,
    job: &(dyn Fn(Format, &Panels) + Sync),
) {
    for layers in layers.chunks_mut(MOST_LAYERS) {
        let panels = |layer: &Linear| layer.w.rows().div_ceil(ROWS);
        let total: usize = layers.iter().map(panels).sum();
        let bytes = |layer: &Linear| panels(layer) * ROWS * layer.w.row_bytes();
        let all_bytes: usize = layers.iter().map(bytes).sum();
        let least = (total * FEW_BYTES).checked_div(all_bytes).unwrap_or(1);
        let shares = Shares {
            total,
            parts: 2 * compute.pool().threads(),
            least: least.max(1),
        };
        let outputs = outputs(layers);
        compute.pool().run(shares.count(), &|task| {
            let share = shares.get(task);
            let mut before = 0;
            for (layer, output) in layers.iter().zip(outputs) {
                let here = before..before + panels(layer);
                let [first, end] =
                    [share.start, share.end].map(|at| at.clamp(here.start, here.end));
                if first < end {
                    let columns =
                        (first - before) * ROWS..((end - before) * ROWS).min(layer.w.rows());
                    let part = part(m, layer.w, layer.bias, columns, accumulate, output);
                    job(layer.w.format(), &part);
                }
                before = here.end;
            }
        });
    }
}

/// Work in shares that become smaller: long stretches of memory are read fastest, and short ones at
/// the end leave no thread waiting long for another.
struct Shares {
    total: usize,
    /// Each share is this part of what is left.
    parts: usize,
    /// But not smaller.
    least: usize,
}

impl Shares {
    fn next(&self, start: usize) -> usize {
        let left = self.total - start;
        start + (left / self.parts).max(self.least).min(left)
    }

    fn count(&self) -> usize {
        let starts = std::iter::successors(Some(0), |&start| Some(self.next(start)));
        starts.take_while(|&start| start < self.total).count()
    }

    fn get(&self, index: usize) -> std::ops::Range<usize> {
        let start = (0..index).fold(0, |start, _| self.next(start));
        start..self.next(start)
    }
}

/// A rectangle of one layer's outputs.
pub(super) struct Task<'a> {
    pub(super) format: Format,
    pub(super) part: Panels<'a>,
    pub(super) tiles: std::ops::Range<usize>,
    /// The thread that computes it.
    pub(super) thread: usize,
}

/// Tiles that a task of [`many`] takes at most.
pub(super) fn most_tiles(m: usize, tile: usize) -> usize {
    m.div_ceil(tile).div_ceil(m.div_ceil(MANY_ROWS))
}

/// Each task takes a rectangle of one layer's outputs, of `m` rows in tiles of `tile`. `split` says
/// into how many.
pub(super) fn many(
    compute: &Compute,
    [m, tile]: [usize; 2],
    split: Split,
    layers: &mut [Linear],
    accumulate: bool,
    job: &(dyn Fn(Task) + Sync),
) {
    let pool = compute.pool();
    let all_tiles = m.div_ceil(tile);
    let group = most_tiles(m, tile);
    let row_groups = all_tiles.div_ceil(group);
    for layers in layers.chunks_mut(MOST_LAYERS) {
        let all: usize = layers.iter().map(|layer| layer.w.rows()).sum();
        let wanted = (pool.threads() * split.tasks_per_thread).div_ceil(row_groups);
        let panels = all.div_ceil(ROWS).div_ceil(wanted);
        let each = panels
            .next_multiple_of(PANELS_TOGETHER)
            .min(split.most_panels)
            * ROWS;
        let mut counts = [0; MOST_LAYERS];
        for (count, layer) in counts.iter_mut().zip(&*layers) {
            *count = layer.w.rows().div_ceil(each) * row_groups;
        }
        let outputs = outputs(layers);
        pool.run_on(counts.iter().sum(), &|task, thread| {
            let (layer, task) = find(&counts, task);
            let Linear { w, bias, .. } = &layers[layer];
            // Neighbouring tasks read the same weights.
            let (column_group, row_group) = (task / row_groups, task % row_groups);
            let columns = column_group * each..((column_group + 1) * each).min(w.rows());
            let first = (row_group * group).min(all_tiles);
            job(Task {
                format: w.format(),
                part: part(m, w, *bias, columns, accumulate, outputs[layer]),
                tiles: first..(first + group).min(all_tiles),
                thread,
            });
        });
    }
}

/// A layer's `y`, of which tasks write different parts.
#[derive(Clone, Copy)]
struct Output(*mut f32);

// SAFETY: a place to write to, handed to tasks that write different parts of it.
unsafe impl Sync for Output {}

fn outputs(layers: &mut [Linear]) -> [Output; MOST_LAYERS] {
    let mut outputs = [Output(std::ptr::null_mut()); MOST_LAYERS];
    for (output, layer) in outputs.iter_mut().zip(layers) {
        *output = Output(layer.y.as_mut_ptr());
    }
    outputs
}

/// The weight rows `columns`, from a whole panel on, with `m` rows of `x`.
fn part<'a>(
    m: usize,
    w: &'a Matrix,
    bias: Option<&'a [f32]>,
    columns: std::ops::Range<usize>,
    accumulate: bool,
    y: Output,
) -> Panels<'a> {
    let panel = ROWS * w.row_bytes();
    let panels = columns.start / ROWS * panel..columns.end.div_ceil(ROWS) * panel;
    Panels {
        m,
        w: &w.bytes()[panels],
        n: columns.len(),
        k: w.columns(),
        bias: bias.map(|bias| &bias[columns.clone()]),
        accumulate,
        y: y.0.wrapping_add(columns.start),
        stride: w.rows(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_of_it_and_become_smaller() {
        for (total, parts, least) in [(0, 4, 1), (1, 4, 1), (100, 4, 3), (101, 16, 7), (5, 2, 50)] {
            let shares = Shares {
                total,
                parts,
                least,
            };
            let all: Vec<_> = (0..shares.count()).map(|index| shares.get(index)).collect();
            let mut end = 0;
            for share in &all {
                assert_eq!(share.start, end);
                assert!(!share.is_empty());
                end = share.end;
            }
            assert_eq!(end, total);
            assert!(all.windows(2).all(|pair| pair[0].len() >= pair[1].len()));
            assert!(all.iter().rev().skip(1).all(|share| share.len() >= least));
        }
    }
}
