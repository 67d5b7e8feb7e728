//! Products of many rows with panels in tile registers, in bfloat16.
//!
//! Activations are rounded to bfloat16 once. Of a pair of panels the weights of some hundred
//! numbers are taken apart, scaled and rounded to bfloat16, for all rows; then tile registers sum
//! the products in `f32`. Nothing but the sums is left to do between two products, while integers
//! would have to be scaled after every 32 numbers.

use std::arch::x86_64::*;
use std::ops::Range;

use super::tiles::{Operands, ROW_NUMBERS, ROWS, SIDE, SUMS, Shapes, Unit};
use crate::kernels::TileRows;
use crate::kernels::avx512::Avx512;
use crate::kernels::generic::panels::Panels;
use crate::kernels::generic::weights::{Weights, bits, has_offset, quads};
use crate::kernels::simd::Simd;
use crate::panel::{self, GROUP};

/// Numbers of each row that are taken apart at once: those of two panels are 32 KiB, which stay in
/// a first-level cache of 48 KiB, past which rows of `x` are loaded.
pub(super) const BLOCK: usize = 512;

/// Numbers of scratch for the weights of a block, two in the place of one.
const WEIGHTS: usize = SIDE * panel::ROWS * BLOCK / 2;

/// Numbers of scratch for the products of `tiles` tiles with `panels` panels.
pub(super) const fn strip_numbers(tiles: usize, panels: usize) -> usize {
    WEIGHTS + tiles * panels.div_ceil(SIDE) * SIDE * SIDE * SUMS
}

/// Computes the rows of `tiles` of `a`. `strip` is scratch of [`strip_numbers`].
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for the rows `i` of these tiles and
/// `j < n`; and the promise of [`Unit::configure`].
#[inline(always)]
pub(super) unsafe fn products<T: Unit, W: Weights>(
    s: Avx512,
    a: &Panels,
    x: TileRows,
    tiles: Range<usize>,
    strip: &mut [f32],
) {
    const { assert!(SIDE == TileRows::PARTS && ROWS == TileRows::MOST && ROWS == panel::ROWS) };
    a.check::<W>();
    let panel = a.panel::<W>();
    let panels = a.n.div_ceil(panel::ROWS);
    let pairs = panels.div_ceil(SIDE);
    assert!(strip.len() >= strip_numbers(tiles.len(), panels));
    assert!(tiles.end <= x.tiles && x.tiles * SIDE * x.rows >= a.m);
    assert!(x.numbers.len() >= x.tiles * SIDE * x.rows * a.k);
    let (weights, sums) = strip.split_at_mut(WEIGHTS);
    let (weights, start) = (weights.as_mut_ptr().cast::<u16>(), sums.as_mut_ptr());
    let sums = |pair: usize, tile: usize| {
        start.wrapping_add((pair * tiles.len() + tile - tiles.start) * SIDE * SIDE * SUMS)
    };
    // SAFETY: the caller's promise; it is released at the end of this function.
    let mut unit = unsafe { T::configure(&Shapes::new(x.rows)) };
    for first in (0..a.k).step_by(BLOCK) {
        let length = BLOCK.min(a.k - first);
        for pair in 0..pairs {
            for index in 0..SIDE {
                // A missing panel is replaced by the last one, and its sums dropped.
                let from = &a.w[(SIDE * pair + index).min(panels - 1) * panel..][..panel];
                // SAFETY: the block lies in the panel, and the scratch has room for two.
                unsafe { lay_out::<W>(s, from, first..first + length, index, weights) };
            }
            for tile in tiles.clone() {
                let before = (x.tiles * first + tile * length) * SIDE * x.rows;
                let operands = Operands {
                    x: x.numbers[before..].as_ptr(),
                    w: weights,
                    sums: sums(pair, tile),
                    steps: length / GROUP,
                    rows: x.rows,
                    accumulate: first > 0,
                };
                // SAFETY: the tile's part of the block, the block's weights, and sums of its own.
                unsafe { unit.products(&operands) };
            }
        }
    }
    for tile in tiles.clone() {
        let stride = tiles.len() * SIDE * SIDE * SUMS;
        // SAFETY: `y` by the caller's promise; all products are in the sums.
        unsafe { write(s, a, x.rows, tile, sums(0, tile), stride) };
    }
}

/// Adds the sums of the products of a tile, `[pairs of panels][SIDE][SIDE][16][16]`, a pair every
/// `stride` numbers, to what their outputs begin with.
///
/// # Safety
/// [`products`]'s promise about `y`, and `sums` are those of the tile.
#[inline(always)]
unsafe fn write(s: Avx512, a: &Panels, rows: usize, tile: usize, sums: *const f32, stride: usize) {
    for half in 0..SIDE {
        let first = (tile * SIDE + half) * rows;
        for i in first..(first + rows).min(a.m) {
            let sums = |index: usize| {
                let at = index / SIDE * stride + (half * SIDE + index % SIDE) * SUMS;
                sums.wrapping_add(at + (i - first) * ROWS)
            };
            let y = a.y.wrapping_add(i * a.stride);
            let whole = a.n / panel::ROWS;
            // SAFETY: of all: row and panel exist, and the sums of both. Whole panels without an
            // earlier output are most of all.
            unsafe {
                match a.bias {
                    None if !a.accumulate => {
                        for index in 0..whole {
                            s.store(s.load(sums(index)), y.add(index * panel::ROWS));
                        }
                    }
                    Some(bias) if !a.accumulate => {
                        for index in 0..whole {
                            let bias = s.load(bias.as_ptr().add(index * panel::ROWS));
                            let sum = s.add(bias, s.load(sums(index)));
                            s.store(sum, y.add(index * panel::ROWS));
                        }
                    }
                    _ => {
                        for index in 0..whole {
                            let begin = a.begin(s, i, index * panel::ROWS, 0, false);
                            let sum = s.add(begin, s.load(sums(index)));
                            s.store(sum, y.add(index * panel::ROWS));
                        }
                    }
                }
                if whole * panel::ROWS < a.n {
                    let begin = a.begin(s, i, whole * panel::ROWS, 0, false);
                    let sum = s.add(begin, s.load(sums(whole)));
                    a.end(s, i, whole * panel::ROWS, 0, sum);
                }
            }
        }
    }
}

/// Takes the numbers of a panel apart, as `[groups][SIDE][16][16 weight rows][2]` in bfloat16.
///
/// # Safety
/// The numbers exist, whole groups; `out` has room for a block; `index < SIDE`.
#[inline(always)]
unsafe fn lay_out<W: Weights>(
    s: Avx512,
    panel: &[u8],
    numbers: Range<usize>,
    index: usize,
    out: *mut u16,
) {
    let layout = W::LAYOUT;
    let halves = GROUP / W::SUB;
    for (group, number) in numbers.step_by(GROUP).enumerate() {
        let g = number % layout.numbers / GROUP;
        // SAFETY: of all: inside the panel, and inside the block's room.
        unsafe {
            let unit = panel.as_ptr().add(number / layout.numbers * layout.unit());
            let from = unit.add(layout.header() + g * layout.group());
            let mut scales = [[s.splat(0.0); 2]; 2];
            for (t, scale) in scales.iter_mut().enumerate().take(halves) {
                *scale = placed_scale::<W>(s, W::scales(s, unit, g * halves + t, 0));
            }
            let out = out.add((group * SIDE + index) * ROWS * ROW_NUMBERS);
            for q in 0..4 {
                let w = quads::<Avx512, W>(s, from, q);
                for h in 0..2 {
                    let pairs = to_pairs::<W>(w[h], scales[h * (halves - 1)]);
                    for (p, pair) in pairs.into_iter().enumerate() {
                        let row = 2 * (4 * h + q) + p;
                        _mm512_storeu_si512(out.add(row * ROW_NUMBERS).cast(), pair);
                    }
                }
            }
        }
    }
}

/// A level becomes the number 128 + level, or 128 + level / 2 where levels have eight bits, by its
/// mere place in it.
const PLACED: f32 = 128.0;

/// What such a number is multiplied with, and what is then added.
#[inline(always)]
fn placed_scale<W: Weights>(s: Avx512, [scale, minimum]: [__m512; 2]) -> [__m512; 2] {
    let steps = if bits::<W>() == 8 { 2.0 } else { 1.0 };
    let zero = if has_offset::<Avx512, W>() {
        (1 << W::OFFSET) as f32
    } else {
        0.0
    };
    let begin = s.mul_add(scale, s.splat(-(steps * PLACED + zero)), minimum);
    [s.mul(scale, s.splat(steps)), begin]
}

/// The four numbers of each row of a quad as two pairs in bfloat16, rounded to the nearest, half
/// away from zero.
///
/// # Safety
/// The machine has AVX-512 F and BW.
#[inline(always)]
unsafe fn to_pairs<W: Weights>(quad: __m512i, [scale, begin]: [__m512; 2]) -> [__m512i; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let (eight, exponent) = (bits::<W>() == 8, _mm512_set1_epi32(PLACED.to_bits() as i32));
        let [first, second, third, fourth] = if eight {
            [
                _mm512_slli_epi32::<15>(quad),
                _mm512_slli_epi32::<7>(quad),
                _mm512_srli_epi32::<1>(quad),
                _mm512_srli_epi32::<9>(quad),
            ]
        } else {
            [
                _mm512_slli_epi32::<16>(quad),
                _mm512_slli_epi32::<8>(quad),
                quad,
                _mm512_srli_epi32::<8>(quad),
            ]
        };
        let mask = _mm512_set1_epi32(if eight { 0x007f_8000 } else { 0x007f_0000 });
        let half = _mm512_set1_epi32(0x8000);
        let rounded = |shifted: __m512i| {
            let placed = _mm512_or_si512(_mm512_and_si512(shifted, mask), exponent);
            let number = _mm512_fmadd_ps(_mm512_castsi512_ps(placed), scale, begin);
            _mm512_add_epi32(_mm512_castps_si512(number), half)
        };
        let pair = |low: __m512i, high: __m512i| {
            _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(low), high)
        };
        [
            pair(rounded(first), rounded(second)),
            pair(rounded(third), rounded(fourth)),
        ]
    }
}

/// Rounds whole groups of a row to bfloat16, half away from zero: group `g` to `g · stride` of
/// `out`.
///
/// # Safety
/// These places are writable for 32 numbers each.
#[inline(always)]
pub(super) unsafe fn round(s: Avx512, x: &[f32], out: *mut u16, stride: usize) {
    for (group, x) in x.chunks_exact(GROUP).enumerate() {
        for at in (0..GROUP).step_by(Avx512::LANES) {
            // SAFETY: the value of `s` proves the instructions; writable by the caller's promise.
            unsafe {
                let bits = _mm512_castps_si512(s.read(&x[at..]));
                let bits = _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000));
                let high = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(bits));
                _mm256_storeu_si256(out.add(group * stride + at).cast(), high);
            }
        }
    }
}
