//! The operations of a decode step allocate nothing, on any thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use mobilevlm_tensor::ops::{self, KeyValues, Rotary, Visible};
use mobilevlm_tensor::{Bytes, Compute, Format, Kernels, Matrix, tables};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test only: a second one on another thread would be counted too.
#[test]
fn a_decode_step_allocates_nothing() {
    for table in tables() {
        let Some(kernels) = table.kernels() else {
            println!(
                "{}: skipped, this machine lacks {}",
                table.name,
                table.missing.join(", ")
            );
            continue;
        };
        for sequences in [1, 4] {
            // Counted again if something was: the test harness, on a thread of its own, allocates
            // when it reports that a test takes a minute, as this one can under emulation.
            let count = match allocations(kernels, sequences) {
                0 => 0,
                _ => allocations(kernels, sequences),
            };
            assert_eq!(
                count, 0,
                "{}, {sequences} sequences: {count} allocations",
                table.name
            );
        }
    }
    // The counter counts.
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(ALLOCATIONS.load(Ordering::SeqCst) > before);
}

/// Allocations in all steps but the first, which makes the memory that the others use again.
fn allocations(kernels: &'static Kernels, sequences: usize) -> usize {
    let mut step = Step::new(Compute::new(kernels, 3), sequences);
    step.run();
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    for _ in 1..POSITIONS {
        step.run();
    }
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

const POSITIONS: usize = 100;
const WIDTH: usize = 256;
const FFN: usize = 700;
const HEAD: usize = 64;

/// One layer of a language model for some sequences.
struct Step {
    compute: Compute,
    square: Matrix,
    up: Matrix,
    down: Matrix,
    caches: Vec<KeyValues>,
    rotary: Rotary,
    positions: Vec<usize>,
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    gate: Vec<f32>,
    ffn: Vec<f32>,
}

impl Step {
    fn new(compute: Compute, sequences: usize) -> Step {
        let matrix = |rows, columns| {
            let stored = Format::F16.encode(&vec![0.01; rows * columns]);
            Matrix::new(Format::F16, rows, columns, Bytes::from(stored))
                .expect("the bytes of the shape")
        };
        let caches = (0..sequences).map(|_| {
            let mut cache = KeyValues::new(WIDTH / HEAD, HEAD);
            cache.reserve(POSITIONS);
            cache
        });
        Step {
            compute,
            square: matrix(WIDTH, WIDTH),
            up: matrix(FFN, WIDTH),
            down: matrix(WIDTH, FFN),
            caches: caches.collect(),
            rotary: Rotary::new(HEAD, 1e4, POSITIONS),
            positions: vec![0; sequences],
            x: vec![0.5; sequences * WIDTH],
            y: vec![0.0; sequences * WIDTH],
            z: vec![0.0; sequences * WIDTH],
            gate: vec![0.0; sequences * FFN],
            ffn: vec![0.0; sequences * FFN],
        }
    }

    fn run(&mut self) {
        let c = &self.compute;
        ops::rms_norm(c, &self.x, &[1.0; WIDTH], 1e-6, &mut self.y);
        ops::linear(c, &self.y, &self.square, None, &mut self.z);
        ops::rotary(c, &mut self.z, HEAD, &self.rotary, &self.positions);
        for (sequence, cache) in self.caches.iter_mut().enumerate() {
            let row = sequence * WIDTH..(sequence + 1) * WIDTH;
            cache.append(c, &self.z[row.clone()], &self.z[row.clone()]);
            let visible = Visible::Causal {
                first: self.positions[sequence],
            };
            ops::attention(
                c,
                &self.z[row.clone()],
                WIDTH / HEAD,
                cache,
                visible,
                &mut self.y[row],
            );
            self.positions[sequence] += 1;
        }
        ops::linear_add(c, &self.y, &self.square, None, &mut self.x);
        ops::linear(c, &self.x, &self.up, None, &mut self.gate);
        ops::linear(c, &self.x, &self.up, None, &mut self.ffn);
        ops::silu_mul(c, &mut self.gate, &self.ffn);
        ops::linear(c, &self.gate, &self.down, None, &mut self.z);
        ops::add(c, &mut self.x, &self.z);
        self.x.iter_mut().for_each(|x| *x *= 0.01);
    }
}
