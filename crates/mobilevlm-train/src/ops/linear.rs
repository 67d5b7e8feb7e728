//! The linear layer, with its weight as upstream stores it.

use super::cpu;
use burn::tensor::Tensor;

/// `x · weightᵀ + bias` over the last dimension: x `[.., in]`, weight `[out, in]` as `torch.nn.Linear` stores it, bias `[out]`; the result is `[.., out]`. Weight and bias are rounded to the type of x.
pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    if cpu::takes(&x) {
        cpu::linear(x, weight, bias)
    } else {
        composed(x, weight, bias)
    }
}

fn composed<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let mut dims = x.dims();
    let [outputs, inputs] = weight.dims();
    let dtype = x.dtype();
    let rows = dims[..D - 1].iter().product::<usize>();
    dims[D - 1] = outputs;
    let mut y = x
        .reshape([rows, inputs])
        .matmul(weight.cast(dtype).transpose());
    if let Some(bias) = bias {
        y = y + bias.cast(dtype).unsqueeze();
    }
    y.reshape(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, device, gradients_agree, numbers};

    #[test]
    fn equals_the_definition() {
        let (x, w, b) = (numbers(6, 1), numbers(12, 2), numbers(4, 3));
        let tensor = |v: &[f32]| Tensor::<1>::from_floats(v, &device());
        let y = linear(
            tensor(&x).reshape([1, 2, 3]),
            tensor(&w).reshape([4, 3]),
            Some(tensor(&b)),
        );
        assert_eq!(y.dims(), [1, 2, 4]);
        let y = y.into_data().try_to_vec::<f32>().unwrap();
        for row in 0..2 {
            for out in 0..4 {
                let sum = b[out] + (0..3).map(|i| x[row * 3 + i] * w[out * 3 + i]).sum::<f32>();
                assert!((y[row * 4 + out] - sum).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn fused_equals_composed() {
        for (rows, inputs, outputs) in [(1, 1, 1), (7, 5, 3), (1000, 33, 50), (0, 4, 3)] {
            let data = [
                numbers(rows * inputs, 1),
                numbers(inputs * outputs, 2),
                numbers(outputs, 3),
            ];
            let shaped = |[x, w, b]: [Tensor<1>; 3]| {
                (x.reshape([rows, inputs]), w.reshape([outputs, inputs]), b)
            };
            agree(
                &data,
                |parts| {
                    let (x, w, b) = shaped(parts);
                    cpu::linear(x, w, Some(b)).reshape([rows * outputs])
                },
                |parts| {
                    let (x, w, b) = shaped(parts);
                    composed(x, w, Some(b)).reshape([rows * outputs])
                },
            );
        }
    }

    #[test]
    fn gradient() {
        gradients_agree(
            &[numbers(2 * 3 * 5, 1), numbers(4 * 5, 2), numbers(4, 3)],
            |[x, w, b]| linear(x.reshape([2, 3, 5]), w.reshape([4, 5]), Some(b)).reshape([-1]),
        );
        gradients_agree(&[numbers(3 * 5, 1), numbers(4 * 5, 2)], |[x, w]| {
            linear(x.reshape([3, 5]), w.reshape([4, 5]), None).reshape([-1])
        });
    }
}
