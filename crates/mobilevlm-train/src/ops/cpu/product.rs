//! Products of small matrices that lie in the cache: what attention multiplies for one head.

use pulp::{Simd, WithSimd};

/// Rows of the result that are computed at once.
pub(super) const ROWS: usize = 6;
/// What the width of a buffer is a multiple of: the lanes of the widest vectors.
pub(super) const LANES: usize = 16;

/// `c = a · b` for [`ROWS`] rows of c.
pub(super) struct Product<'a> {
    /// The length of the sums.
    pub(super) inner: usize,
    pub(super) a: Left<'a>,
    /// `[inner][width]`, rows `b_step` apart.
    pub(super) b: &'a [f32],
    pub(super) b_step: usize,
    /// `[ROWS][width]`, rows `c_step` apart.
    pub(super) c: &'a mut [f32],
    pub(super) c_step: usize,
    /// Columns of b and c, a multiple of [`LANES`].
    pub(super) width: usize,
}

/// The left matrix of a product, as it lies in memory.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// Rows that are `step` apart; where there are fewer than [`ROWS`], the last counts several times.
    Rows {
        elements: &'a [f32],
        step: usize,
        rows: usize,
    },
    /// Transposed: element `[row, i]` lies at `i · step + row`.
    Columns { elements: &'a [f32], step: usize },
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            inner,
            a,
            b,
            b_step,
            c,
            c_step,
            width,
        } = self;
        let lanes = S::F32_LANES;
        let mut column = 0;
        while column < width {
            let b = &b[column.min(b.len())..];
            let c = &mut c[column..];
            // Two vectors of columns at once, and one for an odd rest.
            let two = width - column >= 2 * lanes;
            match (a, two) {
                (
                    Left::Rows {
                        elements,
                        step,
                        rows,
                    },
                    true,
                ) => {
                    let rows = slices(elements, step, rows, inner);
                    tile::<S, 2>(simd, inner, |i| across(&rows, i), b, b_step, c, c_step);
                }
                (
                    Left::Rows {
                        elements,
                        step,
                        rows,
                    },
                    false,
                ) => {
                    let rows = slices(elements, step, rows, inner);
                    tile::<S, 1>(simd, inner, |i| across(&rows, i), b, b_step, c, c_step);
                }
                (Left::Columns { elements, step }, true) => {
                    tile::<S, 2>(
                        simd,
                        inner,
                        |i| column_of(elements, step, i),
                        b,
                        b_step,
                        c,
                        c_step,
                    );
                }
                (Left::Columns { elements, step }, false) => {
                    tile::<S, 1>(
                        simd,
                        inner,
                        |i| column_of(elements, step, i),
                        b,
                        b_step,
                        c,
                        c_step,
                    );
                }
            }
            column += if two { 2 * lanes } else { lanes };
        }
    }
}

/// The rows of a left matrix.
#[inline(always)]
fn slices(elements: &[f32], step: usize, rows: usize, inner: usize) -> [&[f32]; ROWS] {
    std::array::from_fn(|r| &elements[r.min(rows - 1) * step..][..inner])
}

/// Element i of each row.
#[inline(always)]
fn across(rows: &[&[f32]; ROWS], i: usize) -> [f32; ROWS] {
    [
        rows[0][i], rows[1][i], rows[2][i], rows[3][i], rows[4][i], rows[5][i],
    ]
}

/// Element i of each row of a transposed left matrix.
#[inline(always)]
fn column_of(elements: &[f32], step: usize, i: usize) -> [f32; ROWS] {
    let a = &elements[i * step..][..ROWS];
    [a[0], a[1], a[2], a[3], a[4], a[5]]
}

/// [`ROWS`] rows by `V` vectors, held in registers.
#[inline(always)]
fn tile<S: Simd, const V: usize>(
    simd: S,
    inner: usize,
    a: impl Fn(usize) -> [f32; ROWS],
    b: &[f32],
    b_step: usize,
    c: &mut [f32],
    c_step: usize,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; ROWS];
    for i in 0..inner {
        let (b, _) = S::as_simd_f32s(&b[i * b_step..][..V * lanes]);
        let a = a(i);
        for r in 0..ROWS {
            let a = simd.splat_f32s(a[r]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_e_f32s(a, b[v], sums[r][v]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let (c, _) = S::as_mut_simd_f32s(&mut c[r * c_step..][..V * lanes]);
        c[..V].copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::numbers;

    #[test]
    fn equals_the_triple_loop() {
        for (inner, width, rows) in [(1, 16, 6), (7, 48, 6), (33, 16, 1), (64, 96, 5), (0, 16, 6)] {
            let (a, b) = (
                numbers(inner.max(1) * 8, 1),
                numbers(inner.max(1) * (width + 3), 2),
            );
            for transposed in [false, true] {
                let left = if transposed {
                    Left::Columns {
                        elements: &a,
                        step: 8,
                    }
                } else {
                    Left::Rows {
                        elements: &a,
                        step: inner,
                        rows,
                    }
                };
                let mut c = vec![9.0; ROWS * width];
                let product = Product {
                    inner,
                    a: left,
                    b: &b,
                    b_step: width + 3,
                    c: &mut c,
                    c_step: width,
                    width,
                };
                pulp::Arch::new().dispatch(product);
                for row in 0..if transposed { ROWS } else { rows } {
                    for column in 0..width {
                        let a = |i: usize| {
                            if transposed {
                                a[i * 8 + row]
                            } else {
                                a[row * inner + i]
                            }
                        };
                        let sum = (0..inner)
                            .map(|i| f64::from(a(i)) * f64::from(b[i * (width + 3) + column]))
                            .sum::<f64>();
                        assert!((f64::from(c[row * width + column]) - sum).abs() < 1e-4);
                    }
                }
            }
        }
    }
}
