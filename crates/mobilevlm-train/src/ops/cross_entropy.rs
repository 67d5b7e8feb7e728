//! Cross entropy of logits against target classes.

use super::cpu;
use burn::tensor::{DType, Int, Tensor, activation};

/// The sum over rows of `−log softmax(logits)[target]`: logits `[n, vocabulary]`, targets `[n]`, each below the vocabulary; the caller divides. One element, float32 whatever the logits are; 0 for no rows.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits.cast(DType::F32);
    if cpu::takes(&logits) {
        cpu::cross_entropy(logits, targets)
    } else {
        composed(logits, targets)
    }
}

fn composed(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let picked = activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1));
    picked.sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{agree, device, gradients_agree, numbers};

    #[test]
    fn equals_the_definition_and_survives_large_logits() {
        let (x, targets) = (numbers(3 * 5, 1), [0usize, 4, 2]);
        for shift in [0.0, 1e4] {
            let shifted = x.iter().map(|v| v + shift).collect::<Vec<_>>();
            let loss = cross_entropy(
                Tensor::<1>::from_floats(shifted.as_slice(), &device()).reshape([3, 5]),
                Tensor::from_data([0, 4, 2], &device()),
            );
            let expected = (0..3)
                .map(|row| {
                    let x = &shifted[row * 5..][..5];
                    let total = x
                        .iter()
                        .map(|&v| (f64::from(v) - f64::from(shift)).exp())
                        .sum::<f64>();
                    total.ln() - (f64::from(x[targets[row]]) - f64::from(shift))
                })
                .sum::<f64>();
            assert!(
                (f64::from(loss.into_scalar::<f32>()) - expected).abs()
                    < 1e-5 + f64::from(shift) * 1e-6
            );
        }
    }

    #[test]
    fn fused_equals_composed() {
        for (rows, width) in [(1, 1), (3, 5), (40, 1000)] {
            let targets = || {
                let targets = (0..rows)
                    .map(|row| (row * 7 % width) as i64)
                    .collect::<Vec<_>>();
                Tensor::from_data(targets.as_slice(), &device())
            };
            agree(
                &[numbers(rows * width, 1)],
                |[x]| cpu::cross_entropy(x.reshape([rows, width]), targets()),
                |[x]| composed(x.reshape([rows, width]), targets()),
            );
        }
    }

    #[test]
    fn no_rows_no_loss() {
        let x = Tensor::<2>::zeros([0, 5], &device());
        let none = Tensor::<1, Int>::zeros([0], &device());
        assert_eq!(cross_entropy(x, none).into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn a_nan_stays() {
        let x = Tensor::from_data([[0.0, f32::NAN, 1.0]], &device());
        assert!(
            cross_entropy(x, Tensor::from_data([0], &device()))
                .into_scalar::<f32>()
                .is_nan()
        );
    }

    #[test]
    fn gradient() {
        gradients_agree(&[numbers(3 * 5, 1)], |[x]| {
            cross_entropy(x.reshape([3, 5]), Tensor::from_data([0, 4, 2], &device()))
        });
    }
}
