//! Backward of one sequence.

use super::Sizes;
use super::scratch::{Scratch, pack, pack_turned};
use crate::ops::cpu::product::{LANES, Left, Product, ROWS};
use crate::ops::cpu::{in_vectors, rounded};
use crate::ops::{PRODUCTS, Products};
use mobilevlm_tensor::Side;
use pulp::{Simd, WithSimd};

/// Backward of one sequence; the shapes of [`Forward`].
pub(super) struct BackwardOne<'a> {
    pub(super) sizes: Sizes,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) dq: &'a mut [f32],
    /// Zeros, to which the heads of a group add.
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
    pub(super) scratch: &'a mut Scratch,
}

impl BackwardOne<'_> {
    /// As this thread multiplies.
    pub(super) fn run(self) {
        match PRODUCTS.get() {
            Products::F32 => pulp::Arch::new().dispatch(self),
            Products::Bf16 => self.run_rounded(),
        }
    }

    /// With the factors of products in bfloat16; keys that the causal mask hides have weights of 0.
    fn run_rounded(self) {
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
        let wide = sizes.key_step();
        let (q_step, k_step) = (heads * head, groups * head);
        for h in 0..heads {
            let g = h / (heads / groups);
            if h % (heads / groups) == 0 {
                let (of_k, of_v) = (&mut scratch.keys, &mut scratch.values);
                pack(&k[g * head..], k_step, head, &mut of_k[..keys * head], head);
                pack(&v[g * head..], k_step, head, &mut of_v[..keys * head], head);
            }
            pack(&q[h * head..], q_step, head, &mut scratch.queries, head);
            pack(&dy[h * head..], q_step, head, &mut scratch.d_output, head);
            let weights = &weights[h * queries * wide..][..queries * wide];
            // First the gradients of the weights.
            let d_scores = &mut scratch.d_scores;
            rounded::product(
                [queries, wide, head],
                Side::Plain(&scratch.d_output),
                Side::Transposed(&scratch.values),
                d_scores,
            );
            in_vectors(
                #[inline(always)]
                || {
                    let rows = d_scores.chunks_exact_mut(wide);
                    for (d_scores, weights) in rows.zip(weights.chunks_exact(wide)) {
                        to_scores(d_scores, weights, sizes.scale());
                    }
                },
            );
            rounded::product(
                [queries, head, wide],
                Side::Plain(d_scores),
                Side::Plain(&scratch.keys),
                &mut scratch.rows,
            );
            for (query, row) in scratch.rows.chunks_exact(head).take(queries).enumerate() {
                dq[query * q_step + h * head..][..head].copy_from_slice(row);
            }
            for (left, right, output) in [
                (weights, &scratch.d_output, &mut *dv),
                (d_scores.as_slice(), &scratch.queries, &mut *dk),
            ] {
                rounded::product(
                    [wide, head, queries],
                    Side::Transposed(left),
                    Side::Plain(right),
                    &mut scratch.rows,
                );
                for (key, row) in scratch.rows.chunks_exact(head).take(keys).enumerate() {
                    let output = &mut output[key * k_step + g * head..][..head];
                    for (y, x) in output.iter_mut().zip(row) {
                        *y += x;
                    }
                }
            }
        }
    }
}

/// A row of gradients of weights becomes that of the scores: weight · (d weight − Σ weight · d weight), times the scale of the scores.
#[inline(always)]
fn to_scores(gradients: &mut [f32], weights: &[f32], scale: f32) {
    let mut lanes = [0.0f32; LANES];
    for (w, d) in weights
        .chunks_exact(LANES)
        .zip(gradients.chunks_exact(LANES))
    {
        for (sum, (w, d)) in lanes.iter_mut().zip(w.iter().zip(d)) {
            *sum += w * d;
        }
    }
    let level = lanes.iter().sum::<f32>();
    for (d, w) in gradients.iter_mut().zip(weights) {
        *d = w * (*d - level) * scale;
    }
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
                for (r, d_weights) in scratch.scores.chunks_exact(wide).take(rows).enumerate() {
                    let weights = &weights[(start + r) * wide..][..width];
                    let d_scores = &mut scratch.d_scores[(start + r) * wide..][..wide];
                    let (d_scores, behind) = d_scores.split_at_mut(width);
                    d_scores.copy_from_slice(&d_weights[..width]);
                    to_scores(d_scores, weights, sizes.scale());
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
