//! Products of two matrices of `f32`, as training has them.

use std::ops::Range;

use crate::Kernels;
use crate::kernels::{Rounded, Side};
use crate::scratch::with_scratch;

/// Where the rows begin that [`rounded_product`] computes, a multiple of this.
pub const ROUNDED_ROWS: usize = Rounded::TILE;

/// The rows `rows` of `left · right` on the calling thread in the tile registers of `kernels`: both
/// are rounded to bfloat16, half away from zero, and products are summed in `f32`. `shape` is `[m,
/// n, k]`: left `[m, k]`, right `[k, n]`, `y` `[rows, n]`. Returns whether the table has tile
/// registers; where it has none, `y` is left as it is.
///
/// The order in which an output is summed depends on `k` alone.
///
/// # Panics
/// Where a slice is shorter than its matrix, and where the rows do not begin with a multiple of
/// [`ROUNDED_ROWS`].
pub fn rounded_product(
    kernels: &Kernels,
    shape: [usize; 3],
    rows: Range<usize>,
    left: Side,
    right: Side,
    y: &mut [f32],
) -> bool {
    let Some(tiles) = kernels.tiles() else {
        return false;
    };
    let mut product = Rounded {
        shape,
        rows,
        left,
        right,
        y,
    };
    with_scratch((tiles.rounded_scratch)(shape), |scratch| {
        tiles.rounded(&mut product, scratch);
    });
    true
}
