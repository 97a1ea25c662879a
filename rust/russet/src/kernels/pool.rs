//! Threads that wait for work: a call of some ten microseconds can use them, which starting threads for it could not.
//!
//! [`each`] takes items from one iterator on several threads, each as soon as it is done with the one before. The caller is one of
//! the threads and waits only for what was begun: a thread that wakes up too late finds the work closed. Workers look for work for
//! some microseconds after each call, then sleep.
//!
//! There is one pool for the process, lent to one call at a time; a call that finds it in use does its work alone. A forked child
//! makes its own, as threads are not inherited. Nothing waits for the workers when the process ends.
//!
//! A call costs about two microseconds for workers that are awake, fifty for those that sleep. The wrong choice for long texts and
//! batches of them, whose threads may live as long as the call: [`batch`](crate::batch).

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Thread;

/// How often a worker looks for work before it sleeps: some twenty microseconds.
const LOOKS: usize = 600;
/// More threads than this are never used.
const MOST_THREADS: usize = 256;

/// The number of threads for `threads = 0`: [`thread_count`](crate::thread_count), read once.
pub(super) fn threads(wanted: usize) -> usize {
    // Not a lock, as a forked child could find it taken for ever.
    static DEFAULT: AtomicUsize = AtomicUsize::new(0);
    if wanted != 0 {
        return wanted.min(MOST_THREADS);
    }
    if DEFAULT.load(Ordering::Relaxed) == 0 {
        DEFAULT.store(crate::thread_count().min(MOST_THREADS), Ordering::Relaxed);
    }
    DEFAULT.load(Ordering::Relaxed)
}

/// Gives every item to `work`, on up to `threads` threads.
pub(super) fn each<T: Send>(threads: usize, items: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    if threads <= 1 {
        return items.for_each(work);
    }
    let items = Mutex::new(items);
    let take = || {
        // The guard is given back before the work begins.
        let next = || lock(&items).next();
        while let Some(item) = next() {
            work(item);
        }
    };
    match Pool::of_process(threads - 1) {
        Some(pool) => pool.run(threads - 1, &take),
        None => take(),
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Work<'a> = &'a (dyn Fn() + Sync);

struct Job {
    work: Work<'static>,
    /// How many workers may still begin.
    places: usize,
    caller: Thread,
}

#[derive(Default)]
struct State {
    /// The work, until the caller closes it.
    job: Option<Job>,
    /// How many workers have begun and not ended.
    running: usize,
    /// What a worker panicked with.
    panic: Option<Box<dyn std::any::Any + Send>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How many jobs there were.
    jobs: AtomicUsize,
}

struct Pool {
    shared: Arc<Shared>,
    workers: Mutex<Vec<Thread>>,
    /// Held by the call that uses the pool.
    user: Mutex<()>,
    process: u32,
}

impl Pool {
    /// The pool of this process; none if it is being made, or no thread can be started.
    fn of_process(workers: usize) -> Option<Arc<Self>> {
        static POOL: Mutex<Option<Arc<Pool>>> = Mutex::new(None);
        // Never waited for: another thread may have held it when this process was forked, and then nobody gives it back.
        let mut pool = POOL.try_lock().ok()?;
        let process = std::process::id();
        if let Some(pool) = pool.as_ref().filter(|pool| pool.process == process) {
            return Some(Arc::clone(pool));
        }
        let made = Self { shared: Arc::default(), workers: Mutex::default(), user: Mutex::default(), process };
        made.grow(workers);
        Some(Arc::clone(pool.insert(Arc::new(made))))
    }

    /// Starts threads until there are as many workers, or no more can be started.
    fn grow(&self, workers: usize) {
        let mut threads = lock(&self.workers);
        while threads.len() < workers {
            let shared = Arc::clone(&self.shared);
            match std::thread::Builder::new().name("russet-kernels".into()).spawn(move || shared.serve()) {
                Ok(handle) => threads.push(handle.thread().clone()),
                Err(_) => break,
            }
        }
    }

    /// Runs `work` here and on `workers` other threads at once; ends when it has ended on all that have begun it.
    fn run(&self, workers: usize, work: Work<'_>) {
        let _user = match self.user.try_lock() {
            Err(TryLockError::WouldBlock) => return work(),
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Ok(guard) => guard,
        };
        self.grow(workers);
        // SAFETY: the lifetime alone changes. A worker calls `work` only between taking a place of the job and giving back its share
        // of `running`; `Closing` takes the job away and waits for `running` to be zero before this function ends, however it ends.
        let endless = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
        let closing = Closing(&self.shared);
        let job = Some(Job { work: endless, places: workers, caller: std::thread::current() });
        *lock(&self.shared.state) = State { job, running: 0, panic: None };
        self.shared.jobs.fetch_add(1, Ordering::Release);
        lock(&self.workers).iter().take(workers).for_each(Thread::unpark);
        work();
        drop(closing);
        if let Some(panic) = lock(&self.shared.state).panic.take() {
            resume_unwind(panic);
        }
    }
}

/// Takes a job from the pool and waits for the workers that have begun it.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while {
            let mut state = lock(&self.0.state);
            state.job = None;
            state.running > 0
        } {
            if looks < LOOKS {
                looks += 1;
                std::hint::spin_loop();
            } else {
                std::thread::park();
            }
        }
    }
}

impl Shared {
    /// What a worker does all its life.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let mut looks = 0;
            while self.jobs.load(Ordering::Acquire) == seen {
                if looks < LOOKS {
                    looks += 1;
                    std::hint::spin_loop();
                } else {
                    std::thread::park();
                }
            }
            seen = self.jobs.load(Ordering::Acquire);
            let Some((work, caller)) = self.begin() else { continue };
            let result = catch_unwind(AssertUnwindSafe(work));
            let mut state = lock(&self.state);
            state.panic = result.err().or(state.panic.take());
            state.running -= 1;
            let was_last = state.running == 0 && state.job.is_none();
            drop(state);
            if was_last {
                caller.unpark();
            }
        }
    }

    fn begin(&self) -> Option<(Work<'static>, Thread)> {
        let mut state = lock(&self.state);
        let job = state.job.as_mut()?;
        job.places = job.places.checked_sub(1)?;
        let begun = (job.work, job.caller.clone());
        state.running += 1;
        Some(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_item_is_done_once_on_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            for count in [0, 1, 2, 7, 1000] {
                let mut done = vec![0u32; count];
                each(threads, done.iter_mut().enumerate(), |(index, item)| *item += index as u32 + 1);
                assert!(done.iter().enumerate().all(|(index, item)| *item == index as u32 + 1), "{threads} {count}");
            }
        }
    }

    #[test]
    fn calls_from_many_threads_and_from_within_work_are_all_done() {
        let sum = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        each(3, 0..4u64, |one| {
                            each(2, 0..3u64, |two| {
                                sum.fetch_add(one * 3 + two, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 6 * 200 * (0..12).sum::<u64>());
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
        for _ in 0..20 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                each(2, 0..50, |item| {
                    if item > 20 {
                        resume_unwind(Box::new("meant"));
                    }
                });
            }));
            assert_eq!(*result.unwrap_err().downcast_ref::<&str>().unwrap(), "meant");
        }
        let done = AtomicUsize::new(0);
        each(2, 0..50, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 50);
    }
}
