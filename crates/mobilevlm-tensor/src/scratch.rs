//! Working memory of one operation, kept by the calling thread from call to call.

use std::cell::Cell;

/// One cache line, which is also the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; FLOATS]);

/// Numbers in a cache line of 64 bytes.
pub(crate) const FLOATS: usize = 16;

thread_local! {
    static KEPT: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Calls `job` with `floats` numbers of arbitrary value, aligned to a cache line.
///
/// The memory belongs to the calling thread, which lends parts of it to the threads of its pool:
/// were it each worker's own, a worker's first task would allocate at an unforeseeable time.
pub(crate) fn with_scratch<R>(floats: usize, job: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken out while it is used: an operation inside another one gets memory of its own.
    let mut lines = KEPT.take();
    let needed = floats.div_ceil(FLOATS);
    if lines.len() < needed {
        // The old content is worth nothing, so it is freed before the new memory is asked for.
        drop(std::mem::take(&mut lines));
        lines = vec![Line([0.0; FLOATS]); needed];
    }
    // SAFETY: a `Line` is sixteen `f32` and nothing else, and `needed` of them hold `floats`.
    let numbers =
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<f32>(), floats) };
    let result = job(numbers);
    KEPT.set(lines);
    result
}

/// Scratch that holds integers.
pub(crate) fn integers(scratch: &[f32]) -> &[i32] {
    // SAFETY: the two types have the same size and alignment, and any bits are a value of either.
    unsafe { std::slice::from_raw_parts(scratch.as_ptr().cast(), scratch.len()) }
}

/// Scratch to put integers into.
pub(crate) fn integers_mut(scratch: &mut [f32]) -> &mut [i32] {
    // SAFETY: as for [`integers`], and the borrow is unique.
    unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast(), scratch.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_aligned_and_nests() {
        let first = with_scratch(100, |outer| {
            assert_eq!((outer.len(), outer.as_ptr() as usize % 64), (100, 0));
            outer.fill(1.0);
            with_scratch(7, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|&x| x == 1.0));
            outer.as_ptr()
        });
        assert_eq!(with_scratch(50, |again| again.as_ptr()), first);
    }
}
