//! Scaled dot-product attention, one sequence at a time. Forward keeps the weights, which costs memory but less time than computing them again; keys that the causal mask hides are not computed at all.

use super::product::{LANES, Left, Product, ROWS};
use super::{Input, apply, elements, exp, tensor, tokens_first};
use crate::ops::Mask;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

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
                        pulp::Arch::new().dispatch(Forward {
                            sizes,
                            q: &q[b * queries * heads * head..],
                            k: &k[b * keys * groups * head..],
                            v: &v[b * keys * groups * head..],
                            seen: seen.as_ref().map(|seen| &seen[b * keys..][..keys]),
                            y,
                            weights,
                            scratch,
                        });
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

/// Buffers for one head.
struct Scratch {
    /// Transposed: `[head, key_step]`.
    turned: Vec<f32>,
    /// `[keys, head_step]`, and for backward queries likewise.
    keys: Vec<f32>,
    queries: Vec<f32>,
    d_output: Vec<f32>,
    /// `[queries, key_step]`.
    d_scores: Vec<f32>,
    /// `[ROWS, key_step]` and `[ROWS, head_step]`.
    scores: Vec<f32>,
    rows: Vec<f32>,
}

impl Scratch {
    fn new(sizes: &Sizes) -> Self {
        let (wide, narrow) = (sizes.key_step(), sizes.head_step());
        Self {
            turned: vec![0.0; sizes.head * wide],
            keys: vec![0.0; sizes.keys * narrow],
            queries: Vec::new(),
            d_output: Vec::new(),
            d_scores: Vec::new(),
            scores: vec![0.0; ROWS * wide],
            rows: vec![0.0; ROWS * narrow],
        }
    }

    fn for_backward(sizes: &Sizes) -> Self {
        Self {
            queries: vec![0.0; sizes.queries * sizes.head_step()],
            d_output: vec![0.0; sizes.queries * sizes.head_step()],
            d_scores: vec![0.0; sizes.queries * sizes.key_step()],
            ..Self::new(sizes)
        }
    }
}

/// Copies one head of `[len, heads, head]` to rows that are `to_step` apart.
#[inline(always)]
fn pack(from: &[f32], from_step: usize, head: usize, to: &mut [f32], to_step: usize) {
    for (to, from) in to.chunks_exact_mut(to_step).zip(from.chunks(from_step)) {
        to[..head].copy_from_slice(&from[..head]);
    }
}

/// Copies one head transposed and scaled: row d of `to` holds element d of all tokens.
#[inline(always)]
fn pack_turned(
    from: &[f32],
    from_step: usize,
    len: usize,
    scale: f32,
    to: &mut [f32],
    to_step: usize,
) {
    for start in (0..len).step_by(LANES) {
        let count = LANES.min(len - start);
        for (d, to) in to.chunks_exact_mut(to_step).enumerate() {
            for (j, to) in to[start..start + count].iter_mut().enumerate() {
                *to = from[(start + j) * from_step + d] * scale;
            }
        }
    }
}

/// The larger of two, a where b is not a number.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// e to the distance from the largest score, in place.
#[inline(always)]
fn to_weight(x: &mut f32, max: f32) -> f32 {
    let distance = *x - max;
    *x = if distance < -87.0 { 0.0 } else { exp(distance) };
    *x
}

/// Turns scores into weights, in place: a softmax over `scores[..limit]`, zeros behind and where a key is hidden.
#[inline(always)]
fn softmax(scores: &mut [f32], limit: usize, seen: Option<&[bool]>) {
    let (scores, behind) = scores.split_at_mut(limit);
    behind.fill(0.0);
    if let Some(seen) = seen {
        for (score, seen) in scores.iter_mut().zip(seen) {
            *score = if *seen { *score } else { f32::NEG_INFINITY };
        }
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = scores.chunks_exact(LANES);
    for (max, x) in lanes.iter_mut().zip(chunks.remainder()) {
        *max = larger(*max, *x);
    }
    for chunk in chunks {
        for (max, x) in lanes.iter_mut().zip(chunk) {
            *max = larger(*max, *x);
        }
    }
    let max = lanes.into_iter().fold(f32::NEG_INFINITY, larger);
    if max == f32::NEG_INFINITY && !scores.iter().any(|x| x.is_nan()) {
        scores.fill(0.0);
        return;
    }
    let mut lanes = [0.0f32; LANES];
    let mut chunks = scores.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (sum, x) in lanes.iter_mut().zip(chunk) {
            *sum += to_weight(x, max);
        }
    }
    for (sum, x) in lanes.iter_mut().zip(chunks.into_remainder()) {
        *sum += to_weight(x, max);
    }
    let scale = 1.0 / lanes.iter().sum::<f32>();
    for x in scores {
        *x *= scale;
    }
}

/// Forward of one sequence: q `[queries, heads, head]`, k and v `[keys, groups, head]` (and what lies behind them), y as q.
struct Forward<'a> {
    sizes: Sizes,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    seen: Option<&'a [bool]>,
    y: &'a mut [f32],
    /// Empty, or `[heads, queries, key_step]` of zeros.
    weights: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            sizes,
            q,
            k,
            v,
            seen,
            y,
            weights,
            scratch,
        } = self;
        let Sizes {
            heads,
            groups,
            queries,
            keys,
            head,
            ..
        } = sizes;
        let (wide, narrow) = (sizes.key_step(), sizes.head_step());
        let (q_step, k_step) = (heads * head, groups * head);
        for h in 0..heads {
            let g = h / (heads / groups);
            if h % (heads / groups) == 0 && keys > 0 {
                pack_turned(
                    &k[g * head..],
                    k_step,
                    keys,
                    sizes.scale(),
                    &mut scratch.turned,
                    wide,
                );
                pack(&v[g * head..], k_step, head, &mut scratch.keys, narrow);
            }
            for start in (0..queries).step_by(ROWS) {
                let rows = ROWS.min(queries - start);
                let limit = sizes.limit(start + rows - 1);
                let a = Left::Rows {
                    elements: &q[start * q_step + h * head..],
                    step: q_step,
                    rows,
                };
                simd.vectorize(Product {
                    inner: head,
                    a,
                    b: &scratch.turned,
                    b_step: wide,
                    c: &mut scratch.scores,
                    c_step: wide,
                    width: limit.next_multiple_of(LANES),
                });
                for (r, scores) in scratch.scores.chunks_exact_mut(wide).take(rows).enumerate() {
                    softmax(scores, sizes.limit(start + r), seen);
                    if !weights.is_empty() {
                        let kept = &mut weights[(h * queries + start + r) * wide..];
                        kept[..limit].copy_from_slice(&scores[..limit]);
                    }
                }
                simd.vectorize(Product {
                    inner: limit,
                    a: Left::Rows {
                        elements: &scratch.scores,
                        step: wide,
                        rows,
                    },
                    b: &scratch.keys,
                    b_step: narrow,
                    c: &mut scratch.rows,
                    c_step: narrow,
                    width: narrow,
                });
                for (r, row) in scratch.rows.chunks_exact(narrow).take(rows).enumerate() {
                    y[(start + r) * q_step + h * head..][..head].copy_from_slice(&row[..head]);
                }
            }
        }
    }
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
                    pulp::Arch::new().dispatch(BackwardOne {
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
                    });
                },
            );
        }
        let [q_node, k_node, v_node] = &ops.parents;
        for (node, elements, len, heads) in [
            (q_node, dq, queries, heads),
            (k_node, dk, keys, groups),
            (v_node, dv, keys, groups),
        ] {
            if let Some(node) = node {
                let gradient = tensor(elements, &[batch, len, heads, head]);
                gradients.register::<Flex>(node.id, Flex::float_swap_dims(gradient, 1, 2));
            }
        }
    }
}

/// Backward of one sequence; the shapes of [`Forward`].
struct BackwardOne<'a> {
    sizes: Sizes,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    dy: &'a [f32],
    weights: &'a [f32],
    dq: &'a mut [f32],
    /// Zeros, to which the heads of a group add.
    dk: &'a mut [f32],
    dv: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl WithSimd for BackwardOne<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            sizes,
            q,
            k,
            v,
            dy,
            weights,
            dq,
            dk,
            dv,
            scratch,
        } = self;
        let Sizes {
            heads,
            groups,
            queries,
            keys,
            head,
            ..
        } = sizes;
        let (wide, narrow) = (sizes.key_step(), sizes.head_step());
        let (q_step, k_step) = (heads * head, groups * head);
        for h in 0..heads {
            let g = h / (heads / groups);
            if h % (heads / groups) == 0 {
                pack_turned(&v[g * head..], k_step, keys, 1.0, &mut scratch.turned, wide);
                pack(&k[g * head..], k_step, head, &mut scratch.keys, narrow);
            }
            pack(&q[h * head..], q_step, head, &mut scratch.queries, narrow);
            pack(&dy[h * head..], q_step, head, &mut scratch.d_output, narrow);
            let weights = &weights[h * queries * wide..][..queries * wide];
            for start in (0..queries).step_by(ROWS) {
                let rows = ROWS.min(queries - start);
                let limit = sizes.limit(start + rows - 1);
                let width = limit.next_multiple_of(LANES);
                let a = Left::Rows {
                    elements: &scratch.d_output[start * narrow..],
                    step: narrow,
                    rows,
                };
                simd.vectorize(Product {
                    inner: head,
                    a,
                    b: &scratch.turned,
                    b_step: wide,
                    c: &mut scratch.scores,
                    c_step: wide,
                    width,
                });
                // d score = weight · (d weight − Σ weight · d weight), times the scale of the scores.
                for (r, d_weights) in scratch.scores.chunks_exact(wide).take(rows).enumerate() {
                    let weights = &weights[(start + r) * wide..][..width];
                    let d_scores = &mut scratch.d_scores[(start + r) * wide..][..wide];
                    let mut lanes = [0.0f32; LANES];
                    for (w, d) in weights
                        .chunks_exact(LANES)
                        .zip(d_weights.chunks_exact(LANES))
                    {
                        for (sum, (w, d)) in lanes.iter_mut().zip(w.iter().zip(d)) {
                            *sum += w * d;
                        }
                    }
                    let level = lanes.iter().sum::<f32>();
                    let (d_scores, behind) = d_scores.split_at_mut(width);
                    for (d_score, (w, d)) in d_scores.iter_mut().zip(weights.iter().zip(d_weights))
                    {
                        *d_score = w * (d - level) * sizes.scale();
                    }
                    behind.fill(0.0);
                }
                simd.vectorize(Product {
                    inner: limit,
                    a: Left::Rows {
                        elements: &scratch.d_scores[start * wide..],
                        step: wide,
                        rows,
                    },
                    b: &scratch.keys,
                    b_step: narrow,
                    c: &mut scratch.rows,
                    c_step: narrow,
                    width: narrow,
                });
                for (r, row) in scratch.rows.chunks_exact(narrow).take(rows).enumerate() {
                    dq[(start + r) * q_step + h * head..][..head].copy_from_slice(&row[..head]);
                }
            }
            for start in (0..keys).step_by(ROWS) {
                let rows = ROWS.min(keys - start);
                let first = sizes.first_query(start).min(queries);
                for (left, right, output) in [
                    (weights, &scratch.d_output, &mut *dv),
                    (scratch.d_scores.as_slice(), &scratch.queries, &mut *dk),
                ] {
                    simd.vectorize(Product {
                        inner: queries - first,
                        a: Left::Columns {
                            elements: &left[(first * wide + start).min(left.len())..],
                            step: wide,
                        },
                        b: &right[first * narrow..],
                        b_step: narrow,
                        c: &mut scratch.rows,
                        c_step: narrow,
                        width: narrow,
                    });
                    for (r, row) in scratch.rows.chunks_exact(narrow).take(rows).enumerate() {
                        let output = &mut output[(start + r) * k_step + g * head..][..head];
                        for (y, x) in output.iter_mut().zip(row) {
                            *y += x;
                        }
                    }
                }
            }
        }
    }
}
