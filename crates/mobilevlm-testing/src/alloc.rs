//! A global allocator that counts, for tests of what code allocates.
//!
//! Install it in a test binary or a program, then measure:
//!
//! ```
//! use mobilevlm_testing::alloc::{self, Counting};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let (values, usage) = alloc::measure(|| vec![0_u8; 1000]);
//! assert_eq!(usage.count, 1);
//! assert_eq!(usage.peak, 1000);
//! # drop(values);
//! ```
//!
//! [`measure`] sees the calling thread, so tests may run beside each other. [`measure_process`]
//! sees every thread, so work that a pool shares is counted too; put such a test alone in its
//! file, because the harness and other tests allocate as well.
//!
//! This module is one of the few places with unsafe code: the trait [`GlobalAlloc`] demands it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator with counters in front.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// What was asked of the allocator while a piece of work ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocations, a growing or shrinking reallocation counted as one.
    pub count: u64,
    /// The largest single request, in bytes.
    pub largest: u64,
    /// The most bytes held at one moment beyond those held at the start.
    pub peak: u64,
}

/// Runs `work` and counts what the calling thread asks for. Does not nest.
///
/// All figures are zero where [`Counting`] is not the global allocator; see [`installed`].
pub fn measure<R>(work: impl FnOnce() -> R) -> (R, Usage) {
    THREAD.with(Counters::restart);
    let result = work();
    (result, THREAD.with(Counters::usage))
}

/// Runs `work` and counts what all threads of the process ask for meanwhile. Does not nest; calls
/// from several threads wait for each other.
pub fn measure_process<R>(work: impl FnOnce() -> R) -> (R, Usage) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    PROCESS.restart();
    let result = work();
    (result, PROCESS.usage())
}

/// Whether [`Counting`] is the global allocator here: without it every figure is zero, and a test
/// that asserts "nothing was allocated" would pass whatever the code does.
pub fn installed() -> bool {
    measure(|| drop(std::hint::black_box(Box::new(0_u8))))
        .1
        .count
        == 1
}

/// Refuses every request that would take the process beyond `bytes` held in total, so that code
/// which asks without bound ends in Rust's out-of-memory abort instead of exhausting the machine.
pub fn set_cap(bytes: u64) {
    CAP.store(bytes.min(i64::MAX as u64) as i64, Relaxed);
}

static PROCESS: Counters = Counters::new();
static CAP: AtomicI64 = AtomicI64::new(i64::MAX);

thread_local! {
    // Without a destructor and with a constant start this is plain thread-local storage: reading
    // it inside the allocator allocates nothing.
    static THREAD: Counters = const { Counters::new() };
}

/// Bytes are signed because memory may be freed by another thread than the one that took it.
struct Counters {
    count: AtomicU64,
    largest: AtomicU64,
    held: AtomicI64,
    held_at_start: AtomicI64,
    most_held: AtomicI64,
}

impl Counters {
    const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            largest: AtomicU64::new(0),
            held: AtomicI64::new(0),
            held_at_start: AtomicI64::new(0),
            most_held: AtomicI64::new(0),
        }
    }

    fn restart(&self) {
        let held = self.held.load(Relaxed);
        self.count.store(0, Relaxed);
        self.largest.store(0, Relaxed);
        self.held_at_start.store(held, Relaxed);
        self.most_held.store(held, Relaxed);
    }

    fn usage(&self) -> Usage {
        let peak = self.most_held.load(Relaxed) - self.held_at_start.load(Relaxed);
        Usage {
            count: self.count.load(Relaxed),
            largest: self.largest.load(Relaxed),
            peak: peak.max(0) as u64,
        }
    }

    fn take(&self, asked: usize, change: i64) {
        self.count.fetch_add(1, Relaxed);
        self.largest.fetch_max(asked as u64, Relaxed);
        let held = self.held.fetch_add(change, Relaxed) + change;
        self.most_held.fetch_max(held, Relaxed);
    }
}

fn fits(more: usize) -> bool {
    PROCESS
        .held
        .load(Relaxed)
        .saturating_add_unsigned(more as u64)
        <= CAP.load(Relaxed)
}

fn taken(asked: usize, change: i64) {
    PROCESS.take(asked, change);
    // The storage is gone while a thread ends; the process's counters still see those requests.
    let _ = THREAD.try_with(|thread| thread.take(asked, change));
}

fn freed(bytes: usize) {
    PROCESS.held.fetch_sub(bytes as i64, Relaxed);
    let _ = THREAD.try_with(|thread| thread.held.fetch_sub(bytes as i64, Relaxed));
}

// SAFETY: every request goes to `System` unchanged or is refused with a null pointer, which the
// trait allows; the counting around it neither allocates, unwinds nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !fits(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s too.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            taken(layout.size(), layout.size() as i64);
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !fits(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is `System`'s too.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            taken(layout.size(), layout.size() as i64);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller says `pointer` came from this allocator with this layout, and every
        // pointer of this allocator came from `System` with the same layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !fits(new_size.saturating_sub(layout.size())) {
            return std::ptr::null_mut();
        }
        // SAFETY: as in `dealloc`; the caller keeps the contract on `new_size`.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if !moved.is_null() {
            taken(new_size, new_size as i64 - layout.size() as i64);
        }
        moved
    }
}
