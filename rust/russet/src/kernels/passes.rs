//! Passes over rows and over single numbers, eight at a time, shared among threads where there is enough.
//!
//! What does not fill eight lanes goes through them as well, padded, so that a number's result does not depend on where it stands.
//!
//! O(numbers). The wrong place for anything that reads more than its own row.

use super::lanes::{Lanes, LANES};
use super::{pool, run, Kernel};
use crate::simd::Level;

/// Passes over fewer numbers than this stay on their thread.
const PARALLEL_NUMBERS: usize = 1 << 15;
/// How many numbers a thread takes at a time, about.
const RUN_NUMBERS: usize = 1 << 13;

/// The numbers of a row by eights; the last may be padded.
#[inline(always)]
pub(super) fn eights<V: Lanes>(row: &[f32], padding: f32) -> impl Iterator<Item = V> + '_ {
    let (eights, rest) = row.as_chunks::<LANES>();
    eights.iter().map(V::load).chain((!rest.is_empty()).then(|| V::load(&padded(rest, padding))))
}

/// Fewer than eight numbers, and others behind them.
#[inline(always)]
fn padded(rest: &[f32], padding: f32) -> [f32; LANES] {
    let mut eight = [padding; LANES];
    eight[..rest.len()].copy_from_slice(rest);
    eight
}

/// Fills a row of eights; of the last, what there is room for.
#[inline(always)]
pub(super) fn fill<V: Lanes>(values: impl Iterator<Item = V>, out: &mut [f32]) {
    let (outs, rest) = out.as_chunks_mut::<LANES>();
    let mut values = values;
    for out in outs {
        if let Some(value) = values.next() {
            value.store(out);
        }
    }
    if let (false, Some(value)) = (rest.is_empty(), values.next()) {
        let mut eight = [0.0; LANES];
        value.store(&mut eight);
        rest.copy_from_slice(&eight[..rest.len()]);
    }
}

/// Changes a row in place; the last eight may be padded.
#[inline(always)]
pub(super) fn in_place<V: Lanes>(row: &mut [f32], padding: f32, mut each: impl FnMut(V) -> V) {
    let (eights, rest) = row.as_chunks_mut::<LANES>();
    for eight in eights {
        each(V::load(eight)).store(eight);
    }
    if !rest.is_empty() {
        let mut eight = padded(rest, padding);
        each(V::load(&eight)).store(&mut eight);
        rest.copy_from_slice(&eight[..rest.len()]);
    }
}

/// A pass over one row.
pub(super) trait RowPass: Copy + Sync + Send {
    /// Reads `row`, the one of this index, and fills `out`.
    fn row<V: Lanes>(self, index: usize, row: &[f32], out: &mut [f32]);
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
    fn run<V: Lanes>(self) {
        for (index, (row, out)) in self.values.chunks(self.length).zip(self.out.chunks_mut(self.length)).enumerate() {
            self.pass.row::<V>(self.first + index, row, out);
        }
    }
}
