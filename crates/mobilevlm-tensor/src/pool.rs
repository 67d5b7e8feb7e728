//! Threads that share the tasks of one computation.
//!
//! Work is split by what is left to do: threads take the next task from a counter, so a thread
//! that another process slows down takes fewer tasks instead of delaying its share. The calling
//! thread takes part, and waits only for threads that are inside a task.
//!
//! Between computations a thread spins for a bounded time, because the next one usually follows
//! within microseconds, and then sleeps. Waiting for ever in a spin would take the core away from
//! the thread that is waited for when there are more runnable threads than cores.
//!
//! A thread that loses its core inside a task is waited for, as long as another process's share of
//! the core lasts: some milliseconds, in which all operations of a decoded token could have run. A
//! caller with one worker therefore keeps an account ([`Company`]) of what the worker saves and
//! what waiting for it costs, and works alone for a while where it costs more.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a waiting thread spins before it sleeps. Waking a sleeping thread costs about as much.
const SPIN: Duration = Duration::from_micros(80);

/// A fixed number of threads that run the tasks of one computation at a time.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let pool = mobilevlm_tensor::Pool::new(4);
/// let sum = AtomicUsize::new(0);
/// pool.run(10, &|task| {
///     sum.fetch_add(task, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 45);
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread whose computation the workers are running.
    turn: Mutex<Company>,
}

/// `job(task, thread)`; `thread` is below [`Pool::threads`] and no two threads have the same.
pub(crate) type Job<'a> = &'a (dyn Fn(usize, usize) + Sync + 'a);

impl Pool {
    /// A pool of `threads` threads, the calling one included; 0 counts as 1.
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared::default());
        let workers: Vec<JoinHandle<()>> = (1..threads)
            .map_while(|thread| {
                let shared = Arc::clone(&shared);
                let name = format!("mobilevlm-{thread}");
                // A thread that the system refuses is done without: the others take its tasks.
                std::thread::Builder::new()
                    .name(name)
                    .spawn(move || shared.work(thread))
                    .ok()
            })
            .collect();
        // A thread allocates while it starts, which must not happen during a later computation.
        let mut started = lock(&shared.started);
        while *started < workers.len() {
            started = shared
                .all_started
                .wait(started)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(started);
        Pool {
            shared,
            workers,
            turn: Mutex::new(Company::default()),
        }
    }

    /// Number of threads that take tasks, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job` once for each task in `0..tasks` and returns when all calls have returned.
    ///
    /// Does not allocate. A computation that another thread started on this pool is waited for;
    /// called from inside a task, all tasks run on the calling thread.
    ///
    /// # Panics
    /// If a task panics, with the same payload, after the other running tasks have returned;
    /// tasks that had not started are left out.
    pub fn run(&self, tasks: usize, job: &(dyn Fn(usize) + Sync)) {
        self.run_on(tasks, &|task, _| job(task));
    }

    /// [`run`](Pool::run) for jobs that also want the number of the thread they are on.
    pub(crate) fn run_on(&self, tasks: usize, job: Job) {
        if tasks <= 1 || self.workers.is_empty() || INSIDE.get() {
            for task in 0..tasks {
                job(task, 0);
            }
            return;
        }
        let mut turn = lock(&self.turn);
        INSIDE.set(true);
        let done = catch_unwind(AssertUnwindSafe(|| self.alone(tasks, job, &mut turn)));
        let result = done.and_then(|first| self.together(first, tasks, job, &mut turn));
        INSIDE.set(false);
        drop(turn);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    /// Runs tasks on the calling thread while the worker costs more than it saves; returns the
    /// first that is left. Of several workers one may be held up while the others are of use.
    fn alone(&self, tasks: usize, job: Job, company: &mut Company) -> usize {
        let mut task = 0;
        while task < tasks && self.workers.len() == 1 && company.is_costly() {
            let start = Instant::now();
            job(task, 0);
            company.enter_alone(start.elapsed());
            task += 1;
        }
        task
    }

    /// Runs the tasks from `first` on, on all threads.
    fn together(
        &self,
        first: usize,
        tasks: usize,
        job: Job,
        company: &mut Company,
    ) -> std::thread::Result<()> {
        if first == tasks {
            return Ok(());
        }
        let start = Instant::now();
        self.shared.publish(job, first, tasks);
        let mine = catch_unwind(AssertUnwindSafe(|| self.shared.take_tasks(job, tasks, 0)));
        let worked = start.elapsed();
        let own = mine.unwrap_or_else(|payload| {
            self.shared.stop_early(tasks, payload);
            0
        });
        self.shared.finish();
        company.enter(worked, own, tasks - first, start.elapsed() - worked);
        match lock(&self.shared.panic).take() {
            Some(payload) => Err(payload),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.wake_sleepers();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, so it always ends regularly.
            let _ = worker.join();
        }
    }
}

/// An account of what a caller's worker saves and costs.
#[derive(Debug)]
struct Company {
    /// Time lost by waiting, less time saved by what the worker did meanwhile.
    lost: Duration,
    /// How long to be alone for each bit of time lost.
    pause: u32,
    /// Time in company since the last loss.
    since: Duration,
}

impl Default for Company {
    fn default() -> Company {
        Company {
            lost: Duration::ZERO,
            pause: 1,
            since: Duration::ZERO,
        }
    }
}

impl Company {
    /// Shorter waits than this belong to every computation.
    const NOTABLE: Duration = Duration::from_micros(300);

    /// A loss so soon after another is no accident: something else wants the core for good, and
    /// has it about as long as the worker. Otherwise the machine is as good as free.
    const SOON: Duration = Duration::from_millis(15);

    /// Longest pause: of the time in which the worker could have been asked, a tenth is waiting.
    const LONGEST_PAUSE: u32 = 8;

    /// Whether the caller is better off alone for now.
    fn is_costly(&self) -> bool {
        !self.lost.is_zero()
    }

    /// Enters a computation of `tasks`, of which the caller did `own` in the time `worked` and then
    /// waited.
    fn enter(&mut self, worked: Duration, own: usize, tasks: usize, waited: Duration) {
        self.since = self.since.saturating_add(worked + waited);
        if waited < Self::NOTABLE || own == 0 {
            return;
        }
        let saved = worked.mul_f64((tasks - own.min(tasks)) as f64 / own as f64);
        let lost = waited.saturating_sub(saved);
        if lost.is_zero() {
            return;
        }
        self.lost += lost;
        self.pause = if self.since - waited < Self::SOON {
            (2 * self.pause).min(Self::LONGEST_PAUSE)
        } else {
            1
        };
        self.since = Duration::ZERO;
    }

    /// Enters a task that the caller did alone.
    fn enter_alone(&mut self, worked: Duration) {
        self.lost = self.lost.saturating_sub(worked / self.pause);
    }
}

thread_local! {
    /// Whether this thread is inside a task of some pool.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A computation: what to call, and for how many tasks.
#[derive(Clone, Copy)]
struct Work {
    job: Job<'static>,
    tasks: usize,
}

/// What the threads share.
///
/// `state` says whether the current computation can be joined, and by how many it has been:
/// bits 0–15 count the workers inside, bit 16 is set while it is open, and the rest is the number
/// of the computation. A worker enters by adding one to an open state and leaves by taking one
/// away; `work` is written only while the state is closed with nobody inside, and read only by
/// those inside.
#[derive(Default)]
struct Shared {
    state: AtomicU64,
    work: UnsafeCell<Option<Work>>,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    /// Workers that have started.
    started: Mutex<usize>,
    all_started: Condvar,
    /// Guards sleeping: whoever sleeps checks its reason under this lock.
    sleep: Mutex<()>,
    sleepers: AtomicUsize,
    opened: Condvar,
    caller_sleeps: AtomicBool,
    left: Condvar,
}

// SAFETY: `work` is the only field that is not `Sync` itself; the protocol of `state`, described
// at the type, orders each write of it before and after all reads.
unsafe impl Sync for Shared {}

const INSIDE_MASK: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const NUMBER: u32 = 17;

impl Shared {
    /// Opens a computation of the tasks from `first` on. The caller holds the pool's turn, so the
    /// state is closed and empty.
    fn publish(&self, job: Job, first: usize, tasks: usize) {
        // SAFETY: only the lifetime changes. `finish` returns after the last worker has left, and
        // workers use the reference only inside, so no use outlives the caller's borrow.
        let job = unsafe { std::mem::transmute::<Job<'_>, Job<'static>>(job) };
        // SAFETY: the state is closed and nobody is inside, so nobody reads.
        unsafe { *self.work.get() = Some(Work { job, tasks }) };
        self.next.store(first, Ordering::Relaxed);
        let number = self.state.load(Ordering::Relaxed) >> NUMBER;
        self.state
            .store((number + 1) << NUMBER | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake_sleepers();
        }
    }

    /// Returns the number of tasks that this thread took.
    fn take_tasks(&self, job: Job, tasks: usize, thread: usize) -> usize {
        let mut taken = 0;
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return taken;
            }
            job(task, thread);
            taken += 1;
        }
    }

    /// Closes the computation and waits for the workers that are inside.
    fn finish(&self) {
        self.state.fetch_and(!OPEN, Ordering::SeqCst);
        if spin_until(|| self.state.load(Ordering::Acquire) & INSIDE_MASK == 0) {
            return;
        }
        let mut guard = lock(&self.sleep);
        self.caller_sleeps.store(true, Ordering::SeqCst);
        while self.state.load(Ordering::SeqCst) & INSIDE_MASK != 0 {
            guard = self
                .left
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.caller_sleeps.store(false, Ordering::SeqCst);
    }

    /// The life of a worker.
    fn work(&self, thread: usize) {
        INSIDE.set(true);
        *lock(&self.started) += 1;
        self.all_started.notify_all();
        let mut last = 0;
        while let Some(open) = self.wait_for_other_than(last) {
            if self
                .state
                .compare_exchange(open, open + 1, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            last = open >> NUMBER;
            // SAFETY: this worker is inside, so `work` was written before and is not written now.
            let work = unsafe { *self.work.get() };
            if let Some(Work { job, tasks }) = work {
                let mine = catch_unwind(AssertUnwindSafe(|| self.take_tasks(job, tasks, thread)));
                if let Err(payload) = mine {
                    self.stop_early(tasks, payload);
                }
            }
            let before = self.state.fetch_sub(1, Ordering::SeqCst);
            if before & INSIDE_MASK == 1 && self.caller_sleeps.load(Ordering::SeqCst) {
                let _guard = lock(&self.sleep);
                self.left.notify_all();
            }
        }
    }

    /// The state of an open computation with another number than `last`; `None` when the pool is
    /// dropped.
    fn wait_for_other_than(&self, last: u64) -> Option<u64> {
        let open = || {
            let state = self.state.load(Ordering::SeqCst);
            (state & OPEN != 0 && state >> NUMBER != last).then_some(state)
        };
        let stop = || self.stop.load(Ordering::SeqCst);
        loop {
            if stop() {
                return None;
            }
            if let Some(state) = open() {
                return Some(state);
            }
            if !spin_until(|| open().is_some() || stop()) {
                let mut guard = lock(&self.sleep);
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                while open().is_none() && !stop() {
                    guard = self
                        .opened
                        .wait(guard)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn wake_sleepers(&self) {
        let _guard = lock(&self.sleep);
        self.opened.notify_all();
    }

    /// Keeps the first panic and leaves out the tasks that have not started.
    fn stop_early(&self, tasks: usize, payload: Box<dyn Any + Send>) {
        self.next.store(tasks, Ordering::Relaxed);
        lock(&self.panic).get_or_insert(payload);
    }
}

/// Spins until `ready`, for [`SPIN`] at most; says whether it is.
fn spin_until(ready: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..64 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        let now = Instant::now();
        if now.duration_since(*start.get_or_insert(now)) > SPIN {
            return ready();
        }
    }
}

/// The locks here guard no data that a panic could leave half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each task ran.
    fn counts(pool: &Pool, tasks: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        pool.run(tasks, &|task| {
            counts[task].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn each_task_runs_once_for_any_number_of_threads() {
        for threads in [0, 1, 2, 3, 7] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads.max(1));
            for tasks in [0, 1, 2, 5, 64] {
                assert_eq!(counts(&pool, tasks), vec![1; tasks], "{threads} threads");
            }
        }
    }

    #[test]
    fn many_computations_in_a_row_and_after_sleep() {
        let pool = Pool::new(3);
        let rounds = if cfg!(miri) { 20 } else { 5000 };
        for round in 0..rounds {
            if round % (rounds / 10) == 0 {
                std::thread::sleep(SPIN * 3);
            }
            assert_eq!(counts(&pool, 4), [1; 4]);
        }
    }

    #[test]
    fn threads_are_numbered_apart() {
        let pool = Pool::new(4);
        let inside: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..50 {
            pool.run_on(16, &|_, thread| {
                assert_eq!(
                    inside[thread].fetch_add(1, Ordering::SeqCst),
                    0,
                    "two threads are number {thread}"
                );
                std::thread::yield_now();
                inside[thread].fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            for culprit in [0, 5, 9] {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    pool.run(10, &|task| {
                        if task == culprit {
                            panic!("task {task}");
                        }
                    });
                }));
                let payload = result.expect_err("the panic was swallowed");
                assert_eq!(
                    payload.downcast_ref::<String>(),
                    Some(&format!("task {culprit}"))
                );
                assert_eq!(counts(&pool, 8), [1; 8]);
            }
        }
    }

    #[test]
    fn a_worker_that_is_waited_for_is_left_out_for_a_while() {
        let ms = Duration::from_millis;
        let mut company = Company::default();
        // The usual end of a computation, and a wait that was worth it.
        company.enter(ms(1), 5, 10, Duration::from_micros(40));
        company.enter(ms(20), 10, 20, ms(3));
        company.enter(ms(1), 0, 10, ms(9));
        assert!(!company.is_costly(), "{company:?}");
        // Two of three milliseconds were lost: as long alone.
        company.enter(ms(1), 5, 10, ms(3));
        company.enter_alone(ms(1));
        assert!(company.is_costly(), "{company:?}");
        company.enter_alone(ms(1));
        assert!(!company.is_costly(), "{company:?}");
        // Again soon: twice, then four times as long.
        for pause in [2, 4, 8, 8] {
            company.enter(ms(1), 5, 10, ms(3));
            company.enter_alone(ms(2 * pause - 1));
            assert!(company.is_costly(), "{company:?}");
            company.enter_alone(ms(1));
            assert!(!company.is_costly(), "{company:?}");
        }
        // After a good while it counts as an accident.
        (0..20).for_each(|_| company.enter(ms(1), 5, 10, Duration::ZERO));
        company.enter(ms(1), 5, 10, ms(3));
        company.enter_alone(ms(2));
        assert!(!company.is_costly(), "{company:?}");
    }

    #[test]
    fn a_held_up_worker_does_not_hold_up_what_follows() {
        let pool = Pool::new(2);
        let caller = std::thread::current().id();
        // The worker's tasks take long, as if it had lost its core.
        while !lock(&pool.turn).is_costly() {
            pool.run(2, &|_| {
                if std::thread::current().id() != caller {
                    std::thread::sleep(Duration::from_millis(40));
                }
            });
        }
        let alone = AtomicUsize::new(0);
        assert_eq!(counts(&pool, 9), [1; 9]);
        pool.run(9, &|_| {
            alone.fetch_add(
                usize::from(std::thread::current().id() == caller),
                Ordering::Relaxed,
            );
        });
        assert_eq!(alone.into_inner(), 9, "the worker was asked again at once");
    }

    #[test]
    fn a_task_may_use_the_pool() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        pool.run(4, &|_| {
            pool.run(5, &|task| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 40);
    }

    #[test]
    fn callers_on_different_threads_take_turns() {
        let pool = Pool::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..if cfg!(miri) { 3 } else { 200 } {
                        assert_eq!(counts(&pool, 7), [1; 7]);
                    }
                });
            }
        });
    }
}
