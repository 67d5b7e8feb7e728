//! Products of many quantised rows with panels in tile registers.
//!
//! The sums of products of a sub-block are whole numbers, so whoever computes them finds the same;
//! what is then added to an output, and in which order, is that of [`panels`](generic::panels). The
//! results are therefore those of table `avx512`, bit for bit, and its `few` serves this one.

#![allow(
    clippy::manual_memcpy,
    clippy::needless_range_loop,
    reason = "indices name the registers of a tile"
)]

use std::ops::Range;

use super::tiles::{ROWS, SUMS, Shapes, Sources, TOGETHER, Unit, steps};
use crate::kernels::avx512::Avx512;
use crate::kernels::dot::Dot;
use crate::kernels::generic::panels::{Panels, STRIP_NUMBERS, lay_out, scaled};
use crate::kernels::generic::quantise::{BLOCK, FIELDS, TILE_ROW, Tiles};
use crate::kernels::generic::weights::{Weights, has_offset};
use crate::kernels::simd::Simd;
use crate::panel::{self, GROUP};

/// Numbers of the strip for the levels of a panel.
const LEVELS: usize = panel::ROWS * BLOCK / 4;

/// Numbers of the strip for its scales and minima.
const SCALES: usize = panel::ROWS * 2 * BLOCK / 16;

/// Computes the rows of `tiles` of `a`. `strip` is scratch of [`STRIP_NUMBERS`].
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for the rows `i` of these tiles and
/// `j < n`; and the promise of [`Unit::configure`].
#[inline(always)]
pub(super) unsafe fn many<T: Unit, W: Weights>(
    s: Avx512,
    a: &Panels,
    x: Tiles,
    tiles: Range<usize>,
    strip: &mut [f32],
) {
    a.check::<W>();
    assert!(LEVELS + SCALES + TOGETHER * SUMS <= STRIP_NUMBERS && STRIP_NUMBERS <= strip.len());
    assert!(tiles.end <= x.tiles && x.tiles == a.m.div_ceil(ROWS));
    assert!(x.levels.len() >= x.tiles * ROWS * a.k);
    assert!(x.scales.len() >= x.tiles * ROWS * FIELDS * (a.k / GROUP));
    let (levels, rest) = strip.split_at_mut(LEVELS);
    let (scales, sums) = rest.split_at_mut(SCALES);
    const { assert!(W::SUB == 32 || W::SUB == 16) };
    let shapes = const { Shapes::new(W::SUB) };
    // SAFETY: the caller's promise; it is released at the end of this function.
    let mut unit = unsafe { T::configure(&shapes) };
    for first in (0..a.k).step_by(BLOCK) {
        let length = BLOCK.min(a.k - first);
        for (index, from) in a.w.chunks_exact(a.panel::<W>()).enumerate() {
            // SAFETY: the block lies in the panel, and the scratch has room for it.
            unsafe { lay_out::<Avx512, W, 1>(s, from, first, length, 0, levels, scales) };
            let block = Block {
                levels: levels.as_ptr().cast(),
                scales: scales.as_ptr(),
                first,
                length,
                j: index * panel::ROWS,
            };
            for tile in tiles.clone() {
                let sums = sums.as_mut_ptr().cast();
                // SAFETY: tile and block exist in `x`; `y` by the caller's promise.
                unsafe { one_tile::<T, W>(s, &mut unit, a, x, &block, tile, sums) };
            }
        }
    }
}

/// A panel as [`lay_out`] left it: levels `[quads][64]`, and scales
/// `[sub-blocks][scale, minimum][16]`.
struct Block {
    levels: *const u8,
    scales: *const f32,
    /// The first number of each row.
    first: usize,
    /// Numbers of each row.
    length: usize,
    /// The first weight row.
    j: usize,
}

/// The rows of a tile with a panel.
///
/// # Safety
/// The tile exists in `x`, the block is as it says, `sums` has room for those of [`TOGETHER`]
/// sub-blocks, and `many`'s promise about `y`.
#[inline(always)]
unsafe fn one_tile<T: Unit, W: Weights>(
    s: Avx512,
    unit: &mut T,
    a: &Panels,
    x: Tiles,
    block: &Block,
    tile: usize,
    sums: *mut i32,
) {
    let rows = ROWS.min(a.m - tile * ROWS);
    let mut begin = [s.splat(0.0); ROWS];
    for r in 0..rows {
        // SAFETY: row and panel exist.
        begin[r] = unsafe { a.begin(s, tile * ROWS + r, block.j, 0, block.first > 0) };
    }
    // An array that loops of changing length touch stays in memory; this one is sixteen registers.
    let mut out = [s.splat(0.0); ROWS];
    for r in 0..ROWS {
        out[r] = begin[r];
    }
    // SAFETY: the tile's part of the block, and its scales from the block's first group on.
    let (x_levels, x_scales) = unsafe {
        let before = (x.tiles * block.first + tile * block.length) * ROWS;
        let groups = tile * (a.k / GROUP) + block.first / GROUP;
        let scales = x.scales.as_ptr().add(groups * FIELDS * ROWS);
        (x.levels.as_ptr().add(before), scales)
    };
    let sub_blocks = block.length / W::SUB;
    let mut next = 0;
    while next < sub_blocks {
        // The last ones of a row of few numbers come one at a time, four times the same.
        let (here, [odd, even], step) = if next + TOGETHER <= sub_blocks {
            (TOGETHER, const { steps(W::SUB) }, W::SUB * panel::ROWS)
        } else {
            (1, [0, 0], 0)
        };
        let number = next * W::SUB;
        // SAFETY: inside the tile's part and the block, as are the sub-blocks that follow.
        unsafe {
            let from = Sources {
                x: x_levels.add(number / TILE_ROW * TILE_ROW * ROWS + number % TILE_ROW),
                odd,
                even,
                w: block.levels.add(number * panel::ROWS),
                step,
            };
            unit.products(&from, sums);
        }
        for index in 0..here {
            let sub = next + index;
            let (group, half) = (sub * W::SUB / GROUP, sub % (GROUP / W::SUB));
            // SAFETY: of all: inside the block, the tile's scales and the sums.
            unsafe {
                let scales = block.scales.add(sub * 2 * panel::ROWS);
                let both = [s.load(scales), s.load(scales.add(panel::ROWS))];
                let which = if W::SUB == 32 { 1 } else { 2 + half };
                let total = if W::SUB == 32 { 4 } else { 5 + half };
                let x = x_scales.add(group * FIELDS * ROWS);
                for r in 0..ROWS {
                    let mut sum = s.bytes(sums.add(index * SUMS + r * panel::ROWS).cast());
                    if has_offset::<Avx512, W>() {
                        let total = s.ints(*x.add(total * ROWS + r).cast::<i32>());
                        sum = s.flush(sum, s.ints_left(total, W::OFFSET), 8);
                    }
                    let x = [*x.add(r), *x.add(which * ROWS + r)];
                    out[r] = scaled::<Avx512, W>(s, out[r], sum, both, x);
                }
            }
        }
        next += here;
    }
    let mut end = [s.splat(0.0); ROWS];
    for r in 0..ROWS {
        end[r] = out[r];
    }
    for r in 0..rows {
        // SAFETY: row and panel exist.
        unsafe { a.end(s, tile * ROWS + r, block.j, 0, end[r]) };
    }
}
