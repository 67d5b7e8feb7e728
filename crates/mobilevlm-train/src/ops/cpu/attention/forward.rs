//! Forward of one sequence.

use super::Sizes;
use super::scratch::{Scratch, pack, pack_turned};
use crate::ops::cpu::product::{LANES, Left, Product, ROWS};
use crate::ops::cpu::rounded;
use crate::ops::cpu::{exp, in_vectors};
use crate::ops::{PRODUCTS, Products};
use mobilevlm_tensor::Side;
use pulp::{Simd, WithSimd};

/// Forward of one sequence: q `[queries, heads, head]`, k and v `[keys, groups, head]` (and what lies behind them), y as q.
pub(super) struct Forward<'a> {
    pub(super) sizes: Sizes,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) seen: Option<&'a [bool]>,
    pub(super) y: &'a mut [f32],
    /// Empty, or `[heads, queries, key_step]` of zeros.
    pub(super) weights: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl Forward<'_> {
    /// As this thread multiplies.
    pub(super) fn run(self) {
        match PRODUCTS.get() {
            Products::F32 => pulp::Arch::new().dispatch(self),
            Products::Bf16 => self.run_rounded(),
        }
    }

    /// With the factors of products in bfloat16; keys that the causal mask hides are computed and cleared.
    fn run_rounded(self) {
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
        let wide = sizes.key_step();
        let (q_step, k_step) = (heads * head, groups * head);
        for h in 0..heads {
            let g = h / (heads / groups);
            if h % (heads / groups) == 0 && keys > 0 {
                let (of_k, of_v) = (&mut scratch.keys, &mut scratch.values);
                pack(&k[g * head..], k_step, head, &mut of_k[..keys * head], head);
                pack(&v[g * head..], k_step, head, &mut of_v[..keys * head], head);
            }
            pack(&q[h * head..], q_step, head, &mut scratch.queries, head);
            let scores = match weights.is_empty() {
                true => &mut *scratch.d_scores,
                false => &mut weights[h * queries * wide..][..queries * wide],
            };
            rounded::product(
                [queries, wide, head],
                Side::Plain(&scratch.queries),
                Side::Transposed(&scratch.keys),
                scores,
            );
            in_vectors(
                #[inline(always)]
                || {
                    for (query, scores) in scores.chunks_exact_mut(wide).enumerate() {
                        let limit = sizes.limit(query);
                        for score in &mut scores[..limit] {
                            *score *= sizes.scale();
                        }
                        softmax(scores, limit, seen);
                    }
                },
            );
            rounded::product(
                [queries, head, wide],
                Side::Plain(scores),
                Side::Plain(&scratch.values),
                &mut scratch.rows,
            );
            for (query, row) in scratch.rows.chunks_exact(head).take(queries).enumerate() {
                y[query * q_step + h * head..][..head].copy_from_slice(row);
            }
        }
    }
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
