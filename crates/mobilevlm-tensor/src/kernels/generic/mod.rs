//! The kernels, written once for every instruction set. What a table calls is these functions,
//! compiled with the table's instructions.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod convolution;
pub(crate) mod direct;
mod exp;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod peak;
pub(crate) mod rotary;
