//! Attention of texts that stand one after the other: each is a sequence of its own, with the keys and values of what it begins with before its own.

use super::backward::BackwardOne;
use super::forward::Forward;
use super::scratch::Scratch;
use super::{Sizes, register};
use crate::ops::cpu::{Input, apply, elements, tensor, tokens_first};
use crate::ops::texts::Text;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Bool, Tensor};
use rayon::prelude::*;
use std::borrow::Cow;

pub(in crate::ops) fn texts_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    texts: &[Text],
    keys: Option<&Tensor<2, Bool>>,
) -> Tensor<4> {
    let [_, heads, places, head] = q.dims();
    let groups = k.dims()[1];
    let seen: Option<Vec<bool>> = keys.map(|keys| keys.to_data().iter::<bool>().collect());
    let all = All {
        heads,
        groups,
        head,
        texts: texts.to_vec(),
    };
    apply(
        Attention,
        [q.into(), k.into(), Input::from(v)],
        |[q, k, v], keep| {
            let (q, k, v) = (tokens_first(q), tokens_first(k), tokens_first(v));
            let mut y = vec![0.0; places * heads * head];
            let weights: Vec<Vec<f32>> = {
                let (q, k, v) = (elements(&q), elements(&k), elements(&v));
                let longest = all.texts.iter().map(Text::len).max().unwrap_or(0);
                let outputs = all.own_parts(&mut y, heads).into_par_iter().enumerate();
                let text = |(index, y): (usize, &mut [f32])| {
                    let text: &Text = &all.texts[index];
                    let sizes = all.sizes(text);
                    let mut weights = vec![0.0; if keep { sizes.weights() } else { 0 }];
                    Forward {
                        sizes,
                        q: &q[text.own.start * heads * head..],
                        k: &all.keys(&k, text),
                        v: &all.keys(&v, text),
                        seen: seen
                            .as_ref()
                            .map(|seen| &seen[index * longest..][..text.len()]),
                        y,
                        weights: &mut weights,
                        scratch: &mut Scratch::new(&sizes),
                    }
                    .run();
                    weights
                };
                outputs.map(text).collect()
            };
            let y = Flex::float_swap_dims(tensor(y, &[1, places, heads, head]), 1, 2);
            let kept = Kept {
                all,
                q,
                k,
                v,
                weights,
            };
            (y, keep.then_some(kept))
        },
    )
}

/// The texts, and what their attention has in common.
#[derive(Clone, Debug)]
struct All {
    heads: usize,
    groups: usize,
    head: usize,
    texts: Vec<Text>,
}

impl All {
    fn sizes(&self, text: &Text) -> Sizes {
        Sizes {
            heads: self.heads,
            groups: self.groups,
            queries: text.own.len(),
            keys: text.len(),
            head: self.head,
            causal: true,
        }
    }

    /// What each text has of `[places, heads, head]` itself.
    fn own_parts<'a>(&self, mut x: &'a mut [f32], heads: usize) -> Vec<&'a mut [f32]> {
        let part = |text: &Text| {
            let (part, rest) =
                std::mem::take(&mut x).split_at_mut(text.own.len() * heads * self.head);
            x = rest;
            part
        };
        self.texts.iter().map(part).collect()
    }

    /// What a text looks at of `[places, groups, head]`, in its order.
    fn keys<'a>(&self, x: &'a [f32], text: &Text) -> Cow<'a, [f32]> {
        let width = self.groups * self.head;
        let of = |places: &std::ops::Range<usize>| &x[places.start * width..places.end * width];
        match text.before.is_empty() {
            true => Cow::Borrowed(of(&text.own)),
            false => Cow::Owned(text.parts().map(of).collect::<Vec<_>>().concat()),
        }
    }

    /// Adds what a text has of a gradient, as [`keys`](All::keys), to all of it.
    fn add(&self, sum: &mut [f32], mut part: &[f32], text: &Text) {
        let width = self.groups * self.head;
        for places in text.parts() {
            let sum = &mut sum[places.start * width..places.end * width];
            let (of_places, behind) = part.split_at(sum.len());
            part = behind;
            for (sum, part) in sum.iter_mut().zip(of_places) {
                *sum += part;
            }
        }
    }
}

/// What backward needs; q, k and v as `[1, places, heads, head]`.
#[derive(Clone, Debug)]
struct Kept {
    all: All,
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    /// Of each text `[heads, queries, key_step]`, zero where nothing is seen.
    weights: Vec<Vec<f32>>,
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = tokens_first(gradients.consume::<Flex>(&ops.node));
        let Kept {
            all,
            q,
            k,
            v,
            weights,
        } = ops.state;
        let (places, width) = (q.layout().shape()[1], all.heads * all.head);
        let mut dq = vec![0.0; places * width];
        let parts: Vec<[Vec<f32>; 2]> = {
            let (q, k, v, dy) = (elements(&q), elements(&k), elements(&v), elements(&dy));
            let outputs = all
                .own_parts(&mut dq, all.heads)
                .into_par_iter()
                .enumerate();
            let text = |(index, dq): (usize, &mut [f32])| {
                let text: &Text = &all.texts[index];
                let sizes = all.sizes(text);
                let [mut dk, mut dv] =
                    [(); 2].map(|()| vec![0.0; text.len() * all.groups * all.head]);
                BackwardOne {
                    sizes,
                    q: &q[text.own.start * width..],
                    k: &all.keys(&k, text),
                    v: &all.keys(&v, text),
                    dy: &dy[text.own.start * width..],
                    weights: &weights[index],
                    dq,
                    dk: &mut dk,
                    dv: &mut dv,
                    scratch: &mut Scratch::for_backward(&sizes),
                }
                .run();
                [dk, dv]
            };
            outputs.map(text).collect()
        };
        let of_keys = places * all.groups * all.head;
        let [mut dk, mut dv] = [(); 2].map(|()| vec![0.0; of_keys]);
        for (text, [of_k, of_v]) in all.texts.iter().zip(&parts) {
            all.add(&mut dk, of_k, text);
            all.add(&mut dv, of_v, text);
        }
        let of = |numbers, heads| tensor(numbers, &[1, places, heads, all.head]);
        let found = [of(dq, all.heads), of(dk, all.groups), of(dv, all.groups)];
        register(
            gradients,
            &ops.parents.map(|node| node.map(|node| node.id)),
            found,
        );
    }
}
