//! Products of many rows with panels, for the tables that multiply integers with an instruction of
//! their own.
//!
//! A tile is four rows and half a panel: eight vectors of sums and eight of outputs, which stay in
//! registers beside the weights and rows that are multiplied, from the first number of a block to
//! its last. The order in which sub-blocks are scaled and added is that of
//! [`panels`](super::generic::panels), so the results are those of table `neon`, bit for bit.

use std::arch::aarch64::*;
use std::hint::black_box;
use std::ops::Range;

use super::generic::panels::{Panels, STRIP_NUMBERS, lay_out};
use super::generic::quantise::{BLOCK, FIELDS, Tiles};
use super::generic::weights::{Weights, has_offset};
use super::neon::Neon;
use super::simd::Simd;
use crate::panel::{self, GROUP};

/// Rows of a tile.
pub(super) const ROWS: usize = 4;

/// Vectors of sums of a tile.
pub(super) const VECTORS: usize = 8;

/// Numbers of the strip for the levels of a panel.
const LEVELS: usize = panel::ROWS * BLOCK / 4;

/// Numbers of the strip for its scales and minima, each of them twice.
const SCALES: usize = 2 * panel::ROWS * 2 * BLOCK / 16;

/// Independent sums of [`peak`]: more than four units of latency 4 have under way.
pub(super) const PEAK_SUMS: usize = 24;

/// An instruction that multiplies integers.
///
/// Outputs of a tile come as rows: vector `2 · row + v` holds four outputs of a row. The
/// instruction may want the lanes otherwise, as long as all eight vectors are used.
pub(super) trait Products: Copy {
    /// Products that the instruction takes.
    const PRODUCTS: usize;
    /// Times that the scale of a weight row lies in the strip, 1 or 2.
    const COPIES: usize;
    /// Bytes from the levels of the first half of a panel to those of the second.
    const HALF: usize;

    /// Brings outputs to the order of the sums.
    fn arrange(s: Neon, rows: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS];
    /// The inverse of [`arrange`](Products::arrange).
    fn rows(s: Neon, out: [float32x4_t; VECTORS]) -> [float32x4_t; VECTORS];

    /// Brings a panel that [`lay_out`] left to the order in which
    /// [`add`](Products::add) takes the levels and [`scale`](Products::scale) the scales.
    ///
    /// # Safety
    /// `levels` holds those of `length` numbers, and `scales` those of `sub_blocks` with room for
    /// [`COPIES`](Products::COPIES) of each.
    unsafe fn prepare(s: Neon, levels: *mut u8, length: usize, scales: *mut f32, sub_blocks: usize);

    /// Sums that begin with one number for each row.
    fn begin(s: Neon, totals: int32x4_t) -> [int32x4_t; VECTORS];
    /// Adds the products of eight numbers.
    ///
    /// # Safety
    /// `w` points at the levels of eight numbers of half a panel, `x` at those of four rows, and
    /// the machine has the instruction.
    unsafe fn add(sums: &mut [int32x4_t; VECTORS], w: *const u8, x: *const i8);
    /// Adds the products of the bytes of `factor` with those of the sums themselves.
    ///
    /// # Safety
    /// The machine has the instruction.
    unsafe fn add_own_products(sums: &mut int32x4_t, factor: int32x4_t);
    /// Scales the sums and adds them to the outputs.
    ///
    /// # Safety
    /// `w` points at the scales of half a panel, with the minima [`COPIES`](Products::COPIES) · 16
    /// numbers on; `x` at the scales of four rows, and `x_sums` at their sums.
    unsafe fn scale<W: Weights>(
        s: Neon,
        out: &mut [float32x4_t; VECTORS],
        sums: [int32x4_t; VECTORS],
        w: *const f32,
        x: *const f32,
        x_sums: *const f32,
    );
}

/// Computes the rows of `tiles` of `a`. `strip` is scratch of [`STRIP_NUMBERS`].
///
/// # Safety
/// `a.y` is writable, and nobody else's, at `i · stride + j` for the rows `i` of these tiles and
/// `j < n`; and the machine has the instruction of `P`.
#[inline(always)]
pub(super) unsafe fn many<P: Products, W: Weights>(
    s: Neon,
    a: &Panels,
    x: Tiles,
    tiles: Range<usize>,
    strip: &mut [f32],
) {
    a.check::<W>();
    const { assert!(LEVELS + SCALES <= STRIP_NUMBERS && P::COPIES <= 2) };
    assert!(strip.len() >= STRIP_NUMBERS);
    assert!(tiles.end <= x.tiles && x.tiles == a.m.div_ceil(ROWS));
    assert!(x.levels.len() >= x.tiles * ROWS * a.k);
    assert!(x.scales.len() >= x.tiles * ROWS * FIELDS * (a.k / GROUP));
    let (levels, scales) = strip.split_at_mut(LEVELS);
    for first in (0..a.k).step_by(BLOCK) {
        let length = BLOCK.min(a.k - first);
        for (index, from) in a.w.chunks_exact(a.panel::<W>()).enumerate() {
            // SAFETY: the block lies in the panel, and the scratch has room for it, with scales
            // twice.
            unsafe {
                lay_out::<Neon, W, 1>(s, from, first, length, 0, levels, scales);
                let (levels, scales) = (levels.as_mut_ptr().cast(), scales.as_mut_ptr());
                P::prepare(s, levels, length, scales, length / W::SUB);
            }
            let block = Block {
                levels: levels.as_ptr().cast(),
                scales: scales.as_ptr(),
                first,
                length,
                j: index * panel::ROWS,
            };
            for tile in tiles.clone() {
                for half in 0..2 {
                    // SAFETY: tile and block exist in `x`; `y` by the caller's promise.
                    unsafe { one_tile::<P, W>(s, a, x, &block, tile, half) };
                }
            }
        }
    }
}

/// `rounds` times: [`PEAK_SUMS`] independent sums of products. Returns something that depends on all
/// of them.
///
/// # Safety
/// The machine has the instruction of `P`.
#[inline(always)]
pub(super) unsafe fn peak<P: Products>(_: Neon, rounds: usize) -> i32 {
    // SAFETY: the value of `Neon` proves NEON; the rest is the caller's promise.
    unsafe {
        let mut sums = [vdupq_n_s32(0); PEAK_SUMS];
        for (sum, i) in sums.iter_mut().zip(0..) {
            // Opaque, or the compiler would see that all lanes are equal.
            *sum = black_box(vdupq_n_s32(i));
        }
        let factor = black_box(vdupq_n_s32(0x0102_0103));
        for _ in 0..rounds {
            for sum in &mut sums {
                P::add_own_products(sum, factor);
            }
        }
        sums.into_iter()
            .fold(0, |all, sum| all ^ vgetq_lane_s32::<0>(sum))
    }
}

/// A panel as [`Products::prepare`] left it: levels `[numbers / 8][128]`, scales
/// `[sub-blocks][scale, minimum][COPIES · 16]`.
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

/// The rows of a tile with half a panel.
///
/// # Safety
/// The tile exists in `x`, the block is as it says, `half < 2`, and `many`'s promise about `y`.
#[inline(always)]
unsafe fn one_tile<P: Products, W: Weights>(
    s: Neon,
    a: &Panels,
    x: Tiles,
    block: &Block,
    tile: usize,
    half: usize,
) {
    let rows = ROWS.min(a.m - tile * ROWS);
    let mut begin = [s.splat(0.0); VECTORS];
    for r in 0..rows {
        for v in 0..2 {
            let (i, v_of_panel) = (tile * ROWS + r, 2 * half + v);
            // SAFETY: row and panel exist.
            begin[2 * r + v] = unsafe { a.begin(s, i, block.j, v_of_panel, block.first > 0) };
        }
    }
    let mut out = P::arrange(s, begin);
    // SAFETY: the tile's part of the block, its scales from the block's first group on, and the
    // half's part of levels and scales.
    let (mut x_levels, mut x_scales, mut levels, mut scales) = unsafe {
        let before = (x.tiles * block.first + tile * block.length) * ROWS;
        let groups = tile * (a.k / GROUP) + block.first / GROUP;
        (
            x.levels.as_ptr().add(before),
            x.scales.as_ptr().add(groups * FIELDS * ROWS),
            block.levels.add(half * P::HALF),
            block.scales.add(half * P::COPIES * panel::ROWS / 2),
        )
    };
    let halves = GROUP / W::SUB;
    for _ in 0..block.length / GROUP {
        for t in 0..halves {
            let (sum, total) = if W::SUB == 32 { (1, 4) } else { (2 + t, 5 + t) };
            // SAFETY: of all: inside the tile's part and scales, and inside the block.
            unsafe {
                let mut totals = vdupq_n_s32(0);
                if has_offset::<Neon, W>() {
                    let of_rows = vld1q_s32(x_scales.add(total * ROWS).cast());
                    totals = vshlq_s32(of_rows, vdupq_n_s32(W::OFFSET as i32));
                }
                let mut sums = P::begin(s, totals);
                for eight in 0..W::SUB / 8 {
                    let (w, x) = (
                        levels.add(eight * 2 * panel::QUAD),
                        x_levels.add(eight * 8 * ROWS),
                    );
                    P::add(&mut sums, w, x);
                }
                let x_sums = x_scales.add(sum * ROWS);
                P::scale::<W>(s, &mut out, sums, scales, x_scales, x_sums);
                levels = levels.add(W::SUB * panel::ROWS);
                x_levels = x_levels.add(W::SUB * ROWS);
                scales = scales.add(2 * P::COPIES * panel::ROWS);
            }
        }
        // SAFETY: at the next group of the tile, or at its end.
        x_scales = unsafe { x_scales.add(FIELDS * ROWS) };
    }
    let end = P::rows(s, out);
    for r in 0..rows {
        for v in 0..2 {
            let (i, v_of_panel) = (tile * ROWS + r, 2 * half + v);
            // SAFETY: row and panel exist.
            unsafe { a.end(s, i, block.j, v_of_panel, end[2 * r + v]) };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Bytes, Compute, Format, Kernels, Matrix, ops};

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    /// Rows below, at and above tiles; outputs below, at and above half a panel, a panel and a
    /// task's panels; widths below, at and above a block.
    const SHAPES: [[usize; 3]; 8] = [
        [1, 33, 256],
        [7, 24, 512],
        [9, 1, 256],
        [12, 16, 768],
        [11, 25, 1280],
        [150, 20, 256],
        [12, 300, 32],
        [14, 35, 544],
    ];

    /// Table `neon` is compared with the definition by the tests of all tables; the others give its
    /// very bits.
    #[test]
    fn results_are_those_of_neon() {
        let neon = Kernels::by_name("neon").unwrap();
        for name in ["neon_dot", "neon_i8mm"] {
            let Ok(table) = Kernels::by_name(name) else {
                println!("{name}: skipped");
                continue;
            };
            for format in Format::ALL.into_iter().filter(|format| format.block() > 1) {
                for [m, n, k] in SHAPES {
                    if !k.is_multiple_of(format.block()) {
                        continue;
                    }
                    let (x, bias) = (numbers(m * k, 1), numbers(n, 2));
                    let stored = Bytes::from(format.encode(&numbers(n * k, 3)));
                    let w = Matrix::new(format, n, k, stored).unwrap().interleave();
                    let [expected, found] = [neon, table].map(|table| {
                        let compute = Compute::new(table, 2);
                        let mut plain = vec![f32::NAN; m * n];
                        ops::linear(&compute, &x, &w, None, &mut plain);
                        let mut added = numbers(m * n, 4);
                        ops::linear_add(&compute, &x, &w, Some(&bias), &mut added);
                        [plain, added].map(|y| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>())
                    });
                    let format = format.name();
                    assert!(
                        expected == found,
                        "{name}, {format}, {m} rows, n {n}, k {k}"
                    );
                }
            }
        }
    }
}
