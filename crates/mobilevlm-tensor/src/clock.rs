//! The time that products take, for comparing them alone with what the machine can do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Adds up the time that the calling threads spend in products: the linear layers and attention of
/// [`ops`](crate::ops), from call to return.
///
/// Off until it is [switched on](ProductClock::switch); then two readings of the system's clock for
/// each product.
#[derive(Debug, Default)]
pub struct ProductClock {
    on: AtomicBool,
    nanoseconds: AtomicU64,
}

impl ProductClock {
    /// Begins or stops to measure.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// The time since the last call, or since the clock was made; products under way count in the
    /// next.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.swap(0, Ordering::Relaxed))
    }

    /// Measures until what it returns is dropped.
    pub(crate) fn product(&self) -> Option<Running<'_>> {
        self.on.load(Ordering::Relaxed).then(|| Running {
            clock: self,
            start: Instant::now(),
        })
    }
}

/// A product under way.
pub(crate) struct Running<'a> {
    clock: &'a ProductClock,
    start: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let nanoseconds = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clock
            .nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Compute, Format, Kernels, Matrix, ops};

    #[test]
    fn products_count_while_it_is_on() {
        let compute = Compute::new(Kernels::best(), 2);
        let weight = Matrix::new(Format::F32, 64, 64, Bytes::from(vec![0; 4 * 64 * 64])).unwrap();
        let (x, mut y) = (vec![1.0; 64], vec![0.0; 64]);
        for on in [false, true, false] {
            compute.product_clock().switch(on);
            let start = Instant::now();
            ops::linear(&compute, &x, &weight, None, &mut y);
            ops::silu_mul(&compute, &mut y, &x);
            let (counted, all) = (compute.product_clock().take(), start.elapsed());
            assert_eq!(counted > Duration::ZERO, on);
            assert!(counted < all, "{counted:?} of {all:?}");
        }
        // A clone shares the clock.
        compute.clone().product_clock().switch(true);
        ops::linear(&compute, &x, &weight, None, &mut y);
        assert!(compute.product_clock().take() > Duration::ZERO);
    }
}
