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
mod texts;

pub(crate) use activation::{gelu, hard_swish, quick_gelu, swiglu};
pub(crate) use attention::{Mask, attention};
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use linear::linear;
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use rotate::rotate;
pub(crate) use texts::{Text, texts_attention};

use burn::tensor::{DType, Tensor};
use std::cell::Cell;

/// How linear layers and attention multiply float32 on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// In float32.
    #[default]
    F32,
    /// Both factors are rounded to bfloat16, half away from zero, and products are summed in float32: in tile registers (AMX) where the machine has them, which is faster, and in vectors where not.
    Bf16,
}

thread_local! {
    static PRODUCTS: Cell<Products> = const { Cell::new(Products::F32) };
}

/// Lets this thread multiply like this from now on; a backward pass has to run on a thread that multiplies as the forward pass did.
pub(crate) fn multiply_in(products: Products) {
    PRODUCTS.set(products);
}

/// What `f` makes of x in float32, in the type of x.
fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let dtype = x.dtype();
    f(x.cast(DType::F32)).cast(dtype)
}
