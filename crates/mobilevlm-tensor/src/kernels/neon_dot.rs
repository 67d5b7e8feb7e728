//! The table `neon_dot`: that of `neon`, with integers multiplied by the dot-product instruction.
//!
//! `sdot` adds four products to each of four sums of 32 bits. It takes its second operand by
//! element, four of sixteen numbers for all lanes, so a vector of activations is loaded as it lies
//! and nothing is broadcast. Sums are whole numbers, so whoever computes them finds the same: the
//! table gives the very bits of `neon`.

#![allow(
    clippy::needless_range_loop,
    reason = "indices name the registers of a tile"
)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::dot::Dot;
use super::generic::panels::{Panels, scaled};
use super::generic::quantise::Levels;
use super::generic::weights::{Weights, has_offset, quads};
use super::neon::{self, Neon};
use super::neon_many::{self, PEAK_SUMS, Products, VECTORS, many, peak};
use super::simd::Simd;
use super::{Feature, Kernels, PanelLinear, PanelLinears, Tile};
use crate::panel::{GROUP, QUAD, ROWS};

/// `sum`, plus the products of the levels `w` with the four numbers `lane` of `x`: an instruction
/// that stable Rust has no name for.
macro_rules! sdot {
    ($sum:expr, $w:expr, $x:expr, $lane:literal) => {
        asm!(
            concat!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[", $lane, "]"),
            inout(vreg) $sum, in(vreg) $w, in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        )
    };
}

/// Computes `a`, up to four rows at once, with weights read once from where they are stored.
///
/// # Safety
/// The promise of [`panels::few`](super::generic::panels::few), and the machine has `sdot`.
#[inline(always)]
unsafe fn few<W: Weights>(s: Neon, a: &Panels, x: Levels) {
    a.check::<W>();
    let (m, groups) = (a.m, a.k / GROUP);
    assert!(x.levels.len() >= m * a.k && x.scales.len() >= m * groups);
    assert!(x.sums32.len() >= m * groups && x.sums16.len() >= 2 * m * groups);
    assert!(x.totals16.len() >= 2 * m * groups);
    for (index, panel) in a.w.chunks_exact(a.panel::<W>().max(1)).enumerate() {
        let j = index * ROWS;
        let mut i = 0;
        while i < m {
            // SAFETY: of all: their rows and the panel exist; the rest is the caller's promise.
            i += unsafe {
                match m - i {
                    1 => few_tile::<W, 1>(s, a, x, i, j, panel),
                    2 | 3 => few_tile::<W, 2>(s, a, x, i, j, panel),
                    _ => few_tile::<W, 4>(s, a, x, i, j, panel),
                }
            };
        }
    }
}

/// Vectors of a quad, and bytes of each.
const FOURS: usize = ROWS / Neon::LANES;
const VECTOR: usize = QUAD / FOURS;

/// Sub-blocks of the longest unit.
const MOST_SUB_BLOCKS: usize = 256 / 16;

/// Rows `i..i + R` with one panel. Returns `R`.
///
/// # Safety
/// The rows exist, `panel` is that of weight rows `j..j + 16`, and `few`'s promises.
#[inline(always)]
unsafe fn few_tile<W: Weights, const R: usize>(
    s: Neon,
    a: &Panels,
    x: Levels,
    i: usize,
    j: usize,
    panel: &[u8],
) -> usize {
    let layout = W::LAYOUT;
    let halves = GROUP / W::SUB;
    let all_groups = a.k / GROUP;
    let mut out = [[s.splat(0.0); FOURS]; R];
    for r in 0..R {
        for v in 0..FOURS {
            // SAFETY: row and panel exist.
            out[r][v] = unsafe { a.begin(s, i + r, j, v, false) };
        }
    }
    let groups = layout.numbers / GROUP;
    // Taken apart once for a unit: what its sub-blocks share is read and converted once.
    let mut scales = [[[s.splat(0.0); 2]; FOURS]; MOST_SUB_BLOCKS];
    for index in 0..all_groups / groups {
        // SAFETY: the panel has so many units.
        let unit = unsafe { panel.as_ptr().add(index * layout.unit()) };
        for v in 0..FOURS {
            for sub in 0..layout.numbers / W::SUB {
                // SAFETY: the unit's header is readable.
                scales[sub][v] = unsafe { W::scales(s, unit, sub, v * Neon::LANES) };
            }
        }
        for g in 0..groups {
            let group = index * groups + g;
            let mut x_levels = [[s.zero_bytes(); 2]; R];
            let mut totals = [[s.ints(0); 2]; R];
            for r in 0..R {
                let at = (i + r) * all_groups + group;
                for h in 0..2 {
                    // SAFETY: row and group exist.
                    x_levels[r][h] =
                        unsafe { vld1q_s8(x.levels.as_ptr().add(at * GROUP + 16 * h)) };
                }
                if has_offset::<Neon, W>() {
                    // SAFETY: row and group exist.
                    let of_halves = unsafe {
                        let of_halves = x.totals16.as_ptr().add(2 * at).cast::<i32>();
                        [*of_halves, *of_halves.add(1)]
                    };
                    for t in 0..halves {
                        let total = match halves {
                            1 => of_halves[0] + of_halves[1],
                            _ => of_halves[t],
                        };
                        totals[r][t] = s.ints(total << W::OFFSET);
                    }
                }
            }
            for v in 0..FOURS {
                let mut w = [[s.zero_bytes(); 2]; 4];
                for q in 0..4 {
                    // SAFETY: the group is readable.
                    w[q] = unsafe {
                        let levels = unit.add(layout.header() + g * layout.group());
                        quads::<Neon, W>(s, levels.add(v * VECTOR), q)
                    };
                }
                let mut sums = totals;
                for r in 0..R {
                    for h in 0..2 {
                        let (sum, x) = (&mut sums[r][h * (halves - 1)], x_levels[r][h]);
                        // SAFETY: the machine has the instruction by the caller's promise.
                        unsafe {
                            sdot!(*sum, w[0][h], x, 0);
                            sdot!(*sum, w[1][h], x, 1);
                            sdot!(*sum, w[2][h], x, 2);
                            sdot!(*sum, w[3][h], x, 3);
                        }
                    }
                }
                for t in 0..halves {
                    for r in 0..R {
                        let at = (i + r) * all_groups + group;
                        // SAFETY: row and group exist.
                        let x = unsafe {
                            let sum = match W::SUB {
                                32 => *x.sums32.as_ptr().add(at),
                                _ => *x.sums16.as_ptr().add(2 * at + t),
                            };
                            [*x.scales.as_ptr().add(at), sum]
                        };
                        let both = scales[g * halves + t][v];
                        out[r][v] = scaled::<Neon, W>(s, out[r][v], sums[r][t], both, x);
                    }
                }
            }
        }
    }
    for r in 0..R {
        for v in 0..FOURS {
            // SAFETY: row and panel exist.
            unsafe { a.end(s, i + r, j, v, out[r][v]) };
        }
    }
    R
}

/// Tiles of many rows: a lane of sums is one weight row, as in [`few`].
#[derive(Clone, Copy)]
struct Sdot;

impl Products for Sdot {
    const PRODUCTS: usize = 16;
    const COPIES: usize = 1;
    const HALF: usize = QUAD / 2;

    #[inline(always)]
    fn arrange(_: Neon, rows: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS] {
        rows
    }
    #[inline(always)]
    fn rows(_: Neon, out: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS] {
        out
    }
    #[inline(always)]
    unsafe fn prepare(_: Neon, _: *mut u8, _: usize, _: *mut f32, _: usize) {}

    #[inline(always)]
    fn begin(_: Neon, totals: int32x4_t) -> [int32x4_t; VECTORS] {
        // SAFETY: the value of `Neon` proves the instructions.
        let [a, b, c, d] = unsafe {
            [
                vdupq_laneq_s32::<0>(totals),
                vdupq_laneq_s32::<1>(totals),
                vdupq_laneq_s32::<2>(totals),
                vdupq_laneq_s32::<3>(totals),
            ]
        };
        [a, a, b, b, c, c, d, d]
    }
    #[inline(always)]
    unsafe fn add(sums: &mut [int32x4_t; VECTORS], w: *const u8, x: *const i8) {
        for quad in 0..2 {
            // SAFETY: readable, and the instruction exists, by the caller's promise.
            unsafe {
                let x = vld1q_s8(x.add(quad * 16));
                for v in 0..2 {
                    let w = vld1q_s8(w.add(quad * QUAD + v * VECTOR).cast());
                    sdot!(sums[v], w, x, 0);
                    sdot!(sums[2 + v], w, x, 1);
                    sdot!(sums[4 + v], w, x, 2);
                    sdot!(sums[6 + v], w, x, 3);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn add_own_products(sum: &mut int32x4_t, factor: int32x4_t) {
        // SAFETY: the instruction exists by the caller's promise, and reads and writes registers.
        unsafe {
            asm!(
                "sdot {0:v}.4s, {1:v}.16b, {0:v}.16b",
                inout(vreg) *sum, in(vreg) factor,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
    }
    #[inline(always)]
    unsafe fn scale<W: Weights>(
        s: Neon,
        out: &mut [float32x4_t; VECTORS],
        sums: [int32x4_t; VECTORS],
        w: *const f32,
        x: *const f32,
        x_sums: *const f32,
    ) {
        for v in 0..2 {
            // SAFETY: readable by the caller's promise.
            let both = unsafe {
                let w = w.add(v * Neon::LANES);
                [s.load(w), s.load(w.add(ROWS))]
            };
            for r in 0..neon_many::ROWS {
                // SAFETY: the same.
                let x = unsafe { [*x.add(r), *x_sums.add(r)] };
                let at = 2 * r + v;
                out[at] = scaled::<Neon, W>(s, out[at], sums[at], both, x);
            }
        }
    }
}

/// The table, with the products of each format.
macro_rules! table {
    ($($format:ident: $weights:ident, $few:ident, $many:ident;)*) => {
        pub(super) static TABLE: Kernels = {
            use std::ops::Range;

            use $crate::kernels::generic::{panels, quantise, weights};

            compile! { [#[target_feature(enable = "neon,dotprod")]] Neon::new();
                $(
                    fn $few(a: &panels::Panels, x: quantise::Levels) = few::<weights::$weights>;
                    fn $many(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                        many::<Sdot, weights::$weights>;
                )*
                fn int8_peak(rounds: usize) -> i32 = peak::<Sdot>;
            }

            Kernels {
                name: "neon_dot",
                features: &[
                    Feature { name: "neon", present: || std::arch::is_aarch64_feature_detected!("neon") },
                    Feature { name: "dotprod", present: || std::arch::is_aarch64_feature_detected!("dotprod") },
                ],
                tile: Tile {
                    panel_rows: neon_many::ROWS,
                    int8_operations: 2 * PEAK_SUMS * Sdot::PRODUCTS,
                    ..neon::TABLE.tile
                },
                panels: PanelLinears {
                    $($format: PanelLinear { few: $few, many: $many },)*
                },
                int8_peak,
                tiles: None,
                ..neon::TABLE
            }
        };
    };
}

table! {
    q8_0: Q8_0, few_q8_0, many_q8_0;
    q4_0: Q4_0, few_q4_0, many_q4_0;
    q4_1: Q4_1, few_q4_1, many_q4_1;
    q5_0: Q5_0, few_q5_0, many_q5_0;
    q5_1: Q5_1, few_q5_1, many_q5_1;
    q2_k: Q2K, few_q2_k, many_q2_k;
    q3_k: Q3K, few_q3_k, many_q3_k;
    q4_k: Q4K, few_q4_k, many_q4_k;
    q5_k: Q5K, few_q5_k, many_q5_k;
    q6_k: Q6K, few_q6_k, many_q6_k;
}
