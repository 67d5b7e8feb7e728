//! Products of two matrices of `f32` in tile registers: both are rounded to bfloat16 and laid out as
//! tiles, which are then multiplied.
//!
//! A tile of the left matrix has rows of 32 numbers, one of the right matrix has 16 rows of pairs.
//! A matrix that lies in the order of its tiles is rounded row by row; one that lies transposed is
//! read in the other order, and tiles of it are transposed in registers.

use std::arch::x86_64::*;

use super::tiles::{Operands, ROW_NUMBERS, ROWS, SIDE, SUMS, Shapes, Unit};
use crate::kernels::avx512::Avx512;
use crate::kernels::{Rounded, Side};
use crate::scratch::FLOATS;

/// Rows and columns of the product that are computed at once.
const TILE: usize = SIDE * ROWS;

/// Tiles of the left matrix that are multiplied with the same tiles of the right one.
const TOGETHER: usize = 8;

/// Steps of 32 numbers after which the next tiles follow: those of the right matrix are 32 KiB,
/// which stay in a first-level cache of 48 KiB.
const STEPS: usize = 16;

/// Numbers of 16 bits in a step of a tile.
const STEP: usize = SIDE * ROWS * ROW_NUMBERS;

/// Numbers of scratch for a product of `[m, n, k]`.
pub(super) const fn scratch_numbers([_, n, k]: [usize; 3]) -> usize {
    let tiles = TOGETHER + n.div_ceil(TILE);
    let numbers = tiles * k.div_ceil(ROW_NUMBERS) * STEP / 2;
    numbers.next_multiple_of(FLOATS) + TOGETHER * TILE * TILE
}

/// Computes `a.y`. `scratch` is at least [`scratch_numbers`].
///
/// # Safety
/// The promise of [`Unit::configure`].
#[inline(always)]
pub(super) unsafe fn rounded<T: Unit>(_: Avx512, a: &mut Rounded, scratch: &mut [f32]) {
    const { assert!(TILE == Rounded::TILE) };
    let [m, n, k] = a.shape;
    let rows = a.rows.clone();
    assert!(rows.start.is_multiple_of(TILE) && rows.start <= rows.end && rows.end <= m);
    assert!(a.left.numbers().len() >= m * k && a.right.numbers().len() >= k * n);
    assert!(a.y.len() >= rows.len() * n && scratch.len() >= scratch_numbers(a.shape));
    let steps = k.div_ceil(ROW_NUMBERS);
    let (sums, tiles) = scratch.split_at_mut(TOGETHER * TILE * TILE);
    let right = tiles.as_mut_ptr().cast::<u16>();
    let left = right.wrapping_add(n.div_ceil(TILE) * steps * STEP);
    for tile in 0..n.div_ceil(TILE) {
        let to = right.wrapping_add(tile * steps * STEP);
        // SAFETY: the table's instructions exist by the caller's promise; the scratch has the room.
        unsafe {
            match a.right {
                Side::Plain(numbers) => lay_out::<true, false>(numbers, [k, n], tile, to),
                Side::Transposed(numbers) => lay_out::<false, true>(numbers, [n, k], tile, to),
            }
        }
    }
    // SAFETY: the caller's promise; it is released at the end of this function.
    let mut unit = unsafe { T::configure(&Shapes::new(ROWS)) };
    let tiles = rows.start / TILE..rows.end.div_ceil(TILE);
    for first in tiles.clone().step_by(TOGETHER) {
        let together = TOGETHER.min(tiles.end - first);
        for tile in 0..together {
            let to = left.wrapping_add(tile * steps * STEP);
            let tile = first + tile;
            // SAFETY: as above.
            unsafe {
                match a.left {
                    Side::Plain(numbers) => lay_out::<false, false>(numbers, [m, k], tile, to),
                    Side::Transposed(numbers) => lay_out::<true, true>(numbers, [k, m], tile, to),
                }
            }
        }
        for column in 0..n.div_ceil(TILE) {
            for step in (0..steps.max(1)).step_by(STEPS) {
                for tile in 0..together {
                    let operands = Operands {
                        x: left.wrapping_add((tile * steps + step) * STEP),
                        w: right.wrapping_add((column * steps + step) * STEP),
                        sums: sums[tile * TILE * TILE..].as_mut_ptr(),
                        steps: STEPS.min(steps - step),
                        rows: ROWS,
                        accumulate: step > 0,
                    };
                    // SAFETY: tiles that are laid out, and sums of their own.
                    unsafe { unit.products(&operands) };
                }
            }
            for tile in 0..together {
                let sums = &sums[tile * TILE * TILE..][..TILE * TILE];
                let row = (first + tile) * TILE - rows.start;
                write(sums, [rows.len(), n], [row, column * TILE], a.y);
            }
        }
    }
}

/// Writes the sums of a tile, `[SIDE][SIDE][16][16]`, to `y`, `[m, n]`, from `[row, column]` on.
#[inline(always)]
fn write(sums: &[f32], [m, n]: [usize; 2], [row, column]: [usize; 2], y: &mut [f32]) {
    for (part, sums) in sums.chunks_exact(SUMS).enumerate() {
        let column = column + part % SIDE * ROWS;
        let width = n.saturating_sub(column).min(ROWS);
        let row = row + part / SIDE * ROWS;
        if width == 0 {
            continue;
        }
        let (sums, _) = sums.as_chunks::<ROWS>();
        for (r, sums) in sums.iter().enumerate().take(m.saturating_sub(row)) {
            let y = &mut y[(row + r) * n + column..][..width];
            match <&mut [f32; ROWS]>::try_from(&mut *y) {
                Ok(y) => *y = *sums,
                Err(_) => y.copy_from_slice(&sums[..width]),
            }
        }
    }
}

/// Lays out a tile with all its steps. `PAIRED`: the sums run down the columns of `numbers`, `[rows,
/// columns]`, and the tile is a part of the columns; else they run along the rows, and it is a part
/// of the rows. `TURNED`: each 16 by 16 pairs are transposed.
///
/// # Safety
/// The machine has AVX-512 F and BW; `numbers` has the rows; `to` has room for the steps.
#[inline(always)]
unsafe fn lay_out<const PAIRED: bool, const TURNED: bool>(
    numbers: &[f32],
    [rows, columns]: [usize; 2],
    tile: usize,
    to: *mut u16,
) {
    let inner = if PAIRED { rows } else { columns };
    for step in 0..inner.div_ceil(ROW_NUMBERS) {
        for part in 0..SIDE {
            let across = tile * TILE + part * ROWS;
            let along = step * ROW_NUMBERS;
            // SAFETY: of all: the instructions and the room by the caller's promise.
            unsafe {
                let to = to.add((step * SIDE + part) * ROWS * ROW_NUMBERS).cast();
                if PAIRED {
                    column_pairs(numbers, [rows, columns], along, across, to);
                } else {
                    row_pairs(numbers, [rows, columns], across, along, to);
                }
                if TURNED {
                    transpose(to);
                }
            }
        }
    }
}

/// 16 rows of 32 numbers from `[row, column]` on, each as 16 pairs; zeros beyond the matrix.
///
/// # Safety
/// See [`lay_out`]; `to` has room for 16 vectors. It is memory and no array that is returned: that
/// would be copied.
#[inline(always)]
unsafe fn row_pairs(
    numbers: &[f32],
    [rows, columns]: [usize; 2],
    row: usize,
    column: usize,
    to: *mut __m512i,
) {
    // SAFETY: of all: the instructions and the room by the caller's promise; the constant is as
    // long as a vector.
    unsafe {
        let odd = _mm512_loadu_si512(ODD.as_ptr().cast());
        for r in 0..ROWS {
            let mut pairs = _mm512_setzero_si512();
            if row + r < rows {
                let from = numbers.as_ptr().wrapping_add((row + r) * columns);
                let low = raised(from, column, columns);
                let high = raised(from, column + ROWS, columns);
                pairs = _mm512_permutex2var_epi16(low, odd, high);
            }
            _mm512_store_si512(to.add(r), pairs);
        }
    }
}

/// The places of the upper halves of 32 numbers in two vectors.
const ODD: [u16; 32] = {
    let mut odd = [0; 32];
    let mut at = 0;
    while at < 32 {
        odd[at] = 2 * at as u16 + 1;
        at += 1;
    }
    odd
};

/// 16 columns of 32 numbers from `[row, column]` on: each vector has the pairs of two rows; zeros
/// beyond the matrix.
///
/// # Safety
/// See [`row_pairs`].
#[inline(always)]
unsafe fn column_pairs(
    numbers: &[f32],
    [rows, columns]: [usize; 2],
    row: usize,
    column: usize,
    to: *mut __m512i,
) {
    // SAFETY: of all: the instructions and the room by the caller's promise.
    unsafe {
        for pair in 0..ROWS {
            let row = row + 2 * pair;
            let from = numbers.as_ptr().wrapping_add(row * columns);
            let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
            if row < rows {
                low = raised(from, column, columns);
            }
            if row + 1 < rows {
                high = raised(from.wrapping_add(columns), column, columns);
            }
            let low = _mm512_srli_epi32::<16>(low);
            _mm512_store_si512(
                to.add(pair),
                _mm512_mask_blend_epi16(0xaaaa_aaaa, low, high),
            );
        }
    }
}

/// 16 numbers of a row of `columns`, from `column` on, whose upper halves are the numbers rounded to
/// bfloat16, half away from zero; zeros beyond the row.
///
/// # Safety
/// See [`lay_out`]; `row` is readable for `columns`.
#[inline(always)]
unsafe fn raised(row: *const f32, column: usize, columns: usize) -> __m512i {
    let rest = columns.saturating_sub(column).min(16);
    let mask = ((1_u32 << rest) - 1) as u16;
    // SAFETY: the instructions by the caller's promise; what the mask leaves out is not read.
    unsafe {
        let bits = _mm512_maskz_loadu_epi32(mask, row.wrapping_add(column).cast());
        _mm512_add_epi32(bits, _mm512_set1_epi32(0x8000))
    }
}

/// Transposes 16 by 16 pairs in place.
///
/// # Safety
/// See [`row_pairs`]; `pairs` has been written.
#[inline(always)]
unsafe fn transpose(pairs: *mut __m512i) {
    // SAFETY: of all: the instructions and the room by the caller's promise.
    unsafe {
        let mut twos = [_mm512_setzero_si512(); ROWS];
        let mut fours = twos;
        for i in 0..8 {
            let a = _mm512_load_si512(pairs.add(2 * i));
            let b = _mm512_load_si512(pairs.add(2 * i + 1));
            twos[2 * i] = _mm512_unpacklo_epi32(a, b);
            twos[2 * i + 1] = _mm512_unpackhi_epi32(a, b);
        }
        for i in (0..ROWS).step_by(4) {
            fours[i] = _mm512_unpacklo_epi64(twos[i], twos[i + 2]);
            fours[i + 1] = _mm512_unpackhi_epi64(twos[i], twos[i + 2]);
            fours[i + 2] = _mm512_unpacklo_epi64(twos[i + 1], twos[i + 3]);
            fours[i + 3] = _mm512_unpackhi_epi64(twos[i + 1], twos[i + 3]);
        }
        // A quarter of fours[4i + j] has, of four rows from 4i on, column j of the quarter.
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let even = [
                _mm512_shuffle_i32x4::<0x88>(a, b),
                _mm512_shuffle_i32x4::<0x88>(c, d),
            ];
            let odd = [
                _mm512_shuffle_i32x4::<0xdd>(a, b),
                _mm512_shuffle_i32x4::<0xdd>(c, d),
            ];
            let columns = [
                _mm512_shuffle_i32x4::<0x88>(even[0], even[1]),
                _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]),
                _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]),
                _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]),
            ];
            for (quarter, column) in columns.into_iter().enumerate() {
                _mm512_store_si512(pairs.add(4 * quarter + j), column);
            }
        }
    }
}
