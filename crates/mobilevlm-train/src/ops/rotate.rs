//! Rotary positions in LLaMA's order: element i is paired with element i + head/2.

use super::{cpu, in_f32};
use burn::tensor::Tensor;

/// Turns each pair `(x[i], x[i + head/2])` of a position by the angle of that position and i: x `[batch, heads, len, head]`, cos and sin `[len, head/2]`. The same as `apply_rotary_pos_emb` of transformers, whose tables repeat the half.
pub(crate) fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    in_f32(x, |x| match cpu::takes(&x) {
        true => cpu::rotate(x, cos, sin),
        false => composed(x, cos, sin),
    })
}

fn composed(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let (cos, sin) = (cos.unsqueeze::<4>(), sin.unsqueeze::<4>());
    let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let turned = vec![
        a.clone() * cos.clone() - b.clone() * sin.clone(),
        b * cos + a * sin,
    ];
    Tensor::cat(turned, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, device, gradients_agree, numbers};

    fn tables(len: usize, half: usize) -> (Tensor<2>, Tensor<2>) {
        let angles = (0..len * half)
            .map(|i| (i / half) as f32 * 0.7f32.powi((i % half) as i32))
            .collect::<Vec<_>>();
        let angles = Tensor::<1>::from_floats(angles.as_slice(), &device()).reshape([len, half]);
        (angles.clone().cos(), angles.sin())
    }

    #[test]
    fn turns_pairs_and_keeps_lengths() {
        let (cos, sin) = tables(3, 2);
        let x = numbers(2 * 3 * 4, 1);
        let y = rotate(
            Tensor::<1>::from_floats(x.as_slice(), &device()).reshape([1, 2, 3, 4]),
            cos,
            sin,
        );
        let y = y.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(y[..4], x[..4], "position 0 is not turned");
        for row in 0..6 {
            for i in 0..2 {
                let (p, q) = (row * 4 + i, row * 4 + i + 2);
                assert!((x[p].hypot(x[q]) - y[p].hypot(y[q])).abs() < 1e-5);
            }
        }
        let angle = 0.7f32;
        assert!((y[5] - (x[5] * angle.cos() - x[7] * angle.sin())).abs() < 1e-5);
        assert!((y[7] - (x[7] * angle.cos() + x[5] * angle.sin())).abs() < 1e-5);
    }

    #[test]
    fn fused_equals_composed() {
        for [batch, heads, len, half] in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 50, 28], [0, 2, 3, 4]]
        {
            let size = batch * heads * len * half * 2;
            // As a model has it: a view of [batch, len, heads, head]; and used twice, so that it cannot be turned in place.
            let view = |x: Tensor<1>| x.reshape([batch, len, heads, half * 2]).swap_dims(1, 2);
            let with = |rotate: fn(Tensor<4>, Tensor<2>, Tensor<2>) -> Tensor<4>,
                        [x]: [Tensor<1>; 1]| {
                let (cos, sin) = tables(len, half);
                let x = view(x);
                (rotate(x.clone(), cos, sin) + x).reshape([size])
            };
            agree(
                &[numbers(size, 1)],
                |x| with(cpu::rotate, x),
                |x| with(composed, x),
            );
        }
    }

    #[test]
    fn gradient() {
        gradients_agree(&[numbers(2 * 2 * 3 * 4, 1)], |[x]| {
            let (cos, sin) = tables(3, 2);
            rotate(x.reshape([2, 2, 3, 4]), cos, sin).reshape([-1])
        });
    }
}
