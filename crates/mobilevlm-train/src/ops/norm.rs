//! Normalisation over the last dimension.

use super::{cpu, in_f32};
use burn::tensor::Tensor;

/// `weight · x / sqrt(mean(x²) + eps)` over the last dimension (LLaMA's): x `[.., n]`, weight `[n]`.
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    in_f32(x, |x| match cpu::takes(&x) {
        true => cpu::rms_norm(x, weight, eps),
        false => composed_rms(x, weight, eps),
    })
}

fn composed_rms<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    let scale = (x.clone().square().mean_dim(D - 1) + eps).sqrt().recip();
    x * scale * weight.unsqueeze()
}

/// `weight · (x − mean(x)) / sqrt(variance(x) + eps) + bias` over the last dimension, the variance divided by n: x `[.., n]`, weight and bias `[n]`.
pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    in_f32(x, |x| match cpu::takes(&x) {
        true => cpu::layer_norm(x, weight, bias, eps),
        false => composed_layer(x, weight, bias, eps),
    })
}

fn composed_layer<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let mean = x.clone().mean_dim(D - 1);
    let centred = x - mean;
    let scale = (centred.clone().square().mean_dim(D - 1) + eps)
        .sqrt()
        .recip();
    centred * scale * weight.unsqueeze() + bias.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, device, gradients_agree, numbers};

    #[test]
    fn equal_the_definitions() {
        let (x, w, b) = (numbers(10, 1), numbers(5, 2), numbers(5, 3));
        let tensor = |v: &[f32]| Tensor::<1>::from_floats(v, &device());
        let rms = rms_norm(tensor(&x).reshape([2, 5]), tensor(&w), 1e-3)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        let layer = layer_norm(tensor(&x).reshape([2, 5]), tensor(&w), tensor(&b), 1e-3)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        for row in 0..2 {
            let x = x[row * 5..][..5]
                .iter()
                .map(|&v| f64::from(v))
                .collect::<Vec<_>>();
            let square = x.iter().map(|v| v * v).sum::<f64>() / 5.0;
            let mean = x.iter().sum::<f64>() / 5.0;
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5.0;
            for i in 0..5 {
                let (w, b) = (f64::from(w[i]), f64::from(b[i]));
                let expected = w * x[i] / (square + 1e-3).sqrt();
                assert!((f64::from(rms[row * 5 + i]) - expected).abs() < 1e-5);
                let expected = w * (x[i] - mean) / (variance + 1e-3).sqrt() + b;
                assert!((f64::from(layer[row * 5 + i]) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn fused_equal_composed() {
        for (rows, width) in [(1, 1), (3, 5), (300, 100), (5, 257), (0, 7)] {
            let data = [
                numbers(rows * width, 1),
                numbers(width, 2),
                numbers(width, 3),
            ];
            let x = |x: Tensor<1>| x.reshape([rows, width]);
            agree(
                &data,
                |[v, w, b]| cpu::layer_norm(x(v), w, b, 1e-3).reshape([rows * width]),
                |[v, w, b]| composed_layer(x(v), w, b, 1e-3).reshape([rows * width]),
            );
            let [v, w, _] = data;
            agree(
                &[v, w],
                |[v, w]| cpu::rms_norm(x(v), w, 1e-3).reshape([rows * width]),
                |[v, w]| composed_rms(x(v), w, 1e-3).reshape([rows * width]),
            );
        }
    }

    #[test]
    fn gradients() {
        gradients_agree(&[numbers(2 * 3 * 5, 1), numbers(5, 2)], |[x, w]| {
            rms_norm(x.reshape([2, 3, 5]), w, 1e-3).reshape([-1])
        });
        gradients_agree(
            &[numbers(6 * 5, 1), numbers(5, 2), numbers(5, 3)],
            |[x, w, b]| layer_norm(x.reshape([6, 5]), w, b, 1e-3).reshape([-1]),
        );
    }
}
