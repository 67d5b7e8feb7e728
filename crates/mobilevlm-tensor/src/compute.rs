//! What computes: a kernel table, the threads it runs on, and how exactly.

use std::sync::Arc;

use crate::{InputSquares, Kernels, Matrix, Pool, ProductClock};

/// A kernel table and a thread pool, the first argument of every operation in
/// [`ops`](crate::ops). A clone shares the threads.
#[derive(Clone, Debug)]
pub struct Compute {
    kernels: &'static Kernels,
    pool: Arc<Pool>,
    arithmetic: Arithmetic,
    steps: usize,
    product_clock: Arc<ProductClock>,
    input_squares: Arc<InputSquares>,
}

/// How exactly operations compute that have a faster way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arithmetic {
    /// Integers where an operation has a form in integers: activations rounded to 8 or 16 bits,
    /// with a scale for some of them together, and exact sums of products.
    #[default]
    Fast,
    /// `f32` everywhere: the definition.
    F32,
}

impl Arithmetic {
    /// The name that is printed: `fast`, `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::Fast => "fast",
            Arithmetic::F32 => "f32",
        }
    }
}

impl Compute {
    /// Computes with `kernels` on `threads` threads, the calling one included; 0 counts as 1.
    pub fn new(kernels: &'static Kernels, threads: usize) -> Compute {
        Compute {
            kernels,
            pool: Arc::new(Pool::new(threads)),
            arithmetic: Arithmetic::default(),
            steps: 0,
            product_clock: Arc::default(),
            input_squares: Arc::default(),
        }
    }

    /// The same with another arithmetic; [`new`](Compute::new) takes [`Arithmetic::Fast`].
    pub fn with_arithmetic(self, arithmetic: Arithmetic) -> Compute {
        Compute { arithmetic, ..self }
    }

    /// The same for products whose first `rows` rows are those of decode steps, a token that was
    /// just chosen each.
    ///
    /// A table may round the rows of prompts and pictures otherwise than those of steps, since the
    /// former are bound by arithmetic and the latter by memory. Which of the two a row is must
    /// therefore depend on what it stands for, never on how many come together; then its result
    /// does not depend on them either.
    pub fn with_steps(&self, rows: usize) -> Compute {
        Compute {
            steps: rows,
            ..self.clone()
        }
    }

    /// Whether rows of prompts and pictures are rounded to 8 bits before they are multiplied with
    /// `w`.
    pub fn rounds_to_bytes(&self, w: &Matrix) -> bool {
        let kernels = self.kernels;
        w.is_interleaved()
            && self.arithmetic == Arithmetic::Fast
            && kernels.tiles().is_none()
            && kernels.words(w.format()).is_none()
    }

    /// How many of the first rows of a product are those of decode steps.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// The kernel table in use.
    pub fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    /// The threads in use.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The arithmetic in use.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// The clock that measures products where it is switched on.
    pub fn product_clock(&self) -> &ProductClock {
        &self.product_clock
    }

    /// What counts the inputs of products where it is switched on.
    pub fn input_squares(&self) -> &InputSquares {
        &self.input_squares
    }
}
