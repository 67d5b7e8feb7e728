//! Muon: momentum whose singular values are made about 1 (Jordan et al. 2024; torch's
//! `torch.optim.Muon` with its defaults).

use burn::tensor::Tensor;

use crate::ops::linear;

/// What momentum keeps in a step.
const MOMENTUM: f64 = 0.95;
/// The polynomial `a·x + b·x³ + c·x⁵` of an iteration of Newton and Schulz: steep at 0, and never
/// far from 1 behind it.
const COEFFICIENTS: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);
const ITERATIONS: usize = 5;

/// The step of a matrix before its rate, and its new momentum, all flat. `old`: the momentum so far.
pub(super) fn update(
    gradient: Tensor<1>,
    old: Option<Tensor<1>>,
    [rows, columns]: [usize; 2],
) -> (Tensor<1>, Tensor<1>) {
    let fresh = gradient.clone() * (1.0 - MOMENTUM);
    let mean = match old {
        Some(old) => old * MOMENTUM + fresh,
        None => fresh,
    };
    // Nesterov's: a look ahead.
    let ahead = gradient * (1.0 - MOMENTUM) + mean.clone() * MOMENTUM;
    let step = orthogonal(ahead.reshape([rows, columns]));
    // Tall matrices get longer steps, so that outputs change alike.
    let longer = (rows as f64 / columns as f64).max(1.0).sqrt();
    (step.reshape([rows * columns]) * longer, mean)
}

/// The nearest matrix with orthogonal rows or columns, about.
fn orthogonal(x: Tensor<2>) -> Tensor<2> {
    let (a, b, c) = COEFFICIENTS;
    let [rows, columns] = x.dims();
    // The smaller product.
    let is_tall = rows > columns;
    let mut x = if is_tall { x.transpose() } else { x };
    // Stays on the device: no value has to be waited for.
    let norm = x.clone().square().sum().sqrt().clamp_min(1e-7);
    x = x / norm.unsqueeze();
    for _ in 0..ITERATIONS {
        // As products of linear layers, x·yᵀ, which may be in bfloat16: torch's are.
        let square = linear(x.clone(), x.clone(), None);
        let fourth = linear(square.clone(), square.clone(), None);
        x = x.clone() * a + linear(square * b + fourth * c, x.transpose(), None);
    }
    if is_tall { x.transpose() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// The definition in NumPy and float64, from gradients (7 i + 5 step) mod 11 in two steps.
    /// `torch.optim.Muon` 2.15 takes the same, up to 0.05: it multiplies in bfloat16.
    #[test]
    fn steps_are_the_definitions() {
        let gradient = |count: usize, step: usize| {
            let numbers = (0..count).map(|i| (((i * 7 + step * 5) % 11) as f32 - 5.0) / 4.0);
            let numbers: Vec<f32> = numbers.collect();
            Tensor::<1>::from_floats(numbers.as_slice(), &Device::flex())
        };
        let wide: [&[f32]; 2] = [
            &[
                -0.3445, -0.7947, 0.5615, 0.1114, -0.5854, -0.0415, -0.0274, 0.5164,
            ],
            &[
                0.8309, -0.135, -0.2703, 0.5823, -0.3806, -0.4916, 0.3358, 0.2042,
            ],
        ];
        let tall: [&[f32]; 2] = [
            &[
                -0.4757, -0.8715, 0.7542, 0.1389, -1.2174, -0.1589, 0.0126, 0.8514, -0.0657,
                -0.5347,
            ],
            &[
                1.1374, -0.1896, -0.3693, 0.7721, -0.52354, -0.668, 0.4705, 0.2846, -1.032, 0.137,
            ],
        ];
        for (shape, expected) in [([2, 4], wide), ([5, 2], tall)] {
            let mut momentum = None;
            for (step, expected) in expected.into_iter().enumerate() {
                let gradient = gradient(shape[0] * shape[1], step + 1);
                let (update, mean) = update(gradient, momentum, shape);
                momentum = Some(mean);
                let found = update.into_data().try_to_vec::<f32>().unwrap();
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 5e-4,
                        "{shape:?}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_gradient_of_zeros_moves_nothing() {
        let zeros = Tensor::<1>::zeros([6], &Device::flex());
        let (update, _) = update(zeros, None, [2, 3]);
        assert_eq!(update.into_data().try_to_vec::<f32>().unwrap(), [0.0; 6]);
    }
}
