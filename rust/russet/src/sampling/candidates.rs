//! What may still be chosen, while filters take away from it.
//!
//! At first that is every logit from a limit on, told by the row itself ("dense"); as soon as few enough are left it is a list, in
//! the order of the ids. Filters that need a limit only (min-p, epsilon, top-n-sigma) move it and never list what is far below. So
//! a usual chain reads the logits once, and the rest is work on some dozens of candidates.
//!
//! Dense passes cost O(V), see [`kernels`]; work on a list O(n log n). Lists of the whole vocabulary are made by typical
//! decoding, and by top-p where no limit gets near: these are the slow ones.

use super::kernels::{self, Candidate, Temperature, Weighing, BINS};
use super::row::{Row, BLOCK};
use super::select::{about_kth_greatest, kth_greatest, least_that, sort_by_logit, Cut};
use crate::simd::Level;

mod draw;
mod filters;

/// From the limit on, at most so many candidates become a list.
const LISTED: usize = if cfg!(test) { 24 } else { 4096 };
/// Top-p looks at the blocks of so many greatest maxima, before it looks at all.
const NEAR_BLOCKS: usize = if cfg!(test) { 2 } else { 128 };

/// Memory that is used again by later rows.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    maxima: Vec<f32>,
    masses: Vec<f64>,
    list: Vec<Candidate>,
    sorted: Vec<Candidate>,
    values: Vec<f32>,
    weights: Vec<f64>,
    bins: Option<Box<[f64; BINS]>>,
}

/// How equal logits are treated where only some of them fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ties {
    /// All stay.
    All,
    /// Those of the lowest ids stay.
    LowestId,
}

/// The drawn candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) id: u32,
    /// Its share of the mass of all candidates.
    pub(crate) probability: f64,
}

/// The candidates of a row.
#[derive(Debug)]
pub(crate) struct Candidates<'r, 'a> {
    level: Level,
    row: &'r mut Row<'a>,
    buffers: &'r mut Buffers,
    /// The greatest logit that is left.
    max: f32,
    /// Dense: logits below are not candidates.
    least: f32,
    /// Whether `buffers.list` holds the candidates.
    listed: bool,
    /// Whether they are known to be too many for a list.
    many: bool,
    /// If not listed: `buffers.list` holds the candidates from this logit on; none if infinite.
    found_from: f32,
    temperature: Temperature,
}

/// The least number of 32 bits that is not below.
fn round_up(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value {
        near.next_up()
    } else {
        near
    }
}

fn greatest_of(list: &[Candidate]) -> f32 {
    list.iter().fold(f32::NEG_INFINITY, |max, one| max.max(one.logit))
}

impl<'r, 'a> Candidates<'r, 'a> {
    /// All logits of the row; whether one is no number or plus infinity comes with them.
    pub(crate) fn new(level: Level, row: &'r mut Row<'a>, buffers: &'r mut Buffers) -> (Self, bool) {
        let maxima = kernels::maxima(level, row, &mut buffers.maxima);
        let temperature = Temperature::new(1.0);
        let candidates = Self {
            level,
            row,
            buffers,
            max: maxima.greatest,
            least: f32::NEG_INFINITY,
            listed: false,
            many: false,
            found_from: f32::INFINITY,
            temperature,
        };
        (candidates, maxima.invalid)
    }

    /// The greatest logit, minus infinity if nothing can be chosen.
    pub(crate) fn max(&self) -> f32 {
        self.max
    }

    /// Leaves the greatest logit, the one with the lowest id of equals.
    pub(crate) fn keep_greedy(&mut self) {
        let block = self.buffers.maxima.iter().position(|&max| max == self.max).unwrap_or_default();
        let mut logits = [0.0; BLOCK];
        self.row.read_block(block, &mut logits);
        let index = logits.iter().position(|&logit| logit == self.max).unwrap_or_default();
        self.buffers.list.clear();
        self.buffers.list.push(Candidate { id: (block * BLOCK + index) as u32, logit: self.max });
        self.listed = true;
        self.least = self.max;
    }

    /// Divides the logits.
    pub(crate) fn divide_by(&mut self, temperature: f32) {
        self.temperature = Temperature::new(self.temperature.value() * temperature);
    }

    /// A logit as filters of the reference see it.
    fn scaled(&self, logit: f32) -> f32 {
        logit / self.temperature.value()
    }

    /// The least logit that is the same as this one, once both are divided by the temperature.
    fn least_equal(&self, logit: f32) -> f32 {
        let scaled = self.scaled(logit);
        if !scaled.is_finite() || self.scaled(logit.next_down()) != scaled {
            return logit;
        }
        least_that(f32::MIN, logit, |other| self.scaled(other) >= scaled)
    }

    fn weighing(&self) -> Weighing<'_> {
        Weighing { maxima: &self.buffers.maxima, max: self.max, least: self.least, temperature: &self.temperature }
    }

    fn weight(&self, logit: f32) -> f64 {
        libm::exp((f64::from(logit) - f64::from(self.max)) / f64::from(self.temperature.value()))
    }

    /// The logit of a weight, which the greatest logit has as one.
    fn logit_of(&self, weight: f64) -> f64 {
        f64::from(self.max) + f64::from(self.temperature.value()) * libm::log(weight)
    }

    /// Makes the list if there are few candidates. Says whether there is one.
    fn list(&mut self) -> bool {
        if !self.listed && !self.many {
            // Where most blocks have one, as before any filter, only short rows are worth the try.
            let maxima = &self.buffers.maxima;
            let with_some = maxima.iter().filter(|&&max| max >= self.least.max(f32::MIN)).count();
            self.many = 2 * with_some > maxima.len() && with_some * BLOCK > 2 * LISTED;
        }
        self.listed || !self.many && self.list_up_to(LISTED)
    }

    fn list_up_to(&mut self, limit: usize) -> bool {
        let Buffers { maxima, list, .. } = &mut *self.buffers;
        list.clear();
        self.found_from = f32::INFINITY;
        self.listed = kernels::collect(self.level, self.row, maxima, (self.least, f32::INFINITY), limit, list);
        self.many = !self.listed;
        self.listed
    }

    fn list_all(&mut self) {
        if !self.listed {
            self.list_up_to(usize::MAX);
        }
    }

    /// The candidates from a logit on, the greatest first, in `buffers.sorted`, which is to be given back.
    fn sorted_from(&mut self, limit: f32) -> Vec<Candidate> {
        let mut top = std::mem::take(&mut self.buffers.sorted);
        top.clear();
        if self.listed {
            top.extend(self.buffers.list.iter().filter(|one| one.logit >= limit));
        } else {
            let range = (limit.max(self.least), f32::INFINITY);
            kernels::collect(self.level, self.row, &self.buffers.maxima, range, usize::MAX, &mut top);
        }
        sort_by_logit(&mut top);
        top
    }

    /// The mass of all candidates; the greatest logit weighs one.
    fn mass(&mut self) -> f64 {
        if self.list() {
            return self.buffers.list.iter().map(|one| self.weight(one.logit)).sum();
        }
        let mut masses = std::mem::take(&mut self.buffers.masses);
        let mass = kernels::masses(self.level, self.row, self.weighing(), &mut masses);
        self.buffers.masses = masses;
        mass
    }

    /// The mass, and the entropy in nats.
    pub(crate) fn mass_and_entropy(&mut self) -> (f64, f64) {
        let (mass, product) = if self.list() {
            self.buffers.list.iter().fold((0.0, 0.0), |(mass, product), one| {
                let weight = self.weight(one.logit);
                (mass + weight, product + weight * (f64::from(one.logit) - f64::from(self.max)))
            })
        } else {
            kernels::moments(self.level, self.row, self.weighing())
        };
        (mass, libm::log(mass) - product / mass / f64::from(self.temperature.value()))
    }

    /// Leaves the candidates from a logit on.
    fn keep_from(&mut self, least: f32) {
        if least <= self.least {
            return;
        }
        self.least = least;
        self.many = false;
        self.listed |= least >= self.found_from;
        if self.listed {
            self.buffers.list.retain(|one| one.logit >= least);
        }
    }

    /// Leaves the candidates from a logit on, but at least the `keep` greatest.
    fn keep_from_but_at_least(&mut self, least: f32, keep: usize, ties: Ties) {
        if keep <= 1 {
            let top = if ties == Ties::All && least > self.max { self.least_equal(self.max) } else { self.max };
            return self.keep_from(least.min(top));
        }
        let kth = self.kth_greatest(keep);
        if kth >= least {
            self.keep_from(least);
        } else if ties == Ties::All {
            self.keep_from(self.least_equal(kth));
        } else {
            self.keep_from(kth);
            self.keep_greatest(keep);
        }
    }

    /// Leaves the greatest, of equal ones those with the lowest ids.
    fn keep_greatest(&mut self, count: usize) {
        let Buffers { list, sorted, .. } = &mut *self.buffers;
        if !self.listed {
            self.list_all();
            return self.keep_greatest(count);
        }
        if list.len() > count {
            sorted.clear();
            sorted.extend_from_slice(list);
            sort_by_logit(sorted);
            let last = sorted[count - 1];
            let cut = Cut { logit: last.logit, last: last.id };
            list.retain(|one| cut.keeps(one));
            self.least = self.least.max(cut.logit);
        }
    }

    /// The k-th greatest logit; minus infinity if there are fewer.
    fn kth_greatest(&mut self, k: usize) -> f32 {
        let Buffers { list, values, maxima, .. } = &mut *self.buffers;
        if self.listed {
            return kth_greatest(list.iter().map(|one| one.logit), k, values);
        }
        // As many blocks have a logit from the k-th greatest maximum on, so the k-th greatest logit is not below.
        let mut bound = self.least.max(f32::MIN);
        if k < maxima.len() / 4 {
            bound = bound.max(about_kth_greatest(maxima, k, values));
            let limit = LISTED.max(8 * k);
            self.found_from = f32::INFINITY;
            // Where too many are equal to the bound, those above it are enough: either the k-th is among them, or it is the bound.
            for from in [bound, bound.next_up()] {
                list.clear();
                if kernels::collect(self.level, self.row, maxima, (from, f32::INFINITY), limit, list) {
                    let kth = kth_greatest(list.iter().map(|one| one.logit), k, values);
                    self.found_from = from;
                    return if from == bound { kth } else { kth.max(bound) };
                }
            }
        }
        let row = &*self.row;
        let logits = maxima.iter().enumerate().filter(|(_, &max)| max >= bound).flat_map(|(block, _)| {
            let mut logits = [0.0; BLOCK];
            row.read_block(block, &mut logits);
            logits.into_iter().filter(move |&logit| logit >= bound)
        });
        kth_greatest(logits, k, values)
    }
}
