//! The kernels, written once for every instruction set. What a table calls is these functions,
//! compiled with the table's instructions.
//!
//! Inner loops are plain: `std::array::from_fn`, `map` on arrays and closures passed to library
//! functions are compiled without the table's instructions unless everything on the way happens to
//! be inlined, and then each intrinsic inside is a call.
#![allow(
    clippy::needless_range_loop,
    reason = "indices name the registers of a tile"
)]

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod attention_i16;
pub(crate) mod convolution;
pub(crate) mod direct;
mod exp;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod panels;
pub(crate) mod peak;
pub(crate) mod quantise;
pub(crate) mod rotary;
pub(crate) mod weights;
