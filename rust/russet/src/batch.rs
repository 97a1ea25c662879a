//! Many inputs on several threads.
//!
//! Threads live only as long as the call: nothing is inherited by a forked process, and nothing waits in the background. Work is
//! handed out in small runs of inputs, so that long and short inputs even out. A call with little to do starts no thread. What is
//! long itself is divided before ([`long_text`](crate::long_text)).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Mutex;

use crate::tokenizer::{InputPair, Watch};
use crate::{Error, Result};

/// A call with fewer bytes than this stays on its thread: starting one costs about as much as encoding this.
const PARALLEL_BYTES: usize = 1 << 16;

/// How many runs of inputs each thread gets on average.
const RUNS_PER_THREAD: usize = 8;

/// [`Watch::check`] is called each time that a thread has done this many bytes. A long input sees to it itself.
const WATCH_BYTES: usize = 1 << 18;

/// `each` of every input, in order, or the error of the first input that failed.
pub(crate) fn map<T: Send>(
    inputs: &[InputPair<'_>],
    watch: Option<&dyn Watch>,
    each: &(dyn Fn(&InputPair<'_>) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let length = |(first, second): &InputPair<'_>| first.len() + second.map_or(0, |second| second.len());
    let run = |inputs: &[InputPair<'_>]| {
        let mut watched = 0;
        let watched_each = |input| {
            watched += length(input);
            if watched >= WATCH_BYTES {
                watched = 0;
                watch.map_or(Ok(()), Watch::check)?;
            }
            each(input)
        };
        inputs.iter().map(watched_each).collect::<Result<Vec<T>>>()
    };
    let bytes: usize = inputs.iter().map(length).sum();
    let threads = if bytes < PARALLEL_BYTES { 1 } else { thread_count().min(inputs.len()) };
    if threads <= 1 {
        return run(inputs);
    }
    let run_length = inputs.len().div_ceil(threads * RUNS_PER_THREAD);
    let runs = share(inputs.len(), run_length, threads, &|start, end| run(&inputs[start..end]))?;
    let mut results = Vec::with_capacity(inputs.len());
    runs.into_iter().for_each(|run| results.extend(run));
    Ok(results)
}

/// What `work` gives for each run of `run_length` of `count` items, in order, or the error of the first run that failed.
pub(crate) fn share<T: Send>(
    count: usize,
    run_length: usize,
    threads: usize,
    work: &(dyn Fn(usize, usize) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(Vec::new());
    let take_runs = || {
        while !failed.load(Ordering::Relaxed) {
            let start = next.fetch_add(run_length, Ordering::Relaxed);
            if start >= count {
                break;
            }
            let result = work(start, count.min(start + run_length));
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            if let Ok(mut done) = done.lock() {
                done.push((start, result));
            }
        }
    };
    std::thread::scope(|scope| {
        // A thread that cannot be started is no error: the others take its work.
        for _ in 1..threads.min(count.div_ceil(run_length.max(1))) {
            let _ = std::thread::Builder::new().name("russet-batch".into()).spawn_scoped(scope, take_runs);
        }
        take_runs();
    });
    let mut runs = done.into_inner().map_err(|_| Error::Internal("a batch thread panicked".into()))?;
    runs.sort_unstable_by_key(|(start, _)| *start);
    runs.into_iter().map(|(_, run)| run).collect()
}

/// The number of threads to use: `RUSSET_NUM_THREADS`, else 1 if `TOKENIZERS_PARALLELISM` is off, else the number of cores that
/// this process may use.
pub fn thread_count() -> usize {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(count) = variable("RUSSET_NUM_THREADS").and_then(|value| value.parse::<usize>().ok()) {
        return count.max(1);
    }
    let is_off = |value: String| matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "no" | "n" | "f" | "0");
    if variable("TOKENIZERS_PARALLELISM").is_some_and(is_off) {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;

    #[test]
    fn keeps_order_and_reports_the_first_error() {
        let texts: Vec<String> = (0..5000).map(|index| format!("{index:>20}")).collect();
        let inputs: Vec<InputPair<'_>> = texts.iter().map(|text| (Input::Text(text), None)).collect();
        let number = |(input, _): &InputPair<'_>| match input {
            Input::Text(text) => Ok(text.trim().parse::<usize>().unwrap()),
            Input::Words(_) => unreachable!(),
        };
        assert_eq!(map(&inputs, None, &number).unwrap(), (0..5000).collect::<Vec<_>>());
        let failing = |input: &InputPair<'_>| match number(input)? {
            value if value >= 4000 => Err(Error::Interrupted),
            value => Ok(value),
        };
        assert!(matches!(map(&inputs, None, &failing), Err(Error::Interrupted)));
    }

    #[test]
    fn stops_when_the_watch_says_so() {
        struct Stop;
        impl Watch for Stop {
            fn check(&self) -> Result<()> {
                Err(Error::Interrupted)
            }
        }
        let text = "x".repeat(WATCH_BYTES / 4);
        let inputs = vec![(Input::Text(&text), None); 9];
        let done = AtomicUsize::new(0);
        let count = |_: &InputPair<'_>| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        assert!(map(&inputs[..3], Some(&Stop), &count).is_ok());
        assert!(matches!(map(&vec![inputs[0]; 1000], Some(&Stop), &count), Err(Error::Interrupted)));
        assert!(done.load(Ordering::Relaxed) < 1000);
    }
}
