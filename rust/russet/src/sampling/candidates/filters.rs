//! The filters, each by the formula of its source: what is left of the candidates.
//!
//! Most find a limit and move it, O(blocks) beside the mass where they need that; see [`super`] for what is slow.

use super::{greatest_of, round_up, Buffers, Candidates, Ties, LISTED, NEAR_BLOCKS};
use crate::sampling::kernels::{self, Candidate, BINS};
use crate::sampling::row::BLOCK;
use crate::sampling::select::{about_kth_greatest, cut_by_mass, least_that, sort_by_logit, Cut};

impl Candidates<'_, '_> {
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
            self.max = greatest_of(&list);
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
        let top = self.sorted_from(limit);
        if let Some((least, rest)) = top.split_last() {
            let taken = rest.iter().filter(|one| ties == Ties::LowestId || one.logit > least.logit);
            let taken: Vec<u32> = taken.map(|one| one.id).filter(|id| !spared.contains(id)).collect();
            if !taken.is_empty() && self.count() - rest.len() >= keep {
                self.take_out(&taken);
            }
        }
        self.buffers.sorted = top;
    }

    /// Takes some ids out.
    fn take_out(&mut self, ids: &[u32]) {
        if self.listed {
            self.buffers.list.retain(|one| !ids.contains(&one.id));
            self.max = greatest_of(&self.buffers.list);
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
        let mut top = self.sorted_from(kth);
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
}
