//! Rotary positions, in place where nobody else holds the tensor.

use super::{Input, apply, constant, elements, in_vectors, tokens_first};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;
use rayon::prelude::*;

pub(in crate::ops) fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let (cos, sin) = (constant(cos), constant(sin));
    apply(Rotate, [Input::from(x)], |[x], keep| {
        let y = turn(x, &cos, &sin, 1.0);
        (y, keep.then_some((cos, sin)))
    })
}

/// Turns back.
#[derive(Debug)]
struct Rotate;

impl Backward<Flex, 1> for Rotate {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let (cos, sin) = ops.state;
        if let [Some(node)] = &ops.parents {
            gradients.register::<Flex>(node.id, turn(dy, &cos, &sin, -1.0));
        }
    }
}

/// Turns x `[batch, heads, len, head]` by the angles times `direction`. The result lies in memory as `[batch, len, heads, head]`.
fn turn(x: FlexTensor, cos: &FlexTensor, sin: &FlexTensor, direction: f32) -> FlexTensor {
    let mut x = tokens_first(x);
    let (len, heads, head) = (
        x.layout().shape()[1],
        x.layout().shape()[2],
        x.layout().shape()[3],
    );
    let (cos, sin) = (elements(cos), elements(sin));
    let (width, half) = (heads * head, head / 2);
    if width > 0 {
        x.storage_mut::<f32>()
            .par_chunks_mut(width * len)
            .for_each(|sequence| {
                in_vectors(
                    #[inline(always)]
                    || {
                        for ((token, cos), sin) in sequence
                            .chunks_exact_mut(width)
                            .zip(cos.chunks_exact(half))
                            .zip(sin.chunks_exact(half))
                        {
                            for x in token.chunks_exact_mut(head) {
                                let (a, b) = x.split_at_mut(half);
                                for ((a, b), (cos, sin)) in
                                    a.iter_mut().zip(b).zip(cos.iter().zip(sin))
                                {
                                    let sin = sin * direction;
                                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                                }
                            }
                        }
                    },
                );
            });
    }
    Flex::float_swap_dims(x, 1, 2)
}
