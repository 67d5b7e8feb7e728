//! Products of factors that are rounded to bfloat16 (half away from zero) and summed in float32: in tile registers where the machine has them, in vectors where not.

use super::{elements, tensor};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use mobilevlm_tensor::ops::rounded_product;
use mobilevlm_tensor::{Kernels, Side};
use std::sync::LazyLock;

/// The kernels that have tile registers, if the machine does.
pub(super) fn tiles() -> Option<&'static Kernels> {
    static TABLE: LazyLock<Option<&Kernels>> = LazyLock::new(|| Kernels::by_name("amx").ok());
    *TABLE
}

/// `left · right`, `[m, n]`, with sums of k products, on this thread.
pub(super) fn product(shape: [usize; 3], left: Side, right: Side, y: &mut [f32]) {
    match tiles() {
        Some(kernels) => {
            rounded_product(kernels, shape, 0..shape[0], left, right, y);
        }
        None => in_f32(shape, left, right, y),
    }
}

fn in_f32([m, n, k]: [usize; 3], left: Side, right: Side, y: &mut [f32]) {
    let factor = |side, [rows, columns]: [usize; 2]| match side {
        Side::Plain(x) => rounded(tensor(x[..rows * columns].to_vec(), &[rows, columns])),
        Side::Transposed(x) => {
            let x = tensor(x[..rows * columns].to_vec(), &[columns, rows]);
            Flex::float_swap_dims(rounded(x), 0, 1)
        }
    };
    let product = Flex::float_matmul(factor(left, [m, k]), factor(right, [k, n]));
    y[..m * n].copy_from_slice(&elements(&product));
}

/// Rounded to bfloat16, half away from zero.
pub(super) fn rounded(x: FlexTensor) -> FlexTensor {
    let round = |x: &f32| f32::from_bits((x.to_bits().wrapping_add(0x8000)) & 0xffff_0000);
    let numbers = elements(&x).iter().map(round).collect();
    tensor(numbers, x.layout().shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::numbers;

    #[test]
    fn with_tile_registers_and_without() {
        if tiles().is_none() {
            println!("tile registers: skipped, this machine lacks them");
        }
        for shape @ [m, n, k] in [[1, 1, 1], [25, 112, 32], [145, 32, 160], [40, 20, 70]] {
            let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
            let lefts = [Side::Plain(&left), Side::Transposed(&left)];
            let rights = [Side::Plain(&right), Side::Transposed(&right)];
            for (left, right) in lefts
                .iter()
                .flat_map(|l| rights.iter().map(move |r| (*l, *r)))
            {
                let (mut y, mut expected) = (vec![9.0; m * n], vec![8.0; m * n]);
                product(shape, left, right, &mut y);
                in_f32(shape, left, right, &mut expected);
                for (y, expected) in y.iter().zip(&expected) {
                    assert!((y - expected).abs() < 1e-4, "{shape:?}: {y} {expected}");
                }
            }
        }
    }
}
