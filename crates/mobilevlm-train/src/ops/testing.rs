//! What the tests of operations share.

use super::Products;
use crate::replicas::pool;
use burn::tensor::{Device, Tensor};

/// The CPU, with autodiff.
pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Numbers between -1.5 and 1.5, the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 3.0
        })
        .collect()
}

/// Compares the gradient of a weighted sum of `operation`'s outputs with central differences, for every element of every input (given flat; the operation reshapes).
pub(crate) fn gradients_agree<const N: usize>(
    inputs: &[Vec<f32>; N],
    operation: impl Fn([Tensor<1>; N]) -> Tensor<1>,
) {
    let loss = |inputs: [Tensor<1>; N]| {
        let y = operation(inputs);
        let weights = numbers(y.dims()[0], 99);
        (y * Tensor::from_floats(weights.as_slice(), &device())).sum()
    };
    let tensors = |inputs: &[Vec<f32>; N]| {
        inputs
            .each_ref()
            .map(|v| Tensor::from_floats(v.as_slice(), &device()))
    };
    let leaves = tensors(inputs).map(Tensor::require_grad);
    let mut gradients = loss(leaves.clone()).backward();
    const STEP: f32 = 1e-2;
    for (which, leaf) in leaves.iter().enumerate() {
        let gradient = leaf
            .grad_remove(&mut gradients)
            .expect("every input has a gradient");
        let gradient = gradient.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(gradient.len(), inputs[which].len());
        for (i, &got) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut inputs = inputs.clone();
                inputs[which][i] += by;
                loss(tensors(&inputs)).into_scalar::<f32>()
            };
            let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (got - expected).abs() < 2e-3 + 2e-3 * expected.abs(),
                "input {which}, element {i}: gradient {got}, differences give {expected}"
            );
        }
    }
}

/// Compares two operations in values and in the gradients of a weighted sum; and the first with itself, to the bit, on one, two and three threads.
pub(crate) fn agree<const N: usize>(
    inputs: &[Vec<f32>; N],
    fused: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
    composed: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
) {
    // Sums of many terms are rounded by their size.
    agree_within(3e-6, Products::F32, inputs, fused, composed);
}

/// The same of an operation whose products have factors in bfloat16, which has eight bits.
pub(crate) fn agree_rounded<const N: usize>(
    inputs: &[Vec<f32>; N],
    fused: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
    composed: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
) {
    agree_within(2e-2, Products::Bf16, inputs, fused, composed);
}

/// The same within a share of the largest result, or of 1.
fn agree_within<const N: usize>(
    tolerance: f32,
    products: Products,
    inputs: &[Vec<f32>; N],
    fused: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
    composed: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
) {
    let run = |operation: &dyn Fn([Tensor<1>; N]) -> Tensor<1>| {
        let leaves = inputs
            .each_ref()
            .map(|v| Tensor::<1>::from_floats(v.as_slice(), &device()).require_grad());
        let y = operation(leaves.clone());
        let weights = numbers(y.dims()[0], 99);
        let mut gradients = (y.clone() * Tensor::from_floats(weights.as_slice(), &device()))
            .sum()
            .backward();
        let mut results = vec![y.into_data().try_to_vec::<f32>().unwrap()];
        for leaf in &leaves {
            let gradient = leaf
                .grad_remove(&mut gradients)
                .expect("every input has a gradient");
            results.push(gradient.into_data().try_to_vec::<f32>().unwrap());
        }
        results
    };
    let on = |threads: usize| {
        let pool = pool(threads, products).unwrap();
        pool.install(|| run(&fused))
    };
    let (got, expected) = (on(1), run(&composed));
    for (which, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got.len(), expected.len());
        let size = expected.iter().fold(1.0f32, |max, x| max.max(x.abs()));
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert!(
                (got - expected).abs() < tolerance * size,
                "result {which}, element {i}: {got}, composed {expected}"
            );
        }
    }
    let bits = |results: Vec<Vec<f32>>| {
        results
            .into_iter()
            .flatten()
            .map(f32::to_bits)
            .collect::<Vec<_>>()
    };
    let one = bits(got);
    assert!(
        one == bits(on(2)) && one == bits(on(3)),
        "the number of threads changes the result"
    );
}
