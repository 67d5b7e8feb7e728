//! The table `neon_i8mm`: that of `neon_dot`, with products of many rows by the matrix instruction.
//!
//! `smmla` multiplies eight numbers of two rows with eight of two weight rows: twice the products of
//! `sdot`, from as many registers. A vector of sums is then two rows by two weight rows, and so are
//! the outputs as long as they are in registers. Sums are whole numbers, so the table gives the very
//! bits of `neon`.

use std::arch::aarch64::*;
use std::arch::asm;

use super::generic::panels::scaled_lanes;
use super::generic::weights::Weights;
use super::neon::Neon;
use super::neon_dot;
use super::neon_many::{self, PEAK_SUMS, Products, VECTORS, many, peak};
use super::simd::Simd;
use super::{Feature, Kernels, PanelLinear, PanelLinears, Tile};
use crate::panel::{QUAD, ROWS};

/// Numbers of a row that the instruction takes.
const EIGHT: usize = 8;

/// Vectors of a quad.
const FOURS: usize = ROWS / Neon::LANES;

/// Tiles of many rows. Vector `4 · p + c` of sums belongs to rows `2p` and `2p + 1` and columns
/// `2c` and `2c + 1` of the tile, and holds both columns of the first row, then of the second.
#[derive(Clone, Copy)]
struct Smmla;

impl Products for Smmla {
    const PRODUCTS: usize = 32;
    const COPIES: usize = 2;
    const HALF: usize = QUAD;

    #[inline(always)]
    fn arrange(s: Neon, rows: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS] {
        let mut out = rows;
        for p in 0..2 {
            for v in 0..2 {
                let (first, second) = (rows[4 * p + v], rows[4 * p + 2 + v]);
                [out[4 * p + 2 * v], out[4 * p + 2 * v + 1]] = halves(s, first, second);
            }
        }
        out
    }
    #[inline(always)]
    fn rows(s: Neon, out: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS] {
        let mut rows = out;
        for p in 0..2 {
            for v in 0..2 {
                let (first, second) = (out[4 * p + 2 * v], out[4 * p + 2 * v + 1]);
                [rows[4 * p + v], rows[4 * p + 2 + v]] = halves(s, first, second);
            }
        }
        rows
    }

    /// Two quads become eight pairs of weight rows, eight numbers each; the scales of a pair come
    /// twice, for two rows.
    #[inline(always)]
    unsafe fn prepare(
        _: Neon,
        levels: *mut u8,
        length: usize,
        scales: *mut f32,
        sub_blocks: usize,
    ) {
        // SAFETY: of all pointers: inside what the caller promises, and as wide as is read.
        unsafe {
            for eight in 0..length / EIGHT {
                let quads = levels.add(eight * 2 * QUAD).cast::<u32>();
                let mut pairs = [vdupq_n_u32(0); 2 * FOURS];
                for v in 0..FOURS {
                    let first = vld1q_u32(quads.add(4 * v));
                    let second = vld1q_u32(quads.add(4 * (FOURS + v)));
                    pairs[2 * v] = vzip1q_u32(first, second);
                    pairs[2 * v + 1] = vzip2q_u32(first, second);
                }
                for (at, pair) in pairs.into_iter().enumerate() {
                    vst1q_u32(quads.add(4 * at), pair);
                }
            }
            // From the last on, since the copies lie where later scales were.
            for at in (0..sub_blocks * 2 * FOURS).rev() {
                let four = vreinterpretq_f64_f32(vld1q_f32(scales.add(4 * at)));
                let copies = scales.add(8 * at).cast();
                vst1q_f64(copies, vzip1q_f64(four, four));
                vst1q_f64(copies.add(2), vzip2q_f64(four, four));
            }
        }
    }

    #[inline(always)]
    fn begin(_: Neon, totals: int32x4_t) -> [int32x4_t; VECTORS] {
        // SAFETY: the value of `Neon` proves the instructions.
        let (a, b) = unsafe { (vzip1q_s32(totals, totals), vzip2q_s32(totals, totals)) };
        [a, a, a, a, b, b, b, b]
    }
    #[inline(always)]
    unsafe fn add(sums: &mut [int32x4_t; VECTORS], w: *const u8, x: *const i8) {
        // SAFETY: readable, and the instruction exists, by the caller's promise.
        unsafe {
            let x = [vld1q_s8(x), vld1q_s8(x.add(2 * EIGHT))];
            for c in 0..4 {
                let w = vld1q_s8(w.add(c * 2 * EIGHT).cast());
                for p in 0..2 {
                    asm!(
                        "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b",
                        inout(vreg) sums[4 * p + c], in(vreg) x[p], in(vreg) w,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn add_own_products(sum: &mut int32x4_t, factor: int32x4_t) {
        // SAFETY: the instruction exists by the caller's promise, and reads and writes registers.
        unsafe {
            asm!(
                "smmla {0:v}.4s, {1:v}.16b, {0:v}.16b",
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
        // SAFETY: of all: readable by the caller's promise; the value of `Neon` proves the
        // instructions.
        unsafe {
            let [x, x_sums] = [x, x_sums].map(|of_rows| {
                let of_rows = s.load(of_rows);
                [vzip1q_f32(of_rows, of_rows), vzip2q_f32(of_rows, of_rows)]
            });
            for c in 0..4 {
                let w = w.add(4 * c);
                let both = [s.load(w), s.load(w.add(Smmla::COPIES * ROWS))];
                for p in 0..2 {
                    let at = 4 * p + c;
                    let x = [x[p], x_sums[p]];
                    out[at] = scaled_lanes::<Neon, W>(s, out[at], sums[at], both, x);
                }
            }
        }
    }
}

/// The first halves of two vectors, and the second halves.
#[inline(always)]
fn halves(_: Neon, first: float32x4_t, second: float32x4_t) -> [float32x4_t; 2] {
    // SAFETY: the value of `Neon` proves the instructions.
    unsafe {
        let (first, second) = (vreinterpretq_f64_f32(first), vreinterpretq_f64_f32(second));
        [
            vreinterpretq_f32_f64(vzip1q_f64(first, second)),
            vreinterpretq_f32_f64(vzip2q_f64(first, second)),
        ]
    }
}

/// The table, with the products of each format.
macro_rules! table {
    ($($format:ident: $weights:ident, $many:ident;)*) => {
        pub(super) static TABLE: Kernels = {
            use std::ops::Range;

            use $crate::kernels::generic::{panels, quantise, weights};

            compile! { [#[target_feature(enable = "neon,i8mm")]] Neon::new();
                $(
                    fn $many(a: &panels::Panels, x: quantise::Tiles, tiles: Range<usize>, strip: &mut [f32]) =
                        many::<Smmla, weights::$weights>;
                )*
                fn int8_peak(rounds: usize) -> i32 = peak::<Smmla>;
            }

            let few = &neon_dot::TABLE.panels;
            Kernels {
                name: "neon_i8mm",
                features: &[
                    Feature { name: "neon", present: || std::arch::is_aarch64_feature_detected!("neon") },
                    Feature { name: "dotprod", present: || std::arch::is_aarch64_feature_detected!("dotprod") },
                    Feature { name: "i8mm", present: || std::arch::is_aarch64_feature_detected!("i8mm") },
                ],
                tile: Tile {
                    panel_rows: neon_many::ROWS,
                    panel_row: EIGHT,
                    int8_operations: 2 * PEAK_SUMS * Smmla::PRODUCTS,
                    ..neon_dot::TABLE.tile
                },
                panels: PanelLinears {
                    $($format: PanelLinear { many: $many, ..few.$format },)*
                },
                int8_peak,
                tiles: None,
                ..neon_dot::TABLE
            }
        };
    };
}

table! {
    q8_0: Q8_0, many_q8_0;
    q4_0: Q4_0, many_q4_0;
    q4_1: Q4_1, many_q4_1;
    q5_0: Q5_0, many_q5_0;
    q5_1: Q5_1, many_q5_1;
    q2_k: Q2K, many_q2_k;
    q3_k: Q3K, many_q3_k;
    q4_k: Q4K, many_q4_k;
    q5_k: Q5K, many_q5_k;
    q6_k: Q6K, many_q6_k;
}
