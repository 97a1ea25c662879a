//! The draw among the candidates, and what can be told of them.
//!
//! From a list weights are added one by one, O(n); from a row by blocks, one weighing pass over what is not far below the greatest.

use super::{Candidates, Drawn};
use crate::sampling::kernels;
use crate::sampling::row::BLOCK;
use crate::sampling::select::passing;

impl Candidates<'_, '_> {
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
        let index = passing(weights.iter().copied(), uniform * mass).unwrap_or_default();
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

    /// The candidates with the greatest probabilities and these, the greatest first; `mass` is that of all.
    pub(crate) fn most_probable(&mut self, count: usize, mass: f64) -> Vec<(u32, f64)> {
        if count == 0 {
            return Vec::new();
        }
        let kth = self.kth_greatest(count);
        let top = self.sorted_from(kth);
        let probable = top.iter().take(count).map(|one| (one.id, self.weight(one.logit) / mass)).collect();
        self.buffers.sorted = top;
        probable
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
