//! Activations, elementwise.

use super::{cpu, in_f32};
use burn::tensor::{Tensor, activation};

/// `silu(gate) · up`, the gated activation of LLaMA's feed-forward layer; both of one shape.
pub(crate) fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    if cpu::takes(&gate) {
        cpu::swiglu(gate, up)
    } else {
        activation::silu(gate) * up
    }
}

/// `x · sigmoid(1.702 x)`: CLIP's activation (`QuickGELUActivation` of transformers).
pub(crate) fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if cpu::takes(&x) {
        cpu::quick_gelu(x)
    } else {
        activation::sigmoid(x.clone() * 1.702) * x
    }
}

/// `x · Φ(x)` with the exact error function, as `torch.nn.GELU()`.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Of 1 + erf, which nears 0, bfloat16 would leave nothing.
    in_f32(x, |x| match cpu::takes(&x) {
        true => cpu::gelu(x),
        false => activation::gelu(x),
    })
}

/// `x · max(0, min(1, x / 6 + 1/2))`, as `torch.nn.Hardswish`.
pub(crate) fn hard_swish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::hard_swish(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, device, gradients_agree, numbers};

    /// Values of the formulas in double precision at -2, -0.5, 0, 1, 3 (rounded to six places).
    #[test]
    fn known_values() {
        let x = || Tensor::<1>::from_floats([-2.0, -0.5, 0.0, 1.0, 3.0], &device());
        let close = |y: Tensor<1>, expected: [f32; 5]| {
            for (y, e) in y
                .into_data()
                .try_to_vec::<f32>()
                .unwrap()
                .iter()
                .zip(expected)
            {
                assert!((y - e).abs() < 2e-6, "{y} {e}");
            }
        };
        close(
            swiglu(x(), x().ones_like()),
            [-0.238406, -0.188770, 0.0, 0.731059, 2.857722],
        );
        close(
            quick_gelu(x()),
            [-0.064341, -0.149612, 0.0, 0.845796, 2.981929],
        );
        close(gelu(x()), [-0.045500, -0.154269, 0.0, 0.841345, 2.99595]);
        close(hard_swish(x()), [-0.333333, -0.208333, 0.0, 0.666667, 3.0]);
    }

    #[test]
    fn fused_equal_composed() {
        for size in [0, 1, 15, 40_000] {
            let x = numbers(size, 1)
                .into_iter()
                .map(|x| x * 4.0)
                .collect::<Vec<_>>();
            agree(
                &[x.clone(), numbers(size, 2)],
                |[g, u]| cpu::swiglu(g, u),
                |[g, u]| activation::silu(g) * u,
            );
            agree(
                std::slice::from_ref(&x).try_into().expect("one input"),
                |[x]| cpu::quick_gelu(x),
                |[x]| activation::sigmoid(x.clone() * 1.702) * x,
            );
            agree(&[x], |[x]| cpu::gelu(x), |[x]| activation::gelu(x));
        }
    }

    #[test]
    fn gradients() {
        gradients_agree(&[numbers(15, 1), numbers(15, 2)], |[gate, up]| {
            swiglu(gate, up)
        });
        gradients_agree(&[numbers(15, 1)], |[x]| quick_gelu(x));
        gradients_agree(&[numbers(15, 1)], |[x]| gelu(x));
        gradients_agree(&[numbers(15, 1)], |[x]| hard_swish(x));
    }
}
