//! Numbers: storage formats, kernels per instruction set, and the thread pool they run on.
//!
//! A model multiplies activations, always `f32`, with weights that stay as they are stored. What
//! a stored byte means is a [`Format`]; a weight is a [`Matrix`] of one format; what can be done
//! with them is in [`ops`]. The work itself is done by a kernel table, [`Kernels`], chosen once
//! for the machine, on the threads of a [`Pool`]; the two together are a [`Compute`].
//!
//! ```
//! use mobilevlm_tensor::{Bytes, Compute, Format, Kernels, Matrix, ops};
//!
//! let compute = Compute::new(Kernels::detect()?, 2);
//! // Two outputs of three inputs, stored in half the space.
//! let stored = Format::F16.encode(&[1.0, 2.0, 3.0, 0.5, 0.5, 0.5]);
//! let weight = Matrix::new(Format::F16, 2, 3, Bytes::from(stored))?;
//! let mut y = [0.0; 2];
//! ops::linear(&compute, &[1.0, 1.0, 2.0], &weight, None, &mut y);
//! assert_eq!(y, [9.0, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every result is a pure function of the inputs and of the table: each output is summed in an
//! order that depends neither on the number of rows computed together nor on the number of
//! threads. One row alone equals the same row in a batch to the last bit.
//!
//! The trap: shapes are preconditions. Sizes come from a configuration that was checked when the
//! model was loaded, so a wrong size here is a mistake in the caller, and the operations panic
//! with both sizes instead of returning an error that nobody could act on.

mod clock;
mod compute;
mod format;
mod inputs;
mod kernels;
mod matrix;
pub mod ops;
mod pages;
mod panel;
mod parallel;
mod pool;
pub mod probe;
mod scratch;

pub use bytes::Bytes;
pub use clock::ProductClock;
pub use compute::{Arithmetic, Compute};
pub use format::Format;
pub use inputs::InputSquares;
pub use kernels::{Cell, KernelError, Kernels, Origin, Side, Table, tables};
pub use matrix::{Matrix, MatrixError};
pub use pages::prefer_huge_pages;
pub use pool::Pool;
