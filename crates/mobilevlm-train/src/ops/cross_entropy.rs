//! Cross entropy of logits against target classes.

use burn::tensor::{Int, Tensor, activation};

/// The sum over rows of `−log softmax(logits)[target]`: logits `[n, vocabulary]`, targets `[n]`, each below the vocabulary; the caller divides. One element; 0 for no rows.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let picked = activation::log_softmax(logits, 1).gather(1, targets.unsqueeze_dim(1));
    picked.sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{device, gradients_agree, numbers};

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
    fn gradient() {
        gradients_agree(&[numbers(3 * 5, 1)], |[x]| {
            cross_entropy(x.reshape([3, 5]), Tensor::from_data([0, 4, 2], &device()))
        });
    }
}
