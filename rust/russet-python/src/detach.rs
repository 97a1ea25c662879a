//! The one door between Python and the core.
//!
//! Long work runs detached from the interpreter, so that other Python threads go on, and looks for Ctrl-C now and then. Short
//! work stays attached: detaching costs more than it gives below a few KB. A panic becomes [`Error::Internal`].

use pyo3::prelude::*;
use russet::{Error, Result, Watch};
use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::error::exception;

/// From this many bytes of text on, the interpreter is left.
const DETACH_BYTES: usize = 4096;
/// Signals are looked for this often at most, as that means to wait for the interpreter.
const SIGNAL_PERIOD: Duration = Duration::from_millis(20);

/// The guard of a mutex, whose value is whole even if a thread panicked while it held the guard.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` on about `bytes` bytes of text.
pub fn run<T, F>(py: Python<'_>, bytes: usize, work: F) -> PyResult<T>
where
    T: Send,
    F: FnOnce(Option<&dyn Watch>) -> Result<T> + Send,
{
    if bytes < DETACH_BYTES {
        return catch(|| work(None)).map_err(|error| exception(py, &error));
    }
    let signals = Signals::new();
    let result = py.detach(|| catch(|| work(Some(&signals))));
    // What a signal raised is not lost, whatever became of the work.
    match signals.into_raised() {
        Some(raised) => Err(raised),
        None => result.map_err(|error| exception(py, &error)),
    }
}

fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Frozen objects only: nothing that `work` has seen can be left half changed.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Error::Internal(message(&*payload))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic").to_owned()
}

/// Looks for Python's signals from the thread that made it; other threads only learn that they should stop.
struct Signals {
    thread: ThreadId,
    stopped: AtomicBool,
    state: Mutex<State>,
}

struct State {
    looked: Instant,
    raised: Option<PyErr>,
}

impl Signals {
    fn new() -> Self {
        let state = State { looked: Instant::now(), raised: None };
        Self { thread: std::thread::current().id(), stopped: AtomicBool::new(false), state: Mutex::new(state) }
    }

    fn into_raised(self) -> Option<PyErr> {
        self.state.into_inner().ok()?.raised
    }

    fn is_due(&self) -> bool {
        let Ok(mut state) = self.state.lock() else { return false };
        let due = state.looked.elapsed() >= SIGNAL_PERIOD;
        if due {
            state.looked = Instant::now();
        }
        due
    }
}

impl Watch for Signals {
    fn check(&self) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if std::thread::current().id() != self.thread || !self.is_due() {
            return Ok(());
        }
        let Err(raised) = Python::attach(|py| py.check_signals()) else { return Ok(()) };
        if let Ok(mut state) = self.state.lock() {
            state.raised = Some(raised);
        }
        self.stopped.store(true, Ordering::Relaxed);
        Err(Error::Interrupted)
    }
}
