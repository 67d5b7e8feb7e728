//! The counting allocator over all threads; alone in its file, since other tests allocate too.

use std::hint::black_box;

use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn other_threads_count_for_the_process() {
    let (_, process) = alloc::measure_process(|| {
        std::thread::spawn(|| drop(black_box(Vec::<u8>::with_capacity(1 << 22))))
            .join()
            .unwrap();
    });
    assert!(process.largest >= 1 << 22, "{process:?}");
    // What the harness frees meanwhile counts too, and is little.
    assert!(process.peak >= (1 << 22) - (1 << 16), "{process:?}");
}
