//! Passes over rows and over single numbers, eight at a time, shared among threads where there is enough.
//!
//! What does not fill eight lanes goes through them as well, padded, so that a number's result does not depend on where it stands.
//!
//! O(numbers). The wrong place for anything that reads more than its own row.

use super::pool;
use crate::lanes::{run, FusedLanes, Kernel, LANES};
use crate::simd::Level;

/// Passes over fewer numbers than this stay on their thread.
const PARALLEL_NUMBERS: usize = 1 << 15;
/// How many numbers a thread takes at a time, about.
const RUN_NUMBERS: usize = 1 << 13;

/// Fewer than eight numbers, and others behind them.
#[inline(always)]
fn padded(rest: &[f32], padding: f32) -> [f32; LANES] {
    let mut eight = [padding; LANES];
    eight[..rest.len()].copy_from_slice(rest);
    eight
}

/// Eight numbers of a row, padded with zeros behind its end.
#[inline(always)]
pub(super) fn eight_at<V: FusedLanes>(row: &[f32], at: usize) -> V {
    match row[at..].first_chunk::<LANES>() {
        Some(eight) => V::load(eight),
        None => V::load(&padded(&row[at..], 0.0)),
    }
}

// Steps and functions are traits, as closures with two calls would not be inlined, and not be compiled for the processor's features.

/// What sees the numbers of a row one after the other.
pub(super) trait Step<V> {
    fn step(&mut self, eight: V);
}

/// A function of numbers, the first of which stands at an index of its row.
pub(super) trait Function<V> {
    fn of(&mut self, at: usize, eight: V) -> V;
}

/// Shows a row to a step, padded to eights.
#[inline(always)]
pub(super) fn read<V: FusedLanes, S: Step<V>>(row: &[f32], padding: f32, mut step: S) -> S {
    let (eights, rest) = row.as_chunks::<LANES>();
    for eight in eights {
        step.step(V::load(eight));
    }
    if !rest.is_empty() {
        step.step(V::load(&padded(rest, padding)));
    }
    step
}

/// Fills a row with a function of another of its length, which is padded to eights.
#[inline(always)]
pub(super) fn fill<V: FusedLanes, F: Function<V>>(row: &[f32], padding: f32, out: &mut [f32], mut function: F) -> F {
    let (eights, rest) = row.as_chunks::<LANES>();
    let (outs, outs_rest) = out.as_chunks_mut::<LANES>();
    for (index, (eight, out)) in eights.iter().zip(outs).enumerate() {
        function.of(index * LANES, V::load(eight)).store(out);
    }
    if !rest.is_empty() {
        let mut eight = padded(rest, padding);
        function.of(row.len() - rest.len(), V::load(&eight)).store(&mut eight);
        outs_rest.copy_from_slice(&eight[..rest.len()]);
    }
    function
}

/// Changes a row in place.
#[inline(always)]
pub(super) fn change<V: FusedLanes, F: Function<V>>(row: &mut [f32], padding: f32, mut function: F) -> F {
    let length = row.len();
    let (eights, rest) = row.as_chunks_mut::<LANES>();
    for (index, eight) in eights.iter_mut().enumerate() {
        function.of(index * LANES, V::load(eight)).store(eight);
    }
    if !rest.is_empty() {
        let mut eight = padded(rest, padding);
        function.of(length - rest.len(), V::load(&eight)).store(&mut eight);
        rest.copy_from_slice(&eight[..rest.len()]);
    }
    function
}

/// A pass over one row.
pub(super) trait RowPass: Copy + Sync + Send {
    /// Reads `row`, the one of this index, and fills `out`.
    fn row<V: FusedLanes>(self, index: usize, row: &[f32], out: &mut [f32]);
}

/// A pass over each row of `length` numbers.
pub(super) fn each_row(level: Level, values: &[f32], length: usize, out: &mut [f32], threads: usize, pass: impl RowPass) {
    let threads = if values.len() < PARALLEL_NUMBERS { 1 } else { pool::threads(threads) };
    let rows = (RUN_NUMBERS / length).max(1);
    let runs = values.chunks(rows * length).zip(out.chunks_mut(rows * length)).enumerate();
    if threads <= 1 {
        return run(level, Rows { first: 0, values, length, out, pass });
    }
    pool::each(threads, runs, |(index, (values, out))| run(level, Rows { first: index * rows, values, length, out, pass }));
}

struct Rows<'a, P> {
    first: usize,
    values: &'a [f32],
    length: usize,
    out: &'a mut [f32],
    pass: P,
}

impl<P: RowPass> Kernel for Rows<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: FusedLanes>(self) {
        for (index, (row, out)) in self.values.chunks(self.length).zip(self.out.chunks_mut(self.length)).enumerate() {
            self.pass.row::<V>(self.first + index, row, out);
        }
    }
}
