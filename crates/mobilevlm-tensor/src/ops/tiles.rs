//! Linear layers in tile registers: activations are rounded to bfloat16, weights come in panels.

use super::linear::Linear;
use super::panels::{self, Split};
use crate::Compute;
use crate::kernels::{TileProducts, TileRows};
use crate::panel::GROUP;
use crate::parallel::Parts;
use crate::scratch::{FLOATS, with_scratch};

/// Each task reads all of its rows of `x`, so they are few and large.
const SPLIT: Split = Split {
    tasks_per_thread: 2,
    most_panels: 32,
};

/// The layers `layers` of at least one row `x`; with `accumulate`, added to what `y` holds.
pub(super) fn run(
    compute: &Compute,
    kernels: &TileProducts,
    x: &[f32],
    layers: &mut [Linear],
    accumulate: bool,
) {
    let k = layers[0].w.columns();
    let m = x.len() / k;
    // As few tiles as can be, and then as few rows in them.
    let tiles = m.div_ceil(TileRows::PARTS * TileRows::MOST);
    let rows = m.div_ceil(TileRows::PARTS * tiles);
    let tile = TileRows::PARTS * rows;
    let numbers = (tiles * tile * k / 2).next_multiple_of(FLOATS);
    let strip = (kernels.strip)(panels::most_tiles(m, tile), SPLIT.most_panels);
    let each = strip.next_multiple_of(FLOATS);
    let threads = compute.pool().threads();
    with_scratch(numbers + threads * each, |scratch| {
        let (numbers, strips) = scratch.split_at_mut(numbers);
        lay_out(compute, kernels, x, k, rows, tiles, numbers);
        let x = TileRows {
            // SAFETY: any bytes are words, of no greater alignment.
            numbers: unsafe {
                std::slice::from_raw_parts(numbers.as_ptr().cast(), 2 * numbers.len())
            },
            rows,
            tiles,
        };
        let strips = Parts::new(strips);
        panels::many(compute, [m, tile], SPLIT, layers, accumulate, &|task| {
            // SAFETY: this thread's own part, since thread numbers differ.
            let strip = unsafe { strips.part(task.thread * each, each) };
            // SAFETY: `many` hands out parts that are one task's.
            unsafe { kernels.products(task.format, &task.part, x, task.tiles, strip) };
        });
    });
}

/// Fills the array of [`TileRows`]: each task rounds the rows of a tile.
fn lay_out(
    compute: &Compute,
    kernels: &TileProducts,
    x: &[f32],
    k: usize,
    rows: usize,
    tiles: usize,
    out: &mut [f32],
) {
    let tile_rows = TileRows::PARTS * rows;
    let zeros = vec![
        0.0;
        if x.len() / k < tiles * tile_rows {
            k
        } else {
            0
        }
    ];
    let out = Parts::new(out);
    compute.pool().run(tiles, &|tile| {
        for first in (0..k).step_by(kernels.block) {
            let length = kernels.block.min(k - first);
            // Two numbers in the place of one.
            let start = (tiles * first + tile * length) * tile_rows / 2;
            // SAFETY: blocks follow each other, and in a block tiles do; each is one task's.
            let out = unsafe { out.part(start, tile_rows * length / 2) };
            for row in 0..tile_rows {
                let from = (tile * tile_rows + row) * k;
                let row_of_x = x.get(from..from + k).unwrap_or(&zeros);
                let out = out[row * GROUP / 2..].as_mut_ptr().cast();
                let stride = tile_rows * GROUP;
                // SAFETY: inside the part: its groups lie so far apart, and each has the rows.
                unsafe { kernels.round(&row_of_x[first..first + length], out, stride) };
            }
        }
    });
}
