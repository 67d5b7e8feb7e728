//! Slices that several tasks write, each its own part.

use std::marker::PhantomData;

use crate::Pool;

/// A mutable slice of which each task of a computation takes the part that is its own.
pub(crate) struct Parts<'a> {
    start: *mut f32,
    len: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: the slice is borrowed mutably for the lifetime of this value, and the callers of `part`
// answer for handing no element to two threads.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Parts<'a> {
        Parts {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            lifetime: PhantomData,
        }
    }

    /// The `len` elements from `first`.
    ///
    /// # Safety
    /// No other part that exists at the same time has one of these elements.
    ///
    /// # Panics
    /// If the part does not lie inside the slice.
    #[allow(
        clippy::mut_from_ref,
        reason = "that each part is handed out once is the caller's promise"
    )]
    pub(crate) unsafe fn part(&self, first: usize, len: usize) -> &mut [f32] {
        assert!(
            first <= self.len && len <= self.len - first,
            "{len} elements from {first} of {}",
            self.len
        );
        // SAFETY: inside the slice by the line above, and nobody else's by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), len) }
    }

    /// Pointer to element `first`, for kernels that write a rectangle of a larger matrix.
    ///
    /// # Panics
    /// If there is no such element.
    pub(crate) fn pointer(&self, first: usize) -> *mut f32 {
        assert!(first < self.len, "element {first} of {}", self.len);
        // SAFETY: inside the slice by the line above.
        unsafe { self.start.add(first) }
    }
}

/// Cuts `slice` into pieces of `length`, the last one shorter, and calls `job(piece number, piece)`
/// for each, on all threads of the pool.
pub(crate) fn for_each_piece(
    pool: &Pool,
    slice: &mut [f32],
    length: usize,
    job: impl Fn(usize, &mut [f32]) + Sync,
) {
    let total = slice.len();
    let parts = Parts::new(slice);
    pool.run(total.div_ceil(length), &|piece| {
        let first = piece * length;
        // SAFETY: pieces do not overlap, and the pool runs each task once.
        job(piece, unsafe {
            parts.part(first, length.min(total - first))
        });
    });
}
