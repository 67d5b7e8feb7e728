//! The linear layer: products by burn's kernels, the bias added in place, the weight's gradient in the weight's own order.

use super::{Input, add_up, apply, block_rows, elements, tensor};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Tensor};
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
    let y = Flex::float_matmul(x.clone(), Flex::float_swap_dims(weight.clone(), 0, 1));
    (
        Flex::float_reshape(y, Shape::from(dims)),
        keep.then_some((x, weight)),
    )
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
                Flex::float_matmul(Flex::float_swap_dims(dy.clone(), 0, 1), x),
            );
        }
        if let Some(node) = &ops.parents[0] {
            let dx = Flex::float_matmul(dy, weight);
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
