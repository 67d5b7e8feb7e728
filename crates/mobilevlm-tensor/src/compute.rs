//! What computes: a kernel table and the threads it runs on.

use std::sync::Arc;

use crate::{Kernels, Pool};

/// A kernel table and a thread pool, the first argument of every operation in
/// [`ops`](crate::ops). A clone shares the threads.
#[derive(Clone, Debug)]
pub struct Compute {
    kernels: &'static Kernels,
    pool: Arc<Pool>,
}

impl Compute {
    /// Computes with `kernels` on `threads` threads, the calling one included; 0 counts as 1.
    pub fn new(kernels: &'static Kernels, threads: usize) -> Compute {
        Compute {
            kernels,
            pool: Arc::new(Pool::new(threads)),
        }
    }

    /// The kernel table in use.
    pub fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    /// The threads in use.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
