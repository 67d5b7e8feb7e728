//! Scaled dot-product attention, one sequence at a time. Forward keeps the weights, which costs memory but less time than computing them again; in float32, keys that the causal mask hides are not computed at all.

mod backward;
mod forward;
mod scratch;
mod texts;

use super::product::{LANES, ROWS};
use super::{Input, apply, elements, tensor, tokens_first};
use crate::ops::Mask;
use backward::BackwardOne;
use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;
use forward::Forward;
use rayon::prelude::*;
use scratch::Scratch;
pub(in crate::ops) use texts::texts_attention;

pub(in crate::ops) fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &Mask,
) -> Tensor<4> {
    let [batch, heads, queries, head] = q.dims();
    let [_, groups, keys, _] = k.dims();
    let sizes = Sizes {
        heads,
        groups,
        queries,
        keys,
        head,
        causal: mask.causal,
    };
    let seen = mask
        .keys
        .clone()
        .map(|seen| seen.into_data().iter::<bool>().collect::<Vec<_>>());
    apply(
        Attention,
        [q.into(), k.into(), Input::from(v)],
        |[q, k, v], keep| {
            let (q, k, v) = (tokens_first(q), tokens_first(k), tokens_first(v));
            let mut y = vec![0.0; batch * queries * heads * head];
            let mut weights = vec![0.0; if keep { batch * sizes.weights() } else { 0 }];
            if !y.is_empty() {
                let (q, k, v) = (elements(&q), elements(&k), elements(&v));
                // Without keeping, every sequence gets an empty slice of weights.
                let mut kept = weights
                    .chunks_mut(sizes.weights().max(1))
                    .collect::<Vec<_>>();
                kept.resize_with(batch, Default::default);
                let sequences = y
                    .par_chunks_mut(queries * heads * head)
                    .zip(kept)
                    .enumerate();
                sequences.for_each_init(
                    || Scratch::new(&sizes),
                    |scratch, (b, (y, weights))| {
                        Forward {
                            sizes,
                            q: &q[b * queries * heads * head..],
                            k: &k[b * keys * groups * head..],
                            v: &v[b * keys * groups * head..],
                            seen: seen.as_ref().map(|seen| &seen[b * keys..][..keys]),
                            y,
                            weights,
                            scratch,
                        }
                        .run();
                    },
                );
            }
            let y = Flex::float_swap_dims(tensor(y, &[batch, queries, heads, head]), 1, 2);
            (
                y,
                keep.then_some(Kept {
                    sizes,
                    q,
                    k,
                    v,
                    weights,
                }),
            )
        },
    )
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    heads: usize,
    groups: usize,
    queries: usize,
    keys: usize,
    head: usize,
    causal: bool,
}

impl Sizes {
    /// The width of a row of weights: room for the last block of rows when it is read transposed.
    fn key_step(&self) -> usize {
        (self.keys + ROWS - 1).next_multiple_of(LANES)
    }

    fn head_step(&self) -> usize {
        self.head.next_multiple_of(LANES)
    }

    /// Elements of the weights of a sequence, `[heads, queries, key_step]`.
    fn weights(&self) -> usize {
        self.heads * self.queries * self.key_step()
    }

    /// How many keys a query may look at.
    fn limit(&self, query: usize) -> usize {
        if self.causal {
            (query + 1 + self.keys)
                .saturating_sub(self.queries)
                .min(self.keys)
        } else {
            self.keys
        }
    }

    /// The first query that may look at a key.
    fn first_query(&self, key: usize) -> usize {
        if self.causal {
            (key + self.queries).saturating_sub(self.keys)
        } else {
            0
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head as f32).sqrt()
    }
}

/// What backward needs; q, k and v as `[batch, len, heads, head]`.
#[derive(Clone, Debug)]
struct Kept {
    sizes: Sizes,
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    /// `[batch, heads, queries, key_step]`, zero where nothing is seen.
    weights: Vec<f32>,
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = tokens_first(gradients.consume::<Flex>(&ops.node));
        let Kept {
            sizes,
            q,
            k,
            v,
            weights,
        } = ops.state;
        let Sizes {
            heads,
            groups,
            queries,
            keys,
            head,
            ..
        } = sizes;
        let batch = q.layout().shape()[0];
        let (of_queries, of_keys) = (queries * heads * head, keys * groups * head);
        let [mut dq, mut dk, mut dv] =
            [of_queries, of_keys, of_keys].map(|size| vec![0.0; batch * size]);
        if of_queries > 0 && of_keys > 0 {
            let (q, k, v, dy) = (elements(&q), elements(&k), elements(&v), elements(&dy));
            let outputs = dq
                .par_chunks_mut(of_queries)
                .zip(dk.par_chunks_mut(of_keys).zip(dv.par_chunks_mut(of_keys)));
            outputs.enumerate().for_each_init(
                || Scratch::for_backward(&sizes),
                |scratch, (b, (dq, (dk, dv)))| {
                    BackwardOne {
                        sizes,
                        q: &q[b * of_queries..],
                        k: &k[b * of_keys..],
                        v: &v[b * of_keys..],
                        dy: &dy[b * of_queries..],
                        weights: &weights[b * sizes.weights()..],
                        dq,
                        dk,
                        dv,
                        scratch,
                    }
                    .run();
                },
            );
        }
        let of = |numbers, len, heads| tensor(numbers, &[batch, len, heads, head]);
        let found = [
            of(dq, queries, heads),
            of(dk, keys, groups),
            of(dv, keys, groups),
        ];
        register(
            gradients,
            &ops.parents.map(|node| node.map(|node| node.id)),
            found,
        );
    }
}

/// Gives q, k and v, as far as they learn, what was found of them as `[batch, len, heads, head]`.
fn register(gradients: &mut Gradients, nodes: &[Option<NodeId>; 3], found: [FlexTensor; 3]) {
    for (node, gradient) in nodes.iter().zip(found) {
        if let Some(node) = node {
            gradients.register::<Flex>(*node, Flex::float_swap_dims(gradient, 1, 2));
        }
    }
}
