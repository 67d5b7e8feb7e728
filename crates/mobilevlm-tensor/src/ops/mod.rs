//! What a model calls.
//!
//! All arrays are row-major `f32`. Shapes are preconditions, checked with both sizes in the
//! message. An operation on one or a few rows allocates nothing, after the first of its size.

mod activation;
mod attention;
mod convolution;
mod full_attention;
mod linear;
mod norm;
mod panels;
mod rotary;
mod rounded;
mod tiles;
mod words;

pub use activation::{add, gelu, hard_sigmoid, hard_swish, quick_gelu, relu, silu_mul};
pub use attention::{KeyValues, Visible, attention};
pub use convolution::{adaptive_mean, depthwise3x3};
pub use full_attention::{attention_i16, full_attention};
pub use linear::{Linear, linear, linear_add, linears};
pub use norm::{layer_norm, rms_norm};
pub use rotary::{Rotary, rotary};
pub use rounded::{ROUNDED_ROWS, rounded_product};
