//! `q8_0` with activations in words, 16 bits, for the table `avx2`.
//!
//! Without the instructions that came later, products of bytes need four: two unsigned bytes times
//! signed ones overflow the 16 bits that they are summed in, so signs have to be moved from one
//! side to the other first. Words take two, for half as many products, and their bits pay twice:
//! activations are eight times finer, and one scale serves 256 numbers of a weight row, whose
//! levels are brought to it with four bits to spare.
//!
//! Of a block of 256 numbers, with D the largest scale of its groups of 32 over 16, a weight is
//! `D · w`, `w = round(level · scale / D)` within ±2048, and an activation `e · x`, `x` within
//! ±4095: their products sum up to less than 2^31. Then `y += sum · (D · e)`, block after block.

#![allow(
    clippy::needless_range_loop,
    reason = "indices name the registers of a tile"
)]

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::dot::Dot;
use super::generic::panels::Panels;
use super::simd::Simd;
use super::{WordLevels, Words};
use crate::panel::{GROUP, QUAD, ROWS};

/// Numbers of a row that share a scale.
const BLOCK: usize = 256;

/// Rows of `x` in a tile: with a panel twelve sums, and registers for the rest.
const TILE: usize = 6;

/// The largest level of an activation.
const TOP: f32 = 4095.0;

/// Bytes of a unit: sixteen scales, and 32 levels of sixteen rows.
const UNIT: usize = 2 * ROWS + GROUP * ROWS;

/// How far ahead panels are asked for.
const AHEAD: usize = 8192;

/// Words of scratch that [`many`] needs.
const STRIP_WORDS: usize = BLOCK * ROWS;

/// For the table.
pub(super) const TABLE: Words = Words {
    tile: TILE,
    block: BLOCK,
    strip: STRIP_WORDS,
    quantise,
    few,
    many,
};

/// Quantises a row: of each 256 numbers the largest becomes ±4095.
///
/// # Safety
/// The machine has the table's features.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn quantise(x: &[f32], levels: &mut [i16], scales: &mut [f32]) {
    // SAFETY: by the caller's promise.
    let s = unsafe { Avx2::new() };
    assert!(x.len() == levels.len() && x.len().is_multiple_of(GROUP));
    assert_eq!(scales.len(), x.len().div_ceil(BLOCK));
    let zero = s.splat(0.0);
    for (block, scale) in scales.iter_mut().enumerate() {
        let numbers = block * BLOCK..(block * BLOCK + BLOCK).min(x.len());
        let (x, levels) = (&x[numbers.clone()], &mut levels[numbers]);
        let mut largest = [zero; 4];
        for at in (0..x.len()).step_by(GROUP) {
            for v in 0..4 {
                let x = s.read(&x[at + 8 * v..]);
                largest[v] = s.max(s.max(x, s.sub(zero, x)), largest[v]);
            }
        }
        let largest = s.max(s.max(largest[0], largest[1]), s.max(largest[2], largest[3]));
        *scale = s.greatest(largest) / TOP;
        // Too small to be inverted: such numbers are zero beside any other.
        let inverse = if *scale > 1e-37 { 1.0 / *scale } else { 0.0 };
        let factor = s.splat(inverse);
        for at in (0..x.len()).step_by(16) {
            let low = _mm256_cvtps_epi32(s.mul(s.read(&x[at..]), factor));
            let high = _mm256_cvtps_epi32(s.mul(s.read(&x[at + 8..]), factor));
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            let to = levels[at..at + 16].as_mut_ptr();
            // SAFETY: sixteen words, as the slice says.
            unsafe { _mm256_storeu_si256(to.cast(), words) };
        }
    }
}

/// Of the block of `count` units from `unit`, for the eight rows from `row`: D, and of each group
/// the factor that brings its levels there, in 1/16384, twice in 32 bits.
///
/// # Safety
/// The machine has the table's features, and the units are readable.
#[inline(always)]
unsafe fn factors(s: Avx2, unit: *const u8, count: usize, row: usize) -> (__m256, [__m256i; 8]) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut scales = [s.splat(0.0); 8];
        let mut largest = s.splat(0.0);
        for g in 0..count {
            scales[g] = s.load_f16(unit.add(g * UNIT + 2 * row));
            let magnitude = s.max(scales[g], s.sub(s.splat(0.0), scales[g]));
            largest = s.max(magnitude, largest);
        }
        let inverse = s.div(s.splat(16384.0), largest);
        // All zero: nothing is to be multiplied.
        let inverse = s.select_less(s.splat(0.0), largest, inverse, s.splat(0.0));
        let mut factors = [_mm256_setzero_si256(); 8];
        for g in 0..count {
            let factor = _mm256_cvtps_epi32(s.mul(scales[g], inverse));
            let low = _mm256_and_si256(factor, _mm256_set1_epi32(0xffff));
            factors[g] = _mm256_or_si256(_mm256_slli_epi32::<16>(factor), low);
        }
        (s.mul(largest, s.splat(1.0 / 16.0)), factors)
    }
}

/// Sixteen levels as they are stored, in words, brought to D.
#[inline(always)]
fn scaled(levels: __m128i, factor: __m256i) -> __m256i {
    // SAFETY: only called where the table's features are.
    unsafe {
        let words = _mm256_slli_epi16::<5>(_mm256_cvtepi8_epi16(levels));
        _mm256_mulhrs_epi16(words, factor)
    }
}

/// Computes `a` for rows `x`, up to two at once, with weights read where they are stored.
///
/// # Safety
/// The machine has the table's features; `a.y` is writable, and nobody else's, at
/// `i · stride + j` for `i < m`, `j < n`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn few(a: &Panels, x: WordLevels) {
    check(a);
    let (m, blocks) = (a.m, a.k.div_ceil(BLOCK));
    assert!(x.levels.len() >= m * a.k && x.scales.len() >= m * blocks);
    for (index, panel) in a.w.chunks_exact((a.k / GROUP * UNIT).max(1)).enumerate() {
        let mut i = 0;
        // SAFETY: rows and panel exist; `y` by the caller's promise.
        unsafe {
            while i + 2 <= m {
                few_tile::<2>(a, x, i, index * ROWS, panel);
                i += 2;
            }
            if i < m {
                few_tile::<1>(a, x, i, index * ROWS, panel);
            }
        }
    }
}

/// Rows `i..i + R` with one panel.
///
/// # Safety
/// The rows exist, `panel` is that of weight rows `j..j + 16`, and `few`'s promises.
#[inline(always)]
unsafe fn few_tile<const R: usize>(a: &Panels, x: WordLevels, i: usize, j: usize, panel: &[u8]) {
    // SAFETY: of all below: by the caller's promise, and inside the panel and the rows of `x`.
    unsafe {
        let s = Avx2::new();
        let mut out = [[s.splat(0.0); 2]; R];
        for r in 0..R {
            for v in 0..2 {
                out[r][v] = a.begin(s, i + r, j, v, false);
            }
        }
        let blocks = a.k.div_ceil(BLOCK);
        for block in 0..blocks {
            let first = block * BLOCK;
            let groups = BLOCK.min(a.k - first) / GROUP;
            let unit = panel.as_ptr().add(first / GROUP * UNIT);
            for v in 0..2 {
                let (scale, factors) = factors(s, unit, groups, 8 * v);
                // Rows 0 to 3 and 4 to 7 of eight, each in two sums.
                let mut sums = [[_mm256_setzero_si256(); 2]; R];
                for g in 0..groups {
                    // Each row's factor in all four words of its row.
                    let low = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
                    let high = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
                    let low = _mm256_permutevar8x32_epi32(factors[g], low);
                    let high = _mm256_permutevar8x32_epi32(factors[g], high);
                    let levels = unit.add(g * UNIT + 2 * ROWS + 32 * v);
                    // Half of a unit for each half of its rows.
                    for line in 0..5 {
                        let at = g * UNIT + v * UNIT / 2 + 64 * line;
                        s.prefetch(unit.wrapping_add(AHEAD + at));
                    }
                    for q in 0..8 {
                        let stored = levels.add(q * QUAD);
                        let quad = s.eight(s.bytes(stored));
                        let w = [
                            scaled(_mm256_castsi256_si128(quad), low),
                            scaled(_mm256_extracti128_si256::<1>(quad), high),
                        ];
                        for r in 0..R {
                            let at = (i + r) * a.k + first + g * GROUP + 4 * q;
                            let x = x.levels.as_ptr().add(at).cast::<i64>().read_unaligned();
                            let x = _mm256_set1_epi64x(x);
                            for h in 0..2 {
                                let products = _mm256_madd_epi16(w[h], x);
                                sums[r][h] = _mm256_add_epi32(sums[r][h], products);
                            }
                        }
                    }
                }
                for r in 0..R {
                    let pairs = _mm256_hadd_epi32(sums[r][0], sums[r][1]);
                    let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
                    let x_scale = *x.scales.as_ptr().add((i + r) * blocks + block);
                    out[r][v] = add(s, out[r][v], sum, scale, x_scale);
                }
            }
        }
        for r in 0..R {
            for v in 0..2 {
                a.end(s, i + r, j, v, out[r][v]);
            }
        }
    }
}

/// Adds a block to an output: the one place where its rounding is decided.
#[inline(always)]
fn add(s: Avx2, out: __m256, sum: __m256i, scale: __m256, x_scale: f32) -> __m256 {
    let scale = s.mul(scale, s.splat(x_scale));
    s.mul_add(s.to_f32(sum), scale, out)
}

/// Computes the rows of `tiles` of `a`. `strip` is scratch of [`STRIP_WORDS`].
///
/// # Safety
/// As [`few`], of the rows of these tiles.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn many(a: &Panels, x: WordLevels, tiles: std::ops::Range<usize>, strip: &mut [i16]) {
    check(a);
    let (all, blocks) = (a.m.div_ceil(TILE), a.k.div_ceil(BLOCK));
    assert!(tiles.end <= all && strip.len() >= STRIP_WORDS);
    assert!(x.levels.len() >= all * TILE * a.k && x.scales.len() >= all * TILE * blocks);
    for block in 0..blocks {
        let first = block * BLOCK;
        let length = BLOCK.min(a.k - first);
        for (index, panel) in a.w.chunks_exact((a.k / GROUP * UNIT).max(1)).enumerate() {
            // SAFETY: the block lies in the panel; tiles and panel exist; `y` by the caller's
            // promise.
            unsafe {
                let unit = panel.as_ptr().add(first / GROUP * UNIT);
                let scales = lay_out(unit, length, strip);
                for tile in tiles.clone() {
                    let levels = (all * first + tile * length) * TILE;
                    let x_scales = (tile * blocks + block) * TILE;
                    let part = Part {
                        w: strip.as_ptr(),
                        scales,
                        x: x.levels.as_ptr().add(levels),
                        x_scales: x.scales.as_ptr().add(x_scales),
                        length,
                        partial: first > 0,
                    };
                    many_tile(a, &part, tile * TILE, index * ROWS);
                }
            }
        }
    }
}

/// Whether the lengths fit each other.
fn check(a: &Panels) {
    assert!(a.k.is_multiple_of(GROUP) && a.w.len() == a.n.div_ceil(ROWS) * (a.k / GROUP * UNIT));
    assert!(a.bias.is_none_or(|bias| bias.len() == a.n));
}

/// Lays the levels of a block out as `[pairs][16 rows][2]`; returns D of all rows.
///
/// # Safety
/// The machine has the table's features; the block is readable, and `strip` has room for it.
#[inline(always)]
unsafe fn lay_out(unit: *const u8, length: usize, strip: &mut [i16]) -> [__m256; 2] {
    // SAFETY: of all below: by the caller's promise.
    unsafe {
        let s = Avx2::new();
        let mut scales = [s.splat(0.0); 2];
        // The first two bytes of four rows, then the last two.
        let halves = _mm256_broadcastsi128_si256(_mm_setr_epi8(
            0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15,
        ));
        for v in 0..2 {
            let (scale, factors) = factors(s, unit, length / GROUP, 8 * v);
            scales[v] = scale;
            for g in 0..length / GROUP {
                let levels = unit.add(g * UNIT + 2 * ROWS + 32 * v);
                for q in 0..8 {
                    let quad = s.eight(s.bytes(levels.add(q * QUAD)));
                    let parted = _mm256_shuffle_epi8(quad, halves);
                    let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(parted);
                    let pair = g * GROUP / 2 + 2 * q;
                    let to = strip.as_mut_ptr().add(pair * 2 * ROWS + 16 * v);
                    let first = scaled(_mm256_castsi256_si128(pairs), factors[g]);
                    let second = scaled(_mm256_extracti128_si256::<1>(pairs), factors[g]);
                    _mm256_storeu_si256(to.cast(), first);
                    _mm256_storeu_si256(to.add(2 * ROWS).cast(), second);
                }
            }
        }
        scales
    }
}

/// A block of a panel, as [`lay_out`] left it, and of a tile.
struct Part {
    w: *const i16,
    scales: [__m256; 2],
    x: *const i16,
    x_scales: *const f32,
    length: usize,
    /// Whether the outputs were begun by blocks before.
    partial: bool,
}

/// The tile of rows `i..` with a panel of weight rows `j..`.
///
/// # Safety
/// The part is as it says, a row and a panel exist, and `many`'s promises.
#[inline(always)]
unsafe fn many_tile(a: &Panels, part: &Part, i: usize, j: usize) {
    // SAFETY: of all below: by the caller's promise.
    unsafe {
        let s = Avx2::new();
        let mut sums = [[_mm256_setzero_si256(); 2]; TILE];
        for pair in 0..part.length / 2 {
            let w = part.w.add(pair * 2 * ROWS);
            let w = [
                _mm256_loadu_si256(w.cast()),
                _mm256_loadu_si256(w.add(ROWS).cast()),
            ];
            for r in 0..TILE {
                let x = part.x.add((pair * TILE + r) * 2);
                let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
                for v in 0..2 {
                    sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(w[v], x));
                }
            }
        }
        for r in 0..TILE.min(a.m - i) {
            for v in 0..2 {
                let out = a.begin(s, i + r, j, v, part.partial);
                let x_scale = *part.x_scales.add(r);
                let out = add(s, out, sums[r][v], part.scales[v], x_scale);
                a.end(s, i + r, j, v, out);
            }
        }
    }
}
