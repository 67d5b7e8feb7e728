//! Cross entropy of logits against target classes.

use super::{Input, apply, block_rows, elements, exp, in_vectors, tensor};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::{Int, Tensor};
use rayon::prelude::*;

pub(in crate::ops) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [rows, width] = logits.dims();
    let targets = targets
        .into_data()
        .iter::<i64>()
        .map(|t| t as usize)
        .collect::<Vec<_>>();
    assert!(
        targets.len() == rows && targets.iter().all(|&t| t < width),
        "one target below {width} for each of {rows} rows"
    );
    apply(CrossEntropy, [Input::from(logits)], |[logits], keep| {
        let x = elements(&logits);
        let totals = x
            .par_chunks(width.max(1))
            .map(log_sum_exp)
            .collect::<Vec<_>>();
        let loss = (0..rows)
            .map(|row| f64::from(totals[row] - x[row * width + targets[row]]))
            .sum::<f64>();
        drop(x);
        (
            tensor(vec![loss as f32], &[1]),
            keep.then_some(Kept {
                logits,
                targets,
                totals,
            }),
        )
    })
}

/// What backward needs.
#[derive(Clone, Debug)]
struct Kept {
    logits: FlexTensor,
    targets: Vec<usize>,
    /// The logarithm of each row's sum of exponentials.
    totals: Vec<f32>,
}

fn log_sum_exp(row: &[f32]) -> f32 {
    in_vectors(
        #[inline(always)]
        || {
            // A NaN must come out as one, hence not f32::max.
            let max = row.iter().fold(
                f32::NEG_INFINITY,
                #[inline(always)]
                |max, &x| if x > max { x } else { max },
            );
            let mut lanes = [0.0f32; 16];
            let chunks = row.chunks_exact(16);
            for (sum, &x) in lanes.iter_mut().zip(chunks.remainder()) {
                *sum = exp(x - max);
            }
            for chunk in chunks {
                for (sum, x) in lanes.iter_mut().zip(chunk) {
                    *sum += exp(x - max);
                }
            }
            lanes.iter().sum::<f32>().ln() + max
        },
    )
}

/// `(softmax(logits) − one at the target) · dy`.
#[derive(Debug)]
struct CrossEntropy;

impl Backward<Flex, 1> for CrossEntropy {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let dy = elements(&dy)[0];
        let Kept {
            logits,
            targets,
            totals,
        } = ops.state;
        let dims = logits.layout().shape().to_vec();
        let (width, x) = (dims[1], elements(&logits));
        let mut dx = vec![0.0; x.len()];
        let rows = block_rows(width);
        if width > 0 {
            let blocks = dx
                .par_chunks_mut(rows * width)
                .zip(x.par_chunks(rows * width));
            blocks
                .zip(totals.par_chunks(rows).zip(targets.par_chunks(rows)))
                .for_each(|((dx, x), (totals, targets))| {
                    in_vectors(
                        #[inline(always)]
                        || {
                            for ((dx, x), total) in dx
                                .chunks_exact_mut(width)
                                .zip(x.chunks_exact(width))
                                .zip(totals)
                            {
                                for (dx, x) in dx.iter_mut().zip(x) {
                                    *dx = exp(x - total) * dy;
                                }
                            }
                        },
                    );
                    for (dx, &target) in dx.chunks_exact_mut(width).zip(targets) {
                        dx[target] -= dy;
                    }
                });
        }
        if let [Some(node)] = &ops.parents {
            gradients.register::<Flex>(node.id, tensor(dx, &dims));
        }
    }
}
