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
use super::select::{about_kth_greatest, cut_by_mass, kth_greatest, least_that, sort_by_logit, Cut};
use crate::simd::Level;

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

    /// Leaves the k greatest.
    pub(crate) fn top_k(&mut self, k: usize, ties: Ties) {
        let kth = self.kth_greatest(k);
        if kth == f32::NEG_INFINITY {
            return;
        }
        self.keep_from(if ties == Ties::All { self.least_equal(kth) } else { kth });
        if ties == Ties::LowestId {
            self.keep_greatest(k);
        }
    }

    /// Leaves the candidates whose probability is at least a share of the greatest one.
    pub(crate) fn min_p(&mut self, share: f64, keep: usize) {
        self.keep_from_but_at_least(round_up(self.logit_of(share)), keep, Ties::LowestId);
    }

    /// Leaves the candidates with at least a probability.
    pub(crate) fn epsilon(&mut self, least: f64, keep: usize) {
        let mass = self.mass();
        self.keep_from_but_at_least(round_up(self.logit_of(least * mass)), keep, Ties::All);
    }

    /// The same, with a probability that depends on the entropy.
    pub(crate) fn eta(&mut self, epsilon: f64, keep: usize) {
        let (mass, entropy) = self.mass_and_entropy();
        let least = epsilon.min(epsilon.sqrt() * libm::exp(-entropy));
        self.keep_from_but_at_least(round_up(self.logit_of(least * mass)), keep, Ties::All);
    }

    /// Leaves the candidates within some standard deviations of the logits below the greatest.
    pub(crate) fn top_n_sigma(&mut self, n: f64) {
        let (count, sum, squares) = if self.listed {
            self.buffers.list.iter().fold((0, 0.0, 0.0), |(count, sum, squares), one| {
                let difference = f64::from(one.logit) - f64::from(self.max);
                (count + 1, sum + difference, squares + difference * difference)
            })
        } else {
            kernels::spread(self.level, self.row, self.max, self.least)
        };
        if count > 1 {
            let mean = sum / count as f64;
            let deviation = (squares / count as f64 - mean * mean).max(0.0).sqrt();
            self.keep_from(round_up(f64::from(self.max) - n * deviation));
        }
    }

    /// Leaves the fewest greatest that together have a share of the mass.
    pub(crate) fn top_p(&mut self, share: f64, keep: usize, ties: Ties) {
        let mut found = std::mem::take(&mut self.buffers.sorted);
        found.clear();
        let cut = if self.list() {
            let target = share * self.mass();
            found.extend_from_slice(&self.buffers.list);
            cut_by_mass(&mut found, 0.0, target, |one| self.weight(one.logit))
        } else {
            self.cut_of_row(share, &mut found)
        };
        self.buffers.sorted = found;
        let Some(cut) = cut else { return };
        match (ties, keep) {
            (Ties::All, ..=1) => self.keep_from(cut.logit),
            (Ties::LowestId, ..=1) => self.keep_to(cut),
            (Ties::All, _) => {
                let kth = self.kth_greatest(keep);
                self.keep_from(cut.logit.min(kth));
            }
            (Ties::LowestId, _) => {
                let kth = self.kth_greatest(keep);
                self.keep_from(cut.logit.min(kth));
                self.list_all();
                let kept = self.buffers.list.iter().filter(|one| cut.keeps(one)).count();
                self.keep_greatest(kept.max(keep));
            }
        }
    }

    /// Leaves what a cut keeps.
    fn keep_to(&mut self, cut: Cut) {
        self.keep_from(cut.logit);
        if self.list() {
            self.buffers.list.retain(|one| cut.keeps(one));
            return;
        }
        // Equal ones past the last are taken out of the row: those that were found with it, if they were.
        let found = std::mem::take(&mut self.buffers.sorted);
        if found.iter().any(|one| one.id == cut.last) {
            let past = found.iter().filter(|one| one.logit == cut.logit && one.id > cut.last);
            let count = past.clone().map(|one| self.row.exclude(one.id as usize)).count();
            if count > 0 {
                self.refresh_maxima();
            }
            self.buffers.sorted = found;
            return;
        }
        self.buffers.sorted = found;
        // Else so many that a list would not do.
        for block in cut.last as usize / BLOCK..self.row.blocks() {
            let max = self.buffers.maxima[block];
            if max == cut.logit && block * BLOCK > cut.last as usize {
                self.row.exclude_block(block);
            } else if max >= cut.logit {
                let begin = block * BLOCK;
                for (index, logit) in self.row.block_mut(block).iter_mut().enumerate() {
                    if *logit == cut.logit && begin + index > cut.last as usize {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
        self.refresh_maxima();
    }

    /// Looks the maxima of the blocks up again, after ids were taken out of the row.
    fn refresh_maxima(&mut self) {
        self.many = false;
        self.found_from = f32::INFINITY;
        self.max = kernels::maxima(self.level, self.row, &mut self.buffers.maxima).greatest;
    }

    /// The cut where there is no list. Most of the mass may lie near the greatest logit, or not; that shows in the maxima.
    fn cut_of_row(&mut self, share: f64, found: &mut Vec<Candidate>) -> Option<Cut> {
        let (max, temperature) = (self.max, self.temperature);
        if NEAR_BLOCKS >= self.row.blocks() {
            return self.cut_by_bins(share, None, found);
        }
        let Buffers { maxima, values, .. } = &mut *self.buffers;
        let limit = about_kth_greatest(maxima, NEAR_BLOCKS, values).max(self.least);
        if NEAR_BLOCKS as f32 * kernels::weight_of(limit, max, &temperature) >= 1.0 {
            // So many logits reach a limit that weighs too much for that.
            return self.cut_by_bins(share, None, found);
        }
        found.clear();
        if !kernels::collect(self.level, self.row, maxima, (limit, f32::INFINITY), LISTED, found) {
            return self.cut_by_bins(share, None, found);
        }
        let weight = |one: &Candidate| f64::from(kernels::weight_of(one.logit, max, &temperature));
        // What lies far is not known exactly then. That is enough if the cut is the same for the least and the most that it can be.
        let (near, far) = kernels::near_and_far(self.level, self.row, self.weighing(), limit);
        let error = far * kernels::ROUGHLY + near * 1e-12;
        let cut = cut_by_mass(found, 0.0, share * (near + far - error), weight);
        if cut.is_some() && cut == cut_by_mass(found, 0.0, share * (near + far + error), weight) {
            return cut;
        }
        let mass = self.mass();
        let cut = cut_by_mass(found, 0.0, share * mass, weight);
        cut.or_else(|| self.cut_by_bins(share, Some(mass), found))
    }

    /// The cut where the candidates are many: in one pass their weights are added up by logit, and the bin that reaches the share of
    /// the mass, which that pass finds too, is looked at closely.
    fn cut_by_bins(&mut self, share: f64, whole: Option<f64>, found: &mut Vec<Candidate>) -> Option<Cut> {
        let (max, temperature) = (self.max, self.temperature);
        let weight = |one: &Candidate| f64::from(kernels::weight_of(one.logit, max, &temperature));
        found.clear();
        let least = kernels::least(self.level, self.row, self.weighing());
        if least == max {
            // All that weigh something are equal, and weigh one each.
            let target = share * whole.unwrap_or_else(|| self.mass());
            let last = kernels::nth_equal(self.level, self.row, &self.buffers.maxima, max, target.ceil().max(1.0) as u64);
            return last.map(|last| Cut { logit: max, last });
        }
        let scale = (BINS - 1) as f32 / (max - least);
        let mut bins = self.buffers.bins.take().unwrap_or_else(|| Box::new([0.0; BINS]));
        kernels::histogram(self.level, self.row, self.weighing(), scale, &mut bins);
        let target = share * whole.unwrap_or_else(|| bins.iter().sum());
        let mut above = 0.0;
        let bin = bins.iter().position(|bin| {
            let reached = above + bin >= target;
            above += if reached { 0.0 } else { *bin };
            reached
        });
        self.buffers.bins = Some(bins);
        let bin = bin?;
        // The logits of the bin: places in bins fall as logits rise.
        let place = |logit: f32| (((max - logit) * scale) as usize).min(BINS - 1);
        let end = if bin == 0 { f32::INFINITY } else { least_that(least, max, |logit| place(logit) < bin).next_down() };
        let range = (least_that(least, max, |logit| place(logit) <= bin).max(self.least), end);
        kernels::collect(self.level, self.row, &self.buffers.maxima, range, usize::MAX, found);
        cut_by_mass(found, above, target, weight)
    }

    /// Leaves those whose surprise is nearest to the entropy and that together have a share of the mass.
    ///
    /// With [`Ties::All`] all that are as near as the last of them stay.
    pub(crate) fn typical(&mut self, share: f64, keep: usize, ties: Ties) {
        let (mass, entropy) = self.mass_and_entropy();
        self.list_all();
        let temperature = f64::from(self.temperature.value());
        let (max, ln_mass) = (f64::from(self.max), libm::log(mass));
        let nearness = |one: &Candidate| {
            let surprise = ln_mass - (f64::from(one.logit) - max) / temperature;
            Candidate { id: one.id, logit: -(surprise - entropy).abs() as f32 }
        };
        let mut list = std::mem::take(&mut self.buffers.list);
        let mut near = std::mem::take(&mut self.buffers.sorted);
        near.clear();
        near.extend(list.iter().map(nearness));
        let target = share * mass;
        if let Some(cut) = cut_by_mass(&mut near, 0.0, target, |one| self.weight(self.row.get(one.id as usize))) {
            let mut cut = Cut { last: u32::MAX, ..cut };
            if ties == Ties::LowestId {
                // What is equally near need not weigh the same: its surprise may be above the entropy or below.
                let nearer = list.iter().filter(|one| nearness(one).logit > cut.logit);
                let mut sum: f64 = nearer.map(|one| self.weight(one.logit)).sum();
                let last = list.iter().filter(|one| nearness(one).logit == cut.logit).find(|one| {
                    sum += self.weight(one.logit);
                    sum >= target
                });
                cut.last = last.map_or(u32::MAX, |one| one.id);
            }
            if list.iter().filter(|one| cut.keeps(&nearness(one))).count() < keep {
                near.clear();
                near.extend(list.iter().map(nearness));
                sort_by_logit(&mut near);
                if let Some(last) = near.get(keep.min(near.len()) - 1) {
                    cut = Cut { logit: last.logit, last: last.id };
                }
            }
            list.retain(|one| cut.keeps(&nearness(one)));
            self.max = list.iter().fold(f32::NEG_INFINITY, |max, one| max.max(one.logit));
        }
        (self.buffers.list, self.buffers.sorted) = (list, near);
    }

    /// Of the 100 greatest, leaves those whose terms of the entropy, added from the greatest on, stay within a share of it.
    pub(crate) fn top_h(&mut self, share: f64) {
        const CONSIDERED: usize = 100;
        self.top_k(CONSIDERED, Ties::LowestId);
        self.list_all();
        let mut sorted = std::mem::take(&mut self.buffers.sorted);
        sorted.clear();
        sorted.extend_from_slice(&self.buffers.list);
        sort_by_logit(&mut sorted);
        let (mass, entropy) = self.mass_and_entropy();
        let mut sum = 0.0;
        let kept = sorted.iter().take_while(|one| {
            let probability = self.weight(one.logit) / mass;
            sum -= if probability > 0.0 { probability * libm::log(probability) } else { 0.0 };
            sum <= share * entropy
        });
        let kept = kept.count().max(1);
        self.buffers.sorted = sorted;
        self.keep_greatest(kept);
    }

    /// Takes out all candidates with a probability from a threshold on but the least of them ("exclude top choices").
    ///
    /// With [`Ties::All`] the probability must be above the threshold, and all that are equal to the least of them stay.
    pub(crate) fn xtc(&mut self, threshold: f64, spared: &[u32], keep: usize, ties: Ties) {
        let mass = self.mass();
        let limit = round_up(self.logit_of(threshold * mass));
        let limit = if ties == Ties::All && self.weight(limit) <= threshold * mass { limit.next_up() } else { limit };
        let mut top = std::mem::take(&mut self.buffers.sorted);
        top.clear();
        let count = if self.listed {
            top.extend(self.buffers.list.iter().filter(|one| one.logit >= limit));
            self.buffers.list.len()
        } else {
            kernels::collect(
                self.level,
                self.row,
                &self.buffers.maxima,
                (limit.max(self.least), f32::INFINITY),
                usize::MAX,
                &mut top,
            );
            kernels::spread(self.level, self.row, self.max, self.least).0 as usize
        };
        sort_by_logit(&mut top);
        if let Some((least, rest)) = top.split_last() {
            let taken = rest.iter().filter(|one| ties == Ties::LowestId || one.logit > least.logit);
            let taken: Vec<u32> = taken.map(|one| one.id).filter(|id| !spared.contains(id)).collect();
            if !taken.is_empty() && count - rest.len() >= keep {
                self.take_out(&taken);
            }
        }
        self.buffers.sorted = top;
    }

    /// Takes some ids out.
    fn take_out(&mut self, ids: &[u32]) {
        if self.listed {
            self.buffers.list.retain(|one| !ids.contains(&one.id));
            self.max = self.buffers.list.iter().fold(f32::NEG_INFINITY, |max, one| max.max(one.logit));
        } else {
            ids.iter().for_each(|&id| self.row.exclude(id as usize));
            self.refresh_maxima();
        }
    }

    /// Mirostat 2: leaves those whose surprise is at most `mu` bits; if none is, the greatest with the lowest id.
    pub(crate) fn within_surprise(&mut self, mu: f64) {
        let mass = self.mass();
        let least = self.logit_of(mass) - f64::from(self.temperature.value()) * std::f64::consts::LN_2 * mu;
        match round_up(least) {
            least if least > self.max => self.keep_greedy(),
            least => self.keep_from(least),
        }
    }

    /// Mirostat 1: leaves as many as an estimate of Zipf's exponent, from the 100 greatest, says for a surprise of `mu` bits.
    pub(crate) fn within_estimated_surprise(&mut self, mu: f64) {
        const CONSIDERED: usize = 100;
        let kth = self.kth_greatest(CONSIDERED);
        let mut top = std::mem::take(&mut self.buffers.sorted);
        top.clear();
        if self.listed {
            top.extend(self.buffers.list.iter().filter(|one| one.logit >= kth));
        } else {
            kernels::collect(
                self.level,
                self.row,
                &self.buffers.maxima,
                (kth.max(self.least), f32::INFINITY),
                usize::MAX,
                &mut top,
            );
        }
        sort_by_logit(&mut top);
        top.truncate(CONSIDERED);
        let (mut products, mut squares) = (0.0, 0.0);
        for (index, pair) in top.windows(2).enumerate() {
            let t = libm::log((index + 2) as f64 / (index + 1) as f64);
            products += t * (f64::from(pair[0].logit) - f64::from(pair[1].logit)) / f64::from(self.temperature.value());
            squares += t * t;
        }
        self.buffers.sorted = top;
        let exponent = products / squares;
        let epsilon = exponent - 1.0;
        let vocabulary = self.row.len() as f64;
        let k = libm::pow(epsilon * libm::exp2(mu) / (1.0 - libm::pow(vocabulary, -epsilon)), 1.0 / exponent);
        // A cast of what is no number, as one candidate gives it, is zero.
        self.top_k((k as usize).clamp(1, self.row.len()), Ties::LowestId);
    }

    /// The candidate at which the probabilities, added in the order of the ids, pass `uniform`, which is from zero to below one.
    pub(crate) fn draw(&mut self, uniform: f64) -> Drawn {
        if self.list() {
            return self.draw_from_list(uniform);
        }
        let mut masses = std::mem::take(&mut self.buffers.masses);
        let mass = kernels::masses(self.level, self.row, self.weighing(), &mut masses);
        let drawn = self.draw_from_row(uniform * mass, mass, &masses);
        self.buffers.masses = masses;
        drawn
    }

    fn draw_from_list(&mut self, uniform: f64) -> Drawn {
        let mut weights = std::mem::take(&mut self.buffers.weights);
        weights.clear();
        weights.extend(self.buffers.list.iter().map(|one| self.weight(one.logit)));
        let mass: f64 = weights.iter().sum();
        let target = uniform * mass;
        let mut sum = 0.0;
        let passed = weights.iter().position(|weight| {
            sum += weight;
            sum > target
        });
        // By rounding the target can be the mass itself: then it is the last one that weighs something.
        let index = passed.or_else(|| weights.iter().rposition(|&weight| weight > 0.0)).unwrap_or_default();
        let drawn = Drawn { id: self.buffers.list[index].id, probability: weights[index] / mass };
        self.buffers.weights = weights;
        drawn
    }

    /// The same by the masses of the blocks. Within a block the weights are added one by one, never past the block's mass.
    fn draw_from_row(&self, target: f64, mass: f64, masses: &[f64]) -> Drawn {
        let mut before = 0.0;
        let mut found = None;
        for (block, &of_block) in masses.iter().enumerate() {
            if of_block > 0.0 {
                found = Some((block, before));
            }
            if before + of_block > target {
                break;
            }
            before += of_block;
        }
        let (block, mut sum) = found.unwrap_or_default();
        let end = sum + masses[block];
        let mut logits = [0.0; BLOCK];
        self.row.read_block(block, &mut logits);
        let mut last = Drawn { id: (block * BLOCK) as u32, probability: 0.0 };
        for (index, logit) in logits.into_iter().enumerate() {
            let weight = self.dense_weight(logit);
            if weight > 0.0 {
                sum = (sum + weight).min(end);
                last = Drawn { id: (block * BLOCK + index) as u32, probability: weight / mass };
                if sum > target {
                    break;
                }
            }
        }
        last
    }

    fn dense_weight(&self, logit: f32) -> f64 {
        if logit >= self.least {
            f64::from(kernels::weight_of(logit, self.max, &self.temperature))
        } else {
            0.0
        }
    }

    /// The ids of the candidates, ascending.
    pub(crate) fn ids(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.list_all();
        self.buffers.list.iter().map(|one| one.id)
    }

    /// Calls with each candidate and its probability, in the order of the ids.
    pub(crate) fn each_probability(&mut self, mut take: impl FnMut(u32, f64)) {
        let mass = self.mass();
        let dense = !self.listed;
        self.list_all();
        for one in &self.buffers.list {
            let weight = if dense { self.dense_weight(one.logit) } else { self.weight(one.logit) };
            take(one.id, weight / mass);
        }
    }

    /// The candidates with the greatest probabilities and these, the greatest first.
    pub(crate) fn most_probable(&mut self, count: usize) -> Vec<(u32, f64)> {
        let mass = self.mass();
        let kth = self.kth_greatest(count.max(1));
        let mut top = Vec::new();
        if self.listed {
            top.extend(self.buffers.list.iter().filter(|one| one.logit >= kth).copied());
        } else {
            kernels::collect(
                self.level,
                self.row,
                &self.buffers.maxima,
                (kth.max(self.least), f32::INFINITY),
                usize::MAX,
                &mut top,
            );
        }
        sort_by_logit(&mut top);
        top.iter().take(count).map(|one| (one.id, self.weight(one.logit) / mass)).collect()
    }

    /// How many candidates there are.
    pub(crate) fn count(&mut self) -> usize {
        if self.listed {
            self.buffers.list.len()
        } else {
            kernels::spread(self.level, self.row, self.max, self.least).0 as usize
        }
    }
}
