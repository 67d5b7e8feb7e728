//! Backward of one sequence.

use super::Sizes;
use super::scratch::{Scratch, pack, pack_turned};
use crate::ops::cpu::product::{LANES, Left, Product, ROWS};
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
