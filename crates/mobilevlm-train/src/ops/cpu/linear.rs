//! The linear layer: products by burn's kernels or in tile registers, the bias added in place, the weight's gradient in the weight's own order.

use super::rounded::{rounded, tiles};
use super::{Input, add_up, apply, block_rows, elements, tensor};
use crate::ops::{PRODUCTS, Products};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Tensor};
use mobilevlm_tensor::Side;
use mobilevlm_tensor::ops::{ROUNDED_ROWS, rounded_product};
use rayon::prelude::*;

pub(in crate::ops) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    match bias {
        None => apply(Linear, [x.into(), weight.into()], |[x, weight], keep| {
            let (y, kept) = forward(x, weight, keep);
            (y, kept)
        }),
        Some(bias) => apply(
            Linear,
            [x.into(), weight.into(), Input::from(bias)],
            |[x, weight, bias], keep| {
                let (mut y, kept) = forward(x, weight, keep);
                let bias = elements(&bias);
                if !bias.is_empty() {
                    y.storage_mut::<f32>()
                        .par_chunks_mut(block_rows(bias.len()) * bias.len())
                        .for_each(|block| {
                            for row in block.chunks_exact_mut(bias.len()) {
                                for (y, b) in row.iter_mut().zip(bias.iter()) {
                                    *y += b;
                                }
                            }
                        });
                }
                (y, kept)
            },
        ),
    }
}

/// What backward needs: the inputs x `[rows, in]` and the weight.
type Kept = (FlexTensor, FlexTensor);

fn forward(x: FlexTensor, weight: FlexTensor, keep: bool) -> (FlexTensor, Option<Kept>) {
    let mut dims = x.layout().shape().to_vec();
    let inputs = dims
        .pop()
        .expect("a linear layer's input has a last dimension");
    let rows = dims.iter().product::<usize>();
    dims.push(weight.layout().shape()[0]);
    let x = Flex::float_reshape(x, Shape::from(vec![rows, inputs]));
    let outputs = weight.layout().shape()[0];
    let y = product([rows, outputs, inputs], (&x, false), (&weight, true));
    (
        Flex::float_reshape(y, Shape::from(dims)),
        keep.then_some((x, weight)),
    )
}

/// A factor of a product, and whether the product takes its transpose.
type Factor<'a> = (&'a FlexTensor, bool);

/// `left · right`, `[m, n]`, with sums of k products, as this thread multiplies.
fn product([m, n, k]: [usize; 3], left: Factor, right: Factor) -> FlexTensor {
    match PRODUCTS.get() {
        Products::F32 => Flex::float_matmul(taken(left), taken(right)),
        Products::Bf16 => in_tiles([m, n, k], left, right)
            .unwrap_or_else(|| Flex::float_matmul(rounded(taken(left)), rounded(taken(right)))),
    }
}

fn taken((x, is_transposed): Factor) -> FlexTensor {
    match is_transposed {
        true => Flex::float_swap_dims(x.clone(), 0, 1),
        false => x.clone(),
    }
}

/// The product of rounded factors in tile registers, where the machine has them.
fn in_tiles(shape: [usize; 3], left: Factor, right: Factor) -> Option<FlexTensor> {
    let kernels = tiles()?;
    let [m, n, _] = shape;
    let (left_numbers, right_numbers) = (elements(left.0), elements(right.0));
    let side = |numbers, is_transposed| match is_transposed {
        true => Side::Transposed(numbers),
        false => Side::Plain(numbers),
    };
    let (left, right) = (side(&left_numbers, left.1), side(&right_numbers, right.1));
    let mut y = vec![0.0; m * n];
    let rows = m.div_ceil(rayon::current_num_threads());
    let rows = rows.next_multiple_of(ROUNDED_ROWS);
    let parts = y.par_chunks_mut((rows * n).max(1)).enumerate();
    parts.for_each(|(part, y)| {
        let rows = part * rows..m.min((part + 1) * rows);
        rounded_product(kernels, shape, rows, left, right, y);
    });
    Some(tensor(y, &[m, n]))
}

/// Backward of both, with a bias (three parents) and without.
#[derive(Debug)]
struct Linear;

impl<const N: usize> Backward<Flex, N> for Linear {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let (x, weight) = ops.state;
        let mut dims = dy.layout().shape().to_vec();
        let outputs = dims
            .pop()
            .expect("a linear layer's output has a last dimension");
        let rows = dims.iter().product::<usize>();
        dims.push(x.layout().shape()[1]);
        let dy = Flex::float_reshape(dy, Shape::from(vec![rows, outputs]));
        if let Some(Some(node)) = ops.parents.get(2) {
            let dy = elements(&dy);
            let partials = dy
                .par_chunks(block_rows(outputs) * outputs)
                .map(|block| add_up_rows(block, outputs))
                .collect::<Vec<_>>();
            gradients.register::<Flex>(node.id, tensor(add_up(partials, outputs), &[outputs]));
        }
        if let Some(node) = &ops.parents[1] {
            gradients.register::<Flex>(
                node.id,
                product(
                    [outputs, x.layout().shape()[1], rows],
                    (&dy, true),
                    (&x, false),
                ),
            );
        }
        if let Some(node) = &ops.parents[0] {
            let dx = product(
                [rows, weight.layout().shape()[1], outputs],
                (&dy, false),
                (&weight, false),
            );
            gradients.register::<Flex>(node.id, Flex::float_reshape(dx, Shape::from(dims)));
        }
    }
}

fn add_up_rows(block: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0f32; width];
    for row in block.chunks_exact(width) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{device, numbers};
    use crate::replicas::pool;

    /// Whole numbers that bfloat16 has, whose sums of products are exact.
    fn whole(count: usize, factor: usize) -> Vec<f32> {
        let number = |at: usize| ((at * factor + at / 31) % 15) as f32 - 7.0;
        (0..count).map(number).collect()
    }

    #[test]
    fn what_bfloat16_has_is_multiplied_exactly() {
        for [rows, inputs, outputs] in [[1, 1, 1], [7, 5, 3], [100, 33, 50], [70, 96, 64]] {
            let data = [
                whole(rows * inputs, 7),
                whole(inputs * outputs, 11),
                whole(outputs, 5),
                whole(rows * outputs, 13),
            ];
            let results = |products, threads| {
                let tensor = |data: &[f32], dims: [usize; 2]| {
                    Tensor::<1>::from_floats(data, &device()).reshape(dims)
                };
                let pool = pool(threads, products).unwrap();
                pool.install(|| {
                    let x = tensor(&data[0], [rows, inputs]).require_grad();
                    let w = tensor(&data[1], [outputs, inputs]).require_grad();
                    let b = Tensor::<1>::from_floats(&*data[2], &device()).require_grad();
                    let y = linear(x.clone(), w.clone(), Some(b.clone()));
                    let weights = tensor(&data[3], [rows, outputs]);
                    let mut gradients = (y.clone() * weights).sum().backward();
                    [
                        y.reshape([-1]),
                        x.grad_remove(&mut gradients).unwrap().reshape([-1]),
                        w.grad_remove(&mut gradients).unwrap().reshape([-1]),
                        b.grad_remove(&mut gradients).unwrap(),
                    ]
                    .map(|tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap())
                })
            };
            let expected = results(Products::F32, 1);
            for threads in 1..4 {
                assert!(results(Products::Bf16, threads) == expected, "{rows} rows");
            }
        }
    }

    #[test]
    fn factors_are_rounded_with_tile_registers_and_without() {
        let [m, n, k] = [40, 20, 70];
        let (left, right) = (numbers(m * k, 1), numbers(k * n, 2));
        let round = |x: &f32| f64::from(f32::from_bits((x.to_bits() + 0x8000) & 0xffff_0000));
        let expected: Vec<f64> = (0..m * n)
            .map(|at| {
                let (left, right) = (left[at / n * k..].iter(), right[at % n..].iter().step_by(n));
                left.take(k)
                    .zip(right)
                    .map(|(a, b)| round(a) * round(b))
                    .sum()
            })
            .collect();
        let (left, right) = (tensor(left, &[m, k]), tensor(right, &[k, n]));
        let (left, right) = ((&left, false), (&right, false));
        let plain = Flex::float_matmul(rounded(taken(left)), rounded(taken(right)));
        let tiles = in_tiles([m, n, k], left, right);
        if tiles.is_none() {
            println!("tile registers: skipped, this machine lacks them");
        }
        for y in std::iter::once(plain).chain(tiles) {
            for (y, expected) in elements(&y).iter().zip(&expected) {
                assert!(
                    (f64::from(*y) - expected).abs() < 1e-4,
                    "{y} for {expected}"
                );
            }
        }
    }
}
