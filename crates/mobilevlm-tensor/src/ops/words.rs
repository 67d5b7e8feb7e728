//! Linear layers of `q8_0` with activations in 16 bits.

use super::linear::Linear;
use super::panels::{FEW_ROWS, SPLIT, few, many};
use crate::Compute;
use crate::kernels::{WordLevels, Words};
use crate::parallel::Parts;
use crate::scratch::{FLOATS, with_scratch};

/// The layers `layers`, all of `q8_0`, of at least one row `x`.
pub(super) fn run(
    compute: &Compute,
    kernels: &Words,
    x: &[f32],
    layers: &mut [Linear],
    accumulate: bool,
) {
    let k = layers[0].w.columns();
    let m = x.len() / k;
    let blocks = k.div_ceil(kernels.block);
    if m <= FEW_ROWS {
        with_scratch(m * k / 2 + m * blocks, |scratch| {
            let (levels, scales) = scratch.split_at_mut(m * k / 2);
            for (i, x) in x.chunks_exact(k).enumerate() {
                let levels = &mut words_mut(levels)[i * k..(i + 1) * k];
                kernels.quantise(x, levels, &mut scales[i * blocks..(i + 1) * blocks]);
            }
            let x = WordLevels {
                levels: words(levels),
                scales,
            };
            few(compute, m, layers, accumulate, &|_, part| {
                // SAFETY: `few` hands out parts that are one task's.
                unsafe { kernels.few(part, x) };
            });
        });
        return;
    }
    let (tile, threads) = (kernels.tile, compute.pool().threads());
    let tiles = m.div_ceil(tile);
    let levels = (tiles * tile * k / 2).next_multiple_of(FLOATS);
    let scales = (tiles * tile * blocks).next_multiple_of(FLOATS);
    let row = (k / 2 + blocks).next_multiple_of(FLOATS);
    let each = row.max((kernels.strip / 2).next_multiple_of(FLOATS));
    with_scratch(levels + scales + threads * each, |scratch| {
        let (levels, rest) = scratch.split_at_mut(levels);
        let (scales, strips) = rest.split_at_mut(scales);
        let strips = Parts::new(strips);
        let (all_levels, all_scales) = (Parts::new(levels), Parts::new(scales));
        compute.pool().run_on(tiles, &|index, thread| {
            // SAFETY: this thread's own part, since thread numbers differ.
            let strip = unsafe { strips.part(thread * each, each) };
            let (row, row_scales) = strip.split_at_mut(k / 2);
            let row_scales = &mut row_scales[..blocks];
            // SAFETY: the tile's own scales.
            let out = unsafe { all_scales.part(index * blocks * tile, blocks * tile) };
            for r in 0..tile {
                let i = index * tile + r;
                if i < m {
                    kernels.quantise(&x[i * k..(i + 1) * k], words_mut(row), row_scales);
                } else {
                    row.fill(0.0);
                    row_scales.fill(0.0);
                }
                for (block, scale) in row_scales.iter().enumerate() {
                    out[block * tile + r] = *scale;
                    let first = block * kernels.block;
                    let length = kernels.block.min(k - first);
                    let start = (tiles * first + index * length) * tile / 2;
                    // SAFETY: blocks follow each other, and in a block tiles do; each is one
                    // task's.
                    let out = unsafe { all_levels.part(start, tile * length / 2) };
                    // A number's place holds a pair of words.
                    let pairs = &row[first / 2..(first + length) / 2];
                    for (pair, out) in pairs.iter().zip(out.chunks_exact_mut(tile)) {
                        out[r] = *pair;
                    }
                }
            }
        });
        let x = WordLevels {
            levels: words(levels),
            scales,
        };
        many(compute, [m, tile], SPLIT, layers, accumulate, &|task| {
            // SAFETY: this thread's own part, since thread numbers differ.
            let strip = unsafe { strips.part(task.thread * each, each) };
            // SAFETY: `many` hands out parts that are one task's.
            unsafe { kernels.many(&task.part, x, task.tiles, words_mut(strip)) };
        });
    });
}

/// Two words in the place of a number.
fn words(numbers: &[f32]) -> &[i16] {
    // SAFETY: any bytes are words, of no greater alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), 2 * numbers.len()) }
}

/// As [`words`].
fn words_mut(numbers: &mut [f32]) -> &mut [i16] {
    // SAFETY: any bytes are words, of no greater alignment, and any words are numbers.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), 2 * numbers.len()) }
}
