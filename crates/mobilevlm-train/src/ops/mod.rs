//! Differentiable operations that the model is made of. Each file has one: as a composition of burn's own operations, which every backend has and which defines it, and the choice of the fused version (`cpu/`) where there is one for the tensors at hand.

mod activation;
mod attention;
mod cpu;
mod cross_entropy;
mod linear;
mod norm;
mod rotate;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use activation::{gelu, hard_swish, quick_gelu, swiglu};
pub(crate) use attention::{Mask, attention};
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use linear::linear;
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use rotate::rotate;

#[cfg(test)]
mod tests {
    use super::testing::numbers;
    use super::*;
    use burn::tensor::{Device, Tensor};

    /// A few operations one after the other, and the gradient of the input where it has one.
    fn through(device: &Device) -> (Vec<f32>, Option<Vec<f32>>) {
        let tensor =
            |count, seed| Tensor::<1>::from_floats(numbers(count, seed).as_slice(), device);
        let x = tensor(2 * 7 * 12, 1).set_require_grad(device.is_autodiff());
        let y = rms_norm(x.clone().reshape([2, 7, 12]), tensor(12, 2), 1e-5);
        let y = linear(y, tensor(12 * 12, 3).reshape([12, 12]), Some(tensor(12, 4)));
        let heads = y.reshape([2, 7, 3, 4]).swap_dims(1, 2);
        let angles = tensor(7 * 2, 5).reshape([7, 2]);
        let turned = rotate(heads.clone(), angles.clone().cos(), angles.sin());
        let mask = Mask {
            causal: true,
            keys: None,
        };
        let y = attention(turned.clone(), turned, heads, &mask);
        let y = swiglu(gelu(y.clone()), quick_gelu(y));
        let gradient = device.is_autodiff().then(|| {
            let mut gradients = y.clone().square().sum().backward();
            let gradient = x.grad_remove(&mut gradients).expect("x is in y");
            gradient.into_data().try_to_vec().unwrap()
        });
        (y.into_data().try_to_vec().unwrap(), gradient)
    }

    #[test]
    fn devices_agree_whether_they_track_recompute_or_neither() {
        // Sums of many terms are rounded by their size.
        let close = |a: &[f32], b: &[f32]| {
            assert_eq!(a.len(), b.len());
            let size = b.iter().fold(1.0f32, |max, b| max.max(b.abs()));
            let furthest = a
                .iter()
                .zip(b)
                .fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
            assert!(furthest < 1e-5 * size, "{furthest} of {size}");
        };
        let (values, gradient) = through(&Device::flex().autodiff());
        assert_eq!(through(&Device::flex()).0, values);
        // Recomputed are the compositions: the fused operations cannot be.
        let (composed, expected) = through(&Device::flex().autodiff().gradient_checkpointing());
        close(&values, &composed);
        close(&gradient.unwrap(), &expected.unwrap());
    }
}
