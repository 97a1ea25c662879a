//! Passes over all logits of a row, eight at a time.
//!
//! - [`maxima`]: the greatest logit of each block of 64, by which later passes leave blocks out.
//! - [`masses`]: the sum of the weights of each block. The weight of a logit is `exp((logit - max) / temperature)`.
//! - [`moments`], [`spread`]: what entropy and standard deviation need.
//! - [`near_and_far`]: the sum of the weights, most of them to four digits, with a bound on the error.
//! - [`collect`]: ids and logits above a limit. [`histogram`]: weights by logit, for finding where a mass is reached.
//!
//! A weight is a polynomial of degree 6 after Cody and Waite's reduction by the temperature times ln 2, so that the division by
//! the temperature costs nothing: its relative error is at most 2e-7, and 6e-8 for each unit of `(max - logit) / temperature` more.
//! Weights below 2^-125 are zero. Sums are of 64 bits.
//!
//! O(V). All are one code on [`Lanes`], which gives the same bits on every processor. Below some hundred logits a plain loop over
//! a list is as good.

use super::row::{with_elements, Overlay, Row, BLOCK};
use crate::lanes::{self, Arithmetic, Array, Element, FusedLanes, Kernel, Lanes, Pair, LANES};
use crate::simd::Level;

/// What divides differences of logits, ready for [`weight`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temperature {
    value: f32,
    log2_e_over: f32,
    ln_2_high: f32,
    ln_2_low: f32,
    inverse: f32,
}

/// Weights below two to the power of this are zero.
const LEAST_EXPONENT: f32 = -125.0;

impl Temperature {
    pub(crate) fn new(value: f32) -> Self {
        let wide = f64::from(value);
        let ln_2 = std::f64::consts::LN_2 * wide;
        // 15 bits, so that the product with an exponent is exact.
        let high = f32::from_bits((ln_2 as f32).to_bits() & 0xffff_fe00);
        Self {
            value,
            log2_e_over: (std::f64::consts::LOG2_E / wide) as f32,
            ln_2_high: high,
            ln_2_low: (ln_2 - f64::from(high)) as f32,
            inverse: (1.0 / wide) as f32,
        }
    }

    pub(crate) fn value(&self) -> f32 {
        self.value
    }

    /// Logits so far below the greatest weigh nothing.
    fn reach(&self) -> f32 {
        (-LEAST_EXPONENT + 1.0) / self.log2_e_over
    }
}

/// Added, it leaves a whole number in the last bits, and taken away again, that number.
const ROUNDING: f32 = 12_582_912.0;

/// `exp(difference / temperature)` of differences of zero and less.
#[inline(always)]
fn weight<A: Arithmetic>(difference: A, temperature: &Temperature) -> A {
    let power = difference.mul(A::splat(temperature.log2_e_over));
    let rounded = power.add(A::splat(ROUNDING));
    let exponent = rounded.sub(A::splat(ROUNDING));
    let rest = difference.sub(exponent.mul(A::splat(temperature.ln_2_high))).sub(exponent.mul(A::splat(temperature.ln_2_low)));
    let x = rest.mul(A::splat(temperature.inverse));
    // Two terms at a time, by the square: half as many steps wait for each other as in Horner's scheme.
    let square = x.mul(x);
    let mut sum = A::splat(COEFFICIENTS[6]);
    for (odd, even) in [(5, 4), (3, 2), (1, 0)] {
        let two = A::splat(COEFFICIENTS[odd]).mul(x).add(A::splat(COEFFICIENTS[even]));
        sum = sum.mul(square).add(two);
    }
    sum.times_power_of_two(rounded).keep(power.at_least(A::splat(LEAST_EXPONENT)))
}

/// Of the polynomial of degree 6 that is nearest to `exp(x)`, relative to it, for x within half of ln 2 of zero; the first two are
/// held at one.
const COEFFICIENTS: [f32; 7] = [1.0, 1.0, 4.999_999_4e-1, 1.666_652_1e-1, 4.166_839e-2, 8.368_745e-3, 1.381_454e-3];

/// The weight of one logit, the same as in the passes.
pub(crate) fn weight_of(logit: f32, max: f32, temperature: &Temperature) -> f32 {
    weight(Array::splat(logit - max), temperature).to_array()[0]
}

/// About the weight of a logit, for half the work: within [`ROUGHLY`] of it.
#[inline(always)]
fn rough_weight<A: Arithmetic>(difference: A, temperature: &Temperature) -> A {
    let power = difference.mul(A::splat(temperature.log2_e_over));
    let rounded = power.add(A::splat(ROUNDING));
    let x = power.sub(rounded.sub(A::splat(ROUNDING)));
    let mut sum = A::splat(ROUGH_COEFFICIENTS[3]);
    for coefficient in [2, 1, 0] {
        sum = sum.mul(x).add(A::splat(ROUGH_COEFFICIENTS[coefficient]));
    }
    sum.times_power_of_two(rounded).keep(power.at_least(A::splat(LEAST_EXPONENT)))
}

/// Of the polynomial of degree 3 that is nearest to two to the power of x for x within a half of zero: 7.5e-5 of it at most.
const ROUGH_COEFFICIENTS: [f32; 4] = [0.999_928_1, 0.693_261, 0.242_611_1, 0.055_171_7];

/// The most by which a sum of rough weights can differ from that of the weights, as a share of it.
pub(crate) const ROUGHLY: f64 = 2e-4;

/// A pass over the blocks of a row.
trait Pass {
    /// Eight logits of a block at a time, in the order of their ids.
    fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]);

    /// Whether the rest is left out.
    #[inline(always)]
    fn is_done(&self) -> bool {
        false
    }
}

/// Which blocks a pass has.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// All.
    All,
    /// Those whose greatest logit is not below a limit.
    From(&'a [f32], f32),
}

/// The eight-element parts of a block.
#[inline(always)]
fn eights<E: Element, L: Lanes>(logits: &[E; BLOCK]) -> impl Iterator<Item = L> + '_ {
    logits.as_chunks::<8>().0.iter().map(E::lanes)
}

/// The same, four at a time.
#[inline(always)]
fn fours<E: Element, L: Lanes>(logits: &[E; BLOCK]) -> impl Iterator<Item = Pair<Pair<L>>> + '_ {
    logits.as_chunks::<32>().0.iter().map(|many| {
        let (eights, _) = many.as_chunks::<8>();
        Pair(Pair(E::lanes(&eights[0]), E::lanes(&eights[1])), Pair(E::lanes(&eights[2]), E::lanes(&eights[3])))
    })
}

#[inline(always)]
fn each_block<E: Element, L: Lanes>(elements: &[E], overlay: &Overlay, which: Which<'_>, pass: &mut impl Pass) {
    let (whole, _) = elements.as_chunks::<BLOCK>();
    let blocks = overlay.blocks();
    for begin in (0..blocks).step_by(8) {
        // A bit for each of eight blocks.
        let mut bits = match which {
            Which::All => 0xff >> 8usize.saturating_sub(blocks - begin),
            Which::From(maxima, least) => match maxima[begin..].first_chunk() {
                Some(eight) => u32::from(L::bits(L::load(eight).at_least(L::splat(least)))),
                None => maxima[begin..].iter().rev().fold(0, |bits, &max| bits << 1 | u32::from(max >= least)),
            },
        };
        while bits != 0 {
            let block = begin + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let plain = whole.get(block);
            // The last block is changed if it is not whole, so the logits have none for it.
            match (overlay.block(block).or(plain.and_then(E::of_32_bits)), plain) {
                (Some(logits), _) => pass.block::<f32, L>(block, logits),
                (None, Some(logits)) => pass.block::<E, L>(block, logits),
                (None, None) => {}
            }
            if pass.is_done() {
                return;
            }
        }
    }
}

/// A pass over the blocks of elements.
struct Blocks<'a, E, P> {
    elements: &'a [E],
    overlay: &'a Overlay,
    which: Which<'a>,
    pass: P,
}

impl<E: Element, P: Pass> Kernel for Blocks<'_, E, P> {
    type Output = P;

    #[inline(always)]
    fn run<V: FusedLanes>(self) -> P {
        // Its own copy, which nothing else can change: what it holds stays in registers.
        let mut pass = self.pass;
        each_block::<E, V>(self.elements, self.overlay, self.which, &mut pass);
        pass
    }
}

fn run<P: Pass>(level: Level, row: &Row<'_>, which: Which<'_>, pass: P) -> P {
    let overlay = row.overlay();
    with_elements!(row.logits(), elements => lanes::run(level, Blocks { elements, overlay, which, pass }))
}

/// The values of a block.
pub(crate) fn widen<E: Element>(level: Level, elements: &[E; BLOCK]) -> [f32; BLOCK] {
    lanes::run(level, Widen(elements))
}

struct Widen<'a, E>(&'a [E; BLOCK]);

impl<E: Element> Kernel for Widen<'_, E> {
    type Output = [f32; BLOCK];

    #[inline(always)]
    fn run<V: FusedLanes>(self) -> [f32; BLOCK] {
        let mut values = [0.0; BLOCK];
        for (to, from) in values.as_chunks_mut::<LANES>().0.iter_mut().zip(self.0.as_chunks::<LANES>().0) {
            E::lanes::<V>(from).store(to);
        }
        values
    }
}

/// The greatest logit of each block, and what is wrong with them.
#[derive(Debug)]
pub(crate) struct Maxima {
    /// The greatest of all that are numbers.
    pub(crate) greatest: f32,
    /// Whether there is a NaN, or plus infinity.
    pub(crate) invalid: bool,
}

/// Fills `maxima` with the greatest logit of each block.
pub(crate) fn maxima(level: Level, row: &Row<'_>, maxima: &mut Vec<f32>) -> Maxima {
    struct Greatest<'a> {
        maxima: &'a mut [f32],
        greatest: f32,
        nan: u8,
    }
    impl Pass for Greatest<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]) {
            let mut greatest = Pair(L::splat(f32::NEG_INFINITY), L::splat(f32::NEG_INFINITY));
            let mut nan = L::no_mask();
            for Pair(first, second) in fours::<E, L>(logits) {
                nan = L::or(nan, L::or(first.0.unordered(first.1), second.0.unordered(second.1)));
                greatest.0 = second.0.max(first.0.max(greatest.0));
                greatest.1 = second.1.max(first.1.max(greatest.1));
            }
            let greatest = greatest.0.max(greatest.1).greatest();
            self.nan |= L::bits(nan);
            self.greatest = if greatest > self.greatest { greatest } else { self.greatest };
            self.maxima[block] = greatest;
        }
    }
    maxima.resize(row.blocks(), f32::NEG_INFINITY);
    let pass = run(level, row, Which::All, Greatest { maxima, greatest: f32::NEG_INFINITY, nan: 0 });
    Maxima { greatest: pass.greatest, invalid: pass.nan != 0 || pass.greatest == f32::INFINITY }
}

/// Which logits a pass weighs, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighing<'a> {
    /// The greatest logit of each block.
    pub(crate) maxima: &'a [f32],
    /// The greatest logit of all; its weight is one.
    pub(crate) max: f32,
    /// Logits below this weigh nothing.
    pub(crate) least: f32,
    pub(crate) temperature: &'a Temperature,
}

impl Weighing<'_> {
    /// The blocks that have a logit which weighs something.
    fn which(&self) -> Which<'_> {
        Which::From(self.maxima, self.least.max(self.max - self.temperature.reach()))
    }

    #[inline(always)]
    fn weight<A: Arithmetic>(&self, logits: A) -> A {
        self.of_candidates(logits, weight(logits.sub(A::splat(self.max)), self.temperature))
    }

    #[inline(always)]
    fn rough_weight<A: Arithmetic>(&self, logits: A) -> A {
        self.of_candidates(logits, rough_weight(logits.sub(A::splat(self.max)), self.temperature))
    }

    /// The weight, zero for what is below the limit.
    #[inline(always)]
    fn of_candidates<A: Arithmetic>(&self, logits: A, weight: A) -> A {
        if self.least > f32::MIN {
            return weight.keep(logits.at_least(A::splat(self.least)));
        }
        weight
    }
}

/// Fills `masses` with the sum of the weights of each block, and gives the sum of them in the order of the blocks.
pub(crate) fn masses(level: Level, row: &Row<'_>, weighing: Weighing<'_>, masses: &mut Vec<f64>) -> f64 {
    struct Masses<'a> {
        weighing: Weighing<'a>,
        masses: &'a mut [f64],
    }
    impl Pass for Masses<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]) {
            let mut sums = L::no_sums();
            for four in fours::<E, L>(logits) {
                let Pair(first, second) = self.weighing.weight(four);
                sums = first.1.add_to(first.0.add_to(sums));
                sums = second.1.add_to(second.0.add_to(sums));
            }
            self.masses[block] = L::total(sums);
        }
    }
    masses.clear();
    masses.resize(row.blocks(), 0.0);
    run(level, row, weighing.which(), Masses { weighing, masses });
    masses.iter().sum()
}

/// The sum of the weights in the blocks with a logit from `limit` on, and about that in the others, by rough weights.
pub(crate) fn near_and_far(level: Level, row: &Row<'_>, weighing: Weighing<'_>, limit: f32) -> (f64, f64) {
    struct Near<'a> {
        weighing: Weighing<'a>,
        limit: f32,
        near: f64,
        far: f64,
    }
    impl Pass for Near<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]) {
            // Loops, not folds: a closure would not be compiled for the registers.
            if self.weighing.maxima[block] >= self.limit {
                let mut sums = L::no_sums();
                for lanes in eights::<E, L>(logits) {
                    sums = self.weighing.weight(lanes).add_to(sums);
                }
                self.near += L::total(sums);
            } else {
                let mut sum = Pair(L::splat(0.0), L::splat(0.0));
                for four in fours::<E, L>(logits) {
                    let weights = self.weighing.rough_weight(four);
                    sum = sum.add(weights.0.add(weights.1));
                }
                self.far += L::total(sum.0.add(sum.1).add_to(L::no_sums()));
            }
        }
    }
    let pass = run(level, row, weighing.which(), Near { weighing, limit, near: 0.0, far: 0.0 });
    (pass.near, pass.far)
}

/// The sum of the weights, and that of the weights times `logit - max`.
pub(crate) fn moments(level: Level, row: &Row<'_>, weighing: Weighing<'_>) -> (f64, f64) {
    struct Moments<'a> {
        weighing: Weighing<'a>,
        mass: f64,
        product: f64,
    }
    impl Pass for Moments<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, _: usize, logits: &[E; BLOCK]) {
            let (mut mass, mut product) = (L::no_sums(), L::no_sums());
            for lanes in eights::<E, L>(logits) {
                let weight = self.weighing.weight(lanes);
                // No infinity, which times a weight of zero would be no number.
                let difference = lanes.max(L::splat(f32::MIN)).sub(L::splat(self.weighing.max));
                mass = weight.add_to(mass);
                product = weight.add_product_to(difference.max(L::splat(f32::MIN)), product);
            }
            self.mass += L::total(mass);
            self.product += L::total(product);
        }
    }
    let pass = run(level, row, weighing.which(), Moments { weighing, mass: 0.0, product: 0.0 });
    (pass.mass, pass.product)
}

/// Count, sum and sum of squares of `logit - max` of the logits from `least` on.
pub(crate) fn spread(level: Level, row: &Row<'_>, max: f32, least: f32) -> (u64, f64, f64) {
    struct Spread {
        max: f32,
        least: f32,
        count: u64,
        sum: f64,
        squares: f64,
    }
    impl Pass for Spread {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, _: usize, logits: &[E; BLOCK]) {
            let (mut sum, mut squares) = (L::no_sums(), L::no_sums());
            for lanes in eights::<E, L>(logits) {
                let there = lanes.at_least(L::splat(self.least));
                self.count += u64::from(L::bits(there).count_ones());
                let difference = lanes.sub(L::splat(self.max)).keep(there);
                sum = difference.add_to(sum);
                squares = difference.add_product_to(difference, squares);
            }
            self.sum += L::total(sum);
            self.squares += L::total(squares);
        }
    }
    let pass = run(level, row, Which::All, Spread { max, least: least.max(f32::MIN), count: 0, sum: 0.0, squares: 0.0 });
    (pass.count, pass.sum, pass.squares)
}

/// An id that may be chosen, with its logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: u32,
    pub(crate) logit: f32,
}

/// Appends the candidates from `least` to `greatest`, in the order of their ids. Stops when there are more than `limit`, and says
/// whether there are not.
pub(crate) fn collect(
    level: Level,
    row: &Row<'_>,
    maxima: &[f32],
    (least, greatest): (f32, f32),
    limit: usize,
    into: &mut Vec<Candidate>,
) -> bool {
    struct Collect<'a> {
        least: f32,
        greatest: f32,
        limit: usize,
        into: &'a mut Vec<Candidate>,
    }
    impl Pass for Collect<'_> {
        #[inline(always)]
        fn is_done(&self) -> bool {
            self.into.len() > self.limit
        }
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]) {
            let mut bits = 0u64;
            for (index, lanes) in eights::<E, L>(logits).enumerate() {
                let (above, below) = (lanes.at_least(L::splat(self.least)), L::splat(self.greatest).at_least(lanes));
                bits |= u64::from(L::bits(above) & L::bits(below)) << (8 * index);
            }
            while bits != 0 {
                let index = bits.trailing_zeros() as usize;
                self.into.push(Candidate { id: (block * BLOCK + index) as u32, logit: logits[index % BLOCK].value() });
                bits &= bits - 1;
            }
        }
    }
    // Minus infinity is no candidate, whatever the limit.
    let least = least.max(f32::MIN);
    let pass = run(level, row, Which::From(maxima, least), Collect { least, greatest, limit, into });
    pass.into.len() <= limit
}

/// The id of the n-th logit that equals `logit`, the first being number one; none if there are fewer. No logit is greater.
pub(crate) fn nth_equal(level: Level, row: &Row<'_>, maxima: &[f32], logit: f32, n: u64) -> Option<u32> {
    struct Equal {
        logit: f32,
        left: u64,
        found: Option<u32>,
    }
    impl Pass for Equal {
        #[inline(always)]
        fn is_done(&self) -> bool {
            self.found.is_some()
        }
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, block: usize, logits: &[E; BLOCK]) {
            let mut bits = 0u64;
            for (index, lanes) in eights::<E, L>(logits).enumerate() {
                bits |= u64::from(L::bits(lanes.at_least(L::splat(self.logit)))) << (8 * index);
            }
            let count = u64::from(bits.count_ones());
            if count >= self.left {
                (1..self.left).for_each(|_| bits &= bits - 1);
                self.found = Some((block * BLOCK) as u32 + bits.trailing_zeros());
            }
            self.left -= count.min(self.left);
        }
    }
    run(level, row, Which::From(maxima, logit), Equal { logit, left: n, found: None }).found
}

/// The least logit that weighs something.
pub(crate) fn least(level: Level, row: &Row<'_>, weighing: Weighing<'_>) -> f32 {
    struct Least<'a> {
        weighing: Weighing<'a>,
        /// The greatest of what the logits are below the maximum.
        distance: f32,
    }
    impl Pass for Least<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, _: usize, logits: &[E; BLOCK]) {
            let least = self.weighing.least.max(self.weighing.max - self.weighing.temperature.reach());
            let mut distance = L::splat(0.0);
            for lanes in eights::<E, L>(logits) {
                let there = lanes.at_least(L::splat(least));
                distance = L::splat(self.weighing.max).sub(lanes).keep(there).max(distance);
            }
            self.distance = distance.to_array().into_iter().fold(self.distance, f32::max);
        }
    }
    weighing.max - run(level, row, weighing.which(), Least { weighing, distance: 0.0 }).distance
}

/// The bins of [`histogram`].
pub(crate) const BINS: usize = 2048;

/// Adds the weight of each logit to the bin `(max - logit) * scale`, or the last one.
pub(crate) fn histogram(level: Level, row: &Row<'_>, weighing: Weighing<'_>, scale: f32, bins: &mut [f64; BINS]) {
    struct Histogram<'a> {
        weighing: Weighing<'a>,
        scale: f32,
        bins: &'a mut [f64; BINS],
    }
    impl Pass for Histogram<'_> {
        #[inline(always)]
        fn block<E: Element, L: Lanes>(&mut self, _: usize, logits: &[E; BLOCK]) {
            for four in fours::<E, L>(logits) {
                let weights = self.weighing.weight(four);
                let places = Pair::splat(self.weighing.max).sub(four).mul(Pair::splat(self.scale));
                for (weights, places) in [(weights.0, places.0), (weights.1, places.1)] {
                    for (weights, places) in [(weights.0, places.0), (weights.1, places.1)] {
                        for (weight, place) in weights.to_array().into_iter().zip(places.places((BINS - 1) as u16)) {
                            self.bins[place as usize % BINS] += f64::from(weight);
                        }
                    }
                }
            }
        }
    }
    bins.fill(0.0);
    run(level, row, weighing.which(), Histogram { weighing, scale, bins });
}
