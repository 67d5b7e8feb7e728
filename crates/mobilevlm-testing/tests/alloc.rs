//! The counting allocator against allocations whose sizes are known.

use std::hint::black_box;

use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn counts_sizes_and_peak_of_the_calling_thread() {
    assert!(alloc::installed());
    let (_, usage) = alloc::measure(|| {
        drop(black_box(Vec::<u8>::with_capacity(300)));
        drop(black_box(Vec::<u8>::with_capacity(200)));
        let mut grown = black_box(Vec::<u8>::with_capacity(50));
        grown.reserve_exact(100);
        black_box(vec![0_u8; 10])
    });
    assert_eq!(usage.count, 5);
    assert_eq!(usage.largest, 300);
    assert_eq!(usage.peak, 300);
}

#[test]
fn other_threads_do_not_count_for_this_one() {
    let (_, thread) = alloc::measure(|| {
        std::thread::spawn(|| drop(black_box(Vec::<u8>::with_capacity(1 << 22))))
            .join()
            .unwrap();
    });
    assert!(thread.largest < 1 << 22, "{thread:?}");
}

#[test]
fn work_that_allocates_nothing_counts_nothing() {
    let mut values = [3_u32, 1, 2];
    let (_, usage) = alloc::measure(|| values.sort_unstable());
    assert_eq!(usage, alloc::Usage::default());
}

#[test]
fn the_cap_refuses_what_exceeds_it() {
    let (result, _) = alloc::measure(|| {
        alloc::set_cap(1 << 40);
        let mut greedy = Vec::<u8>::new();
        let result = greedy.try_reserve_exact(1 << 41);
        alloc::set_cap(u64::MAX);
        result
    });
    assert!(result.is_err());
}
