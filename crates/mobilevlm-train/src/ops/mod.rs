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
