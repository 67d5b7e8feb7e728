//! Differentiable operations that the model is made of. Each file has one: as a composition of burn's own operations, which every backend has and which defines it, and the choice of the fused version (`cpu/`) where there is one for the tensors at hand.
//!
//! The result has the type of the first input. Parameters are float32 whatever it is: with bfloat16, products are made of their rounded copies, and norms, softmax, rotary positions and the loss are computed in float32.

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

use burn::tensor::{DType, Tensor};

/// What `f` makes of x in float32, in the type of x.
fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let dtype = x.dtype();
    f(x.cast(DType::F32)).cast(dtype)
}
