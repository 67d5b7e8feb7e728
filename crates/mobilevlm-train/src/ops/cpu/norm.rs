//! Normalisation over the last dimension.

use super::{Input, add_up, apply, block_rows, elements, in_vectors, tensor};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

pub(in crate::ops) fn rms_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    apply(
        Norm { centred: false },
        [x.into(), Input::from(weight)],
        |[x, weight], keep| forward(x, weight, None, eps as f32, keep),
    )
}

pub(in crate::ops) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    apply(
        Norm { centred: true },
        [x.into(), weight.into(), Input::from(bias)],
        |[x, weight, bias], keep| forward(x, weight, Some(bias), eps as f32, keep),
    )
}

/// What backward needs.
#[derive(Clone, Debug)]
struct Kept {
    x: FlexTensor,
    weight: FlexTensor,
    /// Per row: the mean (0 where it is not taken away) and 1 / sqrt(variance + eps).
    moments: Vec<[f32; 2]>,
}

/// A sum whose order is that of sixteen lanes, so that it becomes vector code.
#[inline(always)]
fn sum(width: usize, term: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    for start in (0..width / LANES * LANES).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    let tail = (width / LANES * LANES..width).map(&term).sum::<f32>();
    lanes.iter().sum::<f32>() + tail
}

fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    eps: f32,
    keep: bool,
) -> (FlexTensor, Option<Kept>) {
    let dims = x.layout().shape().to_vec();
    let width = *dims.last().expect("a norm's input has a last dimension");
    let values = elements(&x);
    let w = elements(&weight);
    let bias = bias.as_ref().map(elements);
    let mut y = vec![0.0; values.len()];
    let mut moments = vec![[0.0; 2]; values.len() / width.max(1)];
    let rows = block_rows(width);
    if width > 0 {
        let blocks = y
            .par_chunks_mut(rows * width)
            .zip(values.par_chunks(rows * width))
            .zip(moments.par_chunks_mut(rows));
        blocks.for_each(|((y, x), moments)| {
            in_vectors(
                #[inline(always)]
                || {
                    let w = &w[..width];
                    for ((y, x), moments) in y
                        .chunks_exact_mut(width)
                        .zip(x.chunks_exact(width))
                        .zip(moments.iter_mut())
                    {
                        let n = width as f32;
                        match &bias {
                            None => {
                                let scale = 1.0
                                    / (sum(
                                        width,
                                        #[inline(always)]
                                        |i| x[i] * x[i],
                                    ) / n
                                        + eps)
                                        .sqrt();
                                *moments = [0.0, scale];
                                for i in 0..width {
                                    y[i] = x[i] * scale * w[i];
                                }
                            }
                            Some(bias) => {
                                let bias = &bias[..width];
                                let mean = sum(
                                    width,
                                    #[inline(always)]
                                    |i| x[i],
                                ) / n;
                                let square = sum(
                                    width,
                                    #[inline(always)]
                                    |i| (x[i] - mean) * (x[i] - mean),
                                );
                                let scale = 1.0 / (square / n + eps).sqrt();
                                *moments = [mean, scale];
                                for i in 0..width {
                                    y[i] = (x[i] - mean) * scale * w[i] + bias[i];
                                }
                            }
                        }
                    }
                },
            );
        });
    }
    drop((values, w));
    (
        tensor(y, &dims),
        keep.then_some(Kept { x, weight, moments }),
    )
}

/// Backward of both: with n = (x − mean) · scale and g = dy · weight, dx is scale · (g − mean(g) − n · mean(g · n)), without the middle term where the mean is not taken away.
#[derive(Debug)]
struct Norm {
    centred: bool,
}

impl<const N: usize> Backward<Flex, N> for Norm {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let Kept { x, weight, moments } = ops.state;
        let width = weight.layout().shape()[0];
        if width == 0 {
            return;
        }
        let (x, w) = (elements(&x), elements(&weight));
        let rows = block_rows(width);
        // dx takes dy's place.
        let blocks = dy.storage_mut::<f32>().par_chunks_mut(rows * width);
        let partials = blocks
            .zip(x.par_chunks(rows * width))
            .zip(moments.par_chunks(rows))
            .map(|((dy, x), moments)| {
                let mut d_weight = vec![0.0f32; width];
                let mut d_bias = vec![0.0f32; width];
                in_vectors(
                    #[inline(always)]
                    || {
                        let (w, d_weight, d_bias) =
                            (&w[..width], &mut d_weight[..width], &mut d_bias[..width]);
                        for ((dy, x), &[mean, scale]) in dy
                            .chunks_exact_mut(width)
                            .zip(x.chunks_exact(width))
                            .zip(moments)
                        {
                            let n = width as f32;
                            let along = sum(
                                width,
                                #[inline(always)]
                                |i| dy[i] * w[i] * (x[i] - mean),
                            ) * scale
                                / n;
                            let level = if self.centred {
                                sum(
                                    width,
                                    #[inline(always)]
                                    |i| dy[i] * w[i],
                                ) / n
                            } else {
                                0.0
                            };
                            for i in 0..width {
                                let normal = (x[i] - mean) * scale;
                                let g = dy[i];
                                d_weight[i] += g * normal;
                                d_bias[i] += g;
                                dy[i] = scale * (g * w[i] - level - normal * along);
                            }
                        }
                    },
                );
                (d_weight, d_bias)
            })
            .collect::<Vec<_>>();
        let (d_weight, d_bias): (Vec<_>, Vec<_>) = partials.into_iter().unzip();
        if let Some(node) = &ops.parents[0] {
            gradients.register::<Flex>(node.id, dy);
        }
        if let Some(node) = &ops.parents[1] {
            gradients.register::<Flex>(node.id, tensor(add_up(d_weight, width), &[width]));
        }
        if let Some(Some(node)) = ops.parents.get(2) {
            gradients.register::<Flex>(node.id, tensor(add_up(d_bias, width), &[width]));
        }
    }
}
