//! Activations to integers: 8 bits and a scale for each 32 numbers of a row.

use crate::kernels::dot::Dot;
use crate::panel::GROUP;

/// Rows of activations in integers. A number is about `scale · level`.
#[derive(Clone, Copy)]
pub(crate) struct Levels<'a> {
    /// `[m, k]`, from −127 to 127.
    pub(crate) levels: &'a [i8],
    /// `[m, k / 32]`.
    pub(crate) scales: &'a [f32],
    /// `[m, k / 32]`: the sum of the 32 numbers that the levels mean.
    pub(crate) sums32: &'a [f32],
    /// `[m, k / 16]`: the same of each 16.
    pub(crate) sums16: &'a [f32],
    /// `[m, k / 16]`: the negative sum of the levels, an `i32` in the place of a number.
    pub(crate) totals16: &'a [f32],
}

/// One row of [`Levels`] to fill.
pub(crate) struct Row<'a> {
    /// `[k]`
    pub(crate) levels: &'a mut [i8],
    /// `[k / 32]`
    pub(crate) scales: &'a mut [f32],
    /// `[k / 32]`
    pub(crate) sums32: &'a mut [f32],
    /// `[k / 16]`
    pub(crate) sums16: &'a mut [f32],
    /// `[k / 16]`
    pub(crate) totals16: &'a mut [f32],
}

/// Quantises a row: of each 32 numbers the largest becomes ±127.
#[inline(always)]
pub(crate) fn quantise<S: Dot>(s: S, x: &[f32], row: &mut Row) {
    let groups = x.len() / GROUP;
    assert!(x.len() == groups * GROUP && row.levels.len() == x.len());
    assert!(row.scales.len() == groups && row.sums32.len() == groups);
    assert!(row.sums16.len() == 2 * groups && row.totals16.len() == 2 * groups);
    let zero = s.splat(0.0);
    for group in 0..groups {
        let x = &x[group * GROUP..][..GROUP];
        let levels = &mut row.levels[group * GROUP..][..GROUP];
        let mut largest = zero;
        for at in (0..GROUP).step_by(S::LANES) {
            let v = s.read(&x[at..]);
            largest = s.max(s.max(v, s.sub(zero, v)), largest);
        }
        let largest = s.greatest(largest);
        let scale = largest / 127.0;
        // Too small to be inverted: such numbers are zero beside any other.
        let inverse = if scale > 1e-38 { 1.0 / scale } else { 0.0 };
        let factor = s.splat(inverse);
        let mut halves = [zero; 2];
        for half in 0..2 {
            for at in (0..GROUP / 2).step_by(S::LANES) {
                let at = half * GROUP / 2 + at;
                let scaled = s.mul(s.read(&x[at..]), factor);
                // SAFETY: the group has `LANES` places from `at`.
                let rounded = unsafe { s.store_rounded(scaled, levels.as_mut_ptr().add(at)) };
                halves[half] = s.add(halves[half], rounded);
            }
        }
        // Sums of whole numbers, exact in any order.
        let [first, second, ..] = s.sums([halves[0], halves[1], zero, zero]);
        row.scales[group] = scale;
        row.sums32[group] = scale * (first + second);
        row.sums16[2 * group] = scale * first;
        row.sums16[2 * group + 1] = scale * second;
        row.totals16[2 * group] = f32::from_bits((-(first as i32)).cast_unsigned());
        row.totals16[2 * group + 1] = f32::from_bits((-(second as i32)).cast_unsigned());
    }
}

/// Many rows in integers, in the order in which tiles take them: `R` rows at a time, rows that do
/// not exist being zeros.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<'a> {
    /// For each block of [`BLOCK`] numbers, for each tile, `[quads][R][4]`; `[eights][R][8]` for
    /// tables that take eight numbers of a row at once.
    pub(crate) levels: &'a [i8],
    /// For each tile, `[k / 32][FIELDS][R]`: scale; the sum of the numbers, of the first 16, of the
    /// last 16; the negative sums of the levels likewise, an `i32` in the place of a number.
    pub(crate) scales: &'a [f32],
    /// How many there are.
    pub(crate) tiles: usize,
}

/// What [`Tiles::scales`] holds for each group of 32 numbers of a row.
pub(crate) const FIELDS: usize = 7;

/// Numbers of a row whose levels lie together in [`Tiles`]. With two panels of weights 16 KiB, half
/// of a first-level cache of 32 KiB.
pub(crate) const BLOCK: usize = 512;
