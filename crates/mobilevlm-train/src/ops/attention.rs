//! Scaled dot-product attention.

use super::cpu;
use burn::tensor::{Bool, DType, Tensor, activation};

/// Which keys a query may look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mask {
    /// A query sees no key behind its own position; the last query stands at the last key.
    pub(crate) causal: bool,
    /// `[batch, keys]`: true for a key that may be seen (padding is false); absent, all may.
    pub(crate) keys: Option<Tensor<2, Bool>>,
}

/// `softmax(q · kᵀ / sqrt(head)) · v` under a mask: q `[batch, heads, queries, head]`, k and v `[batch, groups, keys, head]` where `groups` divides `heads` and neighbouring query heads share a group; the result has q's shape. A query that sees no key gives zeros. All are of one type, in which the products are.
pub(crate) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Mask) -> Tensor<4> {
    if cpu::takes(&q) {
        cpu::attention(q, k, v, mask)
    } else {
        composed(q, k, v, mask)
    }
}

fn composed(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Mask) -> Tensor<4> {
    let [batch, heads, queries, head] = q.dims();
    let [_, groups, keys, _] = k.dims();
    let spread = |x: Tensor<4>| {
        if groups == heads {
            return x;
        }
        x.unsqueeze_dim::<5>(2)
            .expand([batch, groups, heads / groups, keys, head])
            .reshape([batch, heads, keys, head])
    };
    let dtype = q.dtype();
    let scores = q.matmul(spread(k).swap_dims(2, 3)).cast(DType::F32) / (head as f64).sqrt();
    let weights = match hidden(&scores, mask) {
        // Filled once more after the softmax: a row of equal scores would be uniform.
        Some(hidden) => activation::softmax(scores.mask_fill(hidden.clone(), f32::MIN), 3)
            .mask_fill(hidden, 0.0),
        None => activation::softmax(scores, 3),
    };
    debug_assert_eq!(weights.dims(), [batch, heads, queries, keys]);
    weights.cast(dtype).matmul(spread(v))
}

/// True where a key is hidden from a query, in the shape of the scores `[batch, heads, queries, keys]`.
fn hidden(scores: &Tensor<4>, mask: &Mask) -> Option<Tensor<4, Bool>> {
    let [batch, heads, queries, keys] = scores.dims();
    let shape = [batch, heads, queries, keys];
    let causal = mask.causal.then(|| {
        let behind = keys as i64 - queries as i64;
        Tensor::<2, Bool>::tril_mask([queries, keys], behind, &scores.device())
            .unsqueeze::<4>()
            .expand(shape)
    });
    let padding = mask
        .keys
        .clone()
        .map(|seen| seen.bool_not().reshape([batch, 1, 1, keys]).expand(shape));
    match (causal, padding) {
        (Some(causal), Some(padding)) => Some(causal.bool_or(padding)),
        (causal, padding) => causal.or(padding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, agree_rounded, device, gradients_agree, numbers};

    fn tensor(values: &[f32], dims: [usize; 4]) -> Tensor<4> {
        Tensor::<1>::from_floats(values, &device()).reshape(dims)
    }

    fn masks() -> Vec<Mask> {
        // The first key of the second sequence is hidden: under the causal mask its first query sees none.
        let keys =
            Tensor::<2, Bool>::from_data([[true, true, false], [false, true, true]], &device());
        let keys = [None, Some(keys)];
        [false, true]
            .into_iter()
            .flat_map(|causal| keys.clone().map(|keys| Mask { causal, keys }))
            .collect()
    }

    #[test]
    fn equals_the_definition() {
        let (batch, heads, groups, len, head) = (2, 4, 2, 3, 2);
        let q = numbers(batch * heads * len * head, 1);
        let (k, v) = (
            numbers(batch * groups * len * head, 2),
            numbers(batch * groups * len * head, 3),
        );
        for mask in masks() {
            let seen = match &mask.keys {
                Some(keys) => keys.to_data().try_to_vec::<bool>().unwrap(),
                None => vec![true; batch * len],
            };
            let y = attention(
                tensor(&q, [batch, heads, len, head]),
                tensor(&k, [batch, groups, len, head]),
                tensor(&v, [batch, groups, len, head]),
                &mask,
            );
            let y = y.into_data().try_to_vec::<f32>().unwrap();
            for (row, got) in y.chunks(head).enumerate() {
                let (b, h, i) = (row / len / heads, row / len % heads, row % len);
                let at = |j: usize| ((b * groups + h / 2) * len + j) * head;
                let weights = (0..len)
                    .map(|j| {
                        let dot = (0..head)
                            .map(|d| q[row * head + d] * k[at(j) + d])
                            .sum::<f32>();
                        let visible = seen[b * len + j] && (!mask.causal || j <= i);
                        if visible {
                            (dot / (head as f32).sqrt()).exp()
                        } else {
                            0.0
                        }
                    })
                    .collect::<Vec<_>>();
                let total = weights.iter().sum::<f32>().max(1e-30);
                for d in 0..head {
                    let expected = (0..len)
                        .map(|j| weights[j] / total * v[at(j) + d])
                        .sum::<f32>();
                    assert!((got[d] - expected).abs() < 1e-5, "{mask:?} row {row}");
                }
            }
        }
    }

    #[test]
    fn the_last_query_stands_at_the_last_key() {
        let (q, k, v) = (numbers(4, 1), numbers(8, 2), numbers(8, 3));
        let mask = Mask {
            causal: true,
            keys: None,
        };
        let few = attention(
            tensor(&q, [1, 1, 2, 2]),
            tensor(&k, [1, 1, 4, 2]),
            tensor(&v, [1, 1, 4, 2]),
            &mask,
        );
        let all = [vec![0.0; 4], q].concat();
        let all = attention(
            tensor(&all, [1, 1, 4, 2]),
            tensor(&k, [1, 1, 4, 2]),
            tensor(&v, [1, 1, 4, 2]),
            &mask,
        );
        let (few, all) = (
            few.into_data().try_to_vec::<f32>().unwrap(),
            all.into_data().try_to_vec::<f32>().unwrap(),
        );
        assert!(few.iter().zip(&all[4..]).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn fused_equals_composed() {
        // batch, heads, groups, queries, keys, head
        for [batch, heads, groups, queries, keys, head] in [
            [1, 1, 1, 1, 1, 1],
            [2, 2, 1, 5, 5, 3],
            [3, 4, 2, 33, 33, 20],
            [2, 2, 2, 7, 19, 16],
            [2, 1, 1, 19, 7, 8],
            [1, 2, 2, 104, 104, 56],
        ] {
            let seen = (0..batch * keys).map(|i| i % 5 != 1).collect::<Vec<_>>();
            let seen =
                || Tensor::<1, Bool>::from_data(seen.as_slice(), &device()).reshape([batch, keys]);
            for mask in [(false, false), (true, false), (false, true), (true, true)] {
                let mask = Mask {
                    causal: mask.0,
                    keys: mask.1.then(seen),
                };
                let size = batch * queries * heads * head;
                let with = |attention: fn(Tensor<4>, Tensor<4>, Tensor<4>, &Mask) -> Tensor<4>,
                            [q, k, v]: [Tensor<1>; 3]| {
                    // As a model has them: views of [batch, len, heads, head].
                    let q = q.reshape([batch, queries, heads, head]).swap_dims(1, 2);
                    let [k, v] =
                        [k, v].map(|x| x.reshape([batch, keys, groups, head]).swap_dims(1, 2));
                    attention(q, k, v, &mask).swap_dims(1, 2).reshape([size])
                };
                let of_keys = batch * keys * groups * head;
                let inputs = [numbers(size, 1), numbers(of_keys, 2), numbers(of_keys, 3)];
                let fused = |x| with(cpu::attention, x);
                agree(&inputs, fused, |x| with(composed, x));
                agree_rounded(&inputs, fused, |x| with(composed, x));
            }
        }
    }

    #[test]
    fn gradient() {
        for mask in masks() {
            gradients_agree(
                &[
                    numbers(2 * 4 * 3 * 2, 1),
                    numbers(2 * 2 * 3 * 2, 2),
                    numbers(2 * 2 * 3 * 2, 3),
                ],
                |[q, k, v]| {
                    let y = attention(
                        q.reshape([2, 4, 3, 2]),
                        k.reshape([2, 2, 3, 2]),
                        v.reshape([2, 2, 3, 2]),
                        &mask,
                    );
                    y.reshape([-1])
                },
            );
        }
    }
}
