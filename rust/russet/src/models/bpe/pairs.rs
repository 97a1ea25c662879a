//! Pairs of symbols and what they merge to, for merging a few symbols fast.
//!
//! Where it is known how tokens are made ([`Merges::making`]), each token is made by one merge. So tokens get *numbers*: those that
//! no merge makes first, then the others by the rank of their merge. The least number that a pair makes is the merge that comes
//! next, and no rank is needed.
//!
//! A pair of two small numbers, as bytes and frequent characters are, has its place in a table of 256 by 256, of which a text touches
//! a few lines. All other pairs are in buckets of four, half a cache line, each slot both numbers and what they make in eight bytes:
//! one look tells in all but the one of twenty that had no room for one more. O(1); made in O(merges).

use super::alphabet::ByteIds;
use super::merges::{Merges, NEVER, SINGLE};
use super::near::{is_near, Near, NEAR};
use super::starts::Starts;
use super::unmade::Unmade;
use crate::memory::{self, Zeroable, Zeroed};
use crate::simd::Level;
use crate::vocab::Vocabulary;
use hashbrown::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Numbers are less than this.
const NUMBERS: usize = 1 << NUMBER_BITS;
pub(super) const NUMBER_BITS: u32 = 21;
/// No token: it is in no pair.
pub(super) const NO_TOKEN: u32 = NUMBERS as u32 - 1;
/// So many pairs ahead memory is asked for.
const AHEAD: usize = 12;
/// There is a bucket for this many pairs.
const PAIRS_IN_BUCKET: usize = 2;

/// What pairs of tokens merge to, by number.
#[derive(Debug)]
pub(super) struct Pairs {
    /// By id; `NO_TOKEN` for what is not made. None are left where pieces are raw bytes: `starts` has the numbers of these.
    numbers: Zeroed<u32>,
    /// By number; `NO_TOKEN` for numbers that no token has.
    ids: Zeroed<u32>,
    near: Near,
    /// The buckets of each segment, one behind the other.
    buckets: Zeroed<Bucket>,
    places: Places,
    level: Level,
    /// The tokens that are not made.
    unmade: Unmade,
    /// Where pieces are raw bytes.
    starts: Option<Starts>,
}

/// Four pairs with what they make, which is more than 0, or 0 where there is none.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Bucket([u64; 4]);

const LAST: usize = 3;
/// In the last slot of a bucket: there was no room for one more pair, which is behind. Keys do not have this bit.
const HAS_MORE: u64 = 1 << 63;
const _: () = assert!(3 * NUMBER_BITS < 64);

// SAFETY: zeros are a value of u64.
unsafe impl Zeroable for Bucket {}

/// Where pairs are: in a segment by the highest bit of both numbers, so that those of small numbers, which a text has most of, stand
/// together; in there by a hash.
#[derive(Clone, Copy, Debug)]
struct Places {
    /// Where the buckets of each segment begin, and how many they are.
    begins: [u32; SEGMENTS],
    counts: [u32; SEGMENTS],
    factors: [u32; 2],
}

const SEGMENTS: usize = 32;

impl Places {
    #[inline(always)]
    fn segment(left: u32, right: u32) -> usize {
        (left | right | 1).leading_zeros() as usize % SEGMENTS
    }

    #[inline(always)]
    fn bucket(&self, left: u32, right: u32) -> u32 {
        let segment = Self::segment(left, right);
        let hash = left.wrapping_mul(self.factors[0]).wrapping_add(right.wrapping_mul(self.factors[1]));
        self.begins[segment] + ((u64::from(hash) * u64::from(self.counts[segment])) >> 32) as u32
    }

    /// The bucket behind a full one.
    fn next(&self, bucket: u32, left: u32, right: u32) -> u32 {
        let segment = Self::segment(left, right);
        match bucket + 1 - self.begins[segment] == self.counts[segment] {
            true => self.begins[segment],
            false => bucket + 1,
        }
    }
}

impl Pairs {
    /// The pairs of merges by which tokens are made; `None` where these are too many. Where pieces are raw bytes, `raw` has their ids.
    pub(super) fn new(merges: &Merges, ids_end: usize, vocabulary: &Vocabulary, raw: Option<&ByteIds>) -> Option<Self> {
        if ids_end + NEAR >= NUMBERS {
            return None;
        }
        let (mut singles, mut never) = (Vec::new(), Vec::new());
        // What is made, each with the rank of its merge above it. What stays is `Zeroed`, for the sake of huge pages.
        let mut made = Vec::with_capacity(ids_end);
        for id in 0..ids_end as u32 {
            match merges.made(id) {
                NEVER => never.push(id),
                SINGLE => singles.push(id),
                _ => made.push(u64::from(merges.rank(id)) << 32 | u64::from(id)),
            }
        }
        made.sort_unstable();
        if singles.len() > NEAR {
            // Those that merge first, so that they are near.
            let mut is_part = vec![false; ids_end];
            for token in made.iter().map(|&made| merges.made(made as u32)) {
                is_part[token.left as usize] = true;
                is_part[token.right as usize] = true;
            }
            singles.sort_by_key(|&id| !is_part[id as usize]);
        }
        // What is made has no small number.
        let first = singles.len().max(NEAR);
        let (mut numbers, mut ids) = (Zeroed::new(ids_end), Zeroed::new(first + made.len()));
        {
            let (numbers, ids) = (numbers.as_mut_slice(), ids.as_mut_slice());
            numbers.fill(NO_TOKEN);
            ids[..first].fill(NO_TOKEN);
            let made = (first..).zip(made.iter().map(|&made| made as u32));
            for (number, id) in singles.iter().copied().enumerate().chain(made) {
                ids[number] = id;
                numbers[id as usize] = number as u32;
            }
        }
        // From here on, the keys of the pairs in order of what they make.
        let mut sizes = [0; SEGMENTS];
        for made in &mut made {
            let token = merges.made(*made as u32);
            let (left, right) = (numbers[token.left as usize], numbers[token.right as usize]);
            *made = key(left, right);
            sizes[Places::segment(left, right)] += usize::from(!is_near(left, right));
        }
        let random = RandomState::new();
        let factors = [0, 1].map(|index| random.hash_one(index) as u32 | 1);
        let counts = sizes.map(|size| (size / PAIRS_IN_BUCKET + 1) as u32);
        let mut places = Places { begins: [0; SEGMENTS], counts, factors };
        let mut begin = 0;
        for (segment, count) in places.begins.iter_mut().zip(counts) {
            *segment = begin;
            begin += count;
        }
        let mut table = Zeroed::<Bucket>::new(begin as usize);
        let buckets = table.as_mut_slice();
        for (index, &key) in made.iter().enumerate() {
            // Pairs lie all over: each is fetched a while before it is written.
            if let Some(&key) = made.get(index + AHEAD) {
                let (left, right) = parts(key);
                memory::prefetch(&buckets[places.bucket(left, right) as usize]);
            }
            let number = (first + index) as u32;
            let (left, right) = parts(key);
            if is_near(left, right) {
                continue;
            }
            let mut place = places.bucket(left, right);
            loop {
                let slots = &mut buckets[place as usize].0;
                // Slots are taken in order.
                let taken = slots.iter().filter(|&&slot| slot != 0).count();
                match slots.get_mut(taken) {
                    Some(free) => break *free = key | u64::from(number),
                    None => {
                        slots[LAST] |= HAS_MORE;
                        place = places.next(place, left, right);
                    }
                }
            }
        }
        let late: HashSet<u32> = merges.late().flat_map(|made| [made.left, made.right]).map(|id| numbers[id as usize]).collect();
        let bytes = raw.map(|ids| ids.inner.map(|id| numbers.get(id as usize).copied().unwrap_or(NO_TOKEN)));
        if bytes.is_some() {
            // Before more memory is taken.
            numbers = Zeroed::new(0);
        }
        let near = Near::new(first as u32, made.iter().map(|&key| parts(key)), |number| late.contains(&number));
        let unmade = Unmade::new(&never, vocabulary, raw.is_some());
        let level = Level::of_process().unwrap_or(Level::Scalar);
        let mut pairs = Self { numbers, ids, near, buckets: table, places, level, unmade, starts: None };
        pairs.starts = bytes.map(|bytes| {
            let made = (first as u32..).zip(&made).map(|(number, &key)| {
                let (left, right) = parts(key);
                [left, right, number]
            });
            Starts::new(bytes, &pairs, made, late, vocabulary)
        });
        Some(pairs)
    }

    /// Whether a piece may be a token that is not made.
    #[inline]
    pub(super) fn may_be_unmade(&self, piece: &[u8]) -> bool {
        self.unmade.may_have(piece)
    }

    /// The instructions for merging.
    #[inline(always)]
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// What pieces of raw bytes begin with.
    #[inline(always)]
    pub(super) fn starts(&self) -> Option<&Starts> {
        self.starts.as_ref()
    }

    /// The number of a token; `NO_TOKEN` if it is not made, and where pieces are raw bytes.
    #[inline(always)]
    pub(super) fn number(&self, id: u32) -> u32 {
        self.numbers.get(id as usize).copied().unwrap_or(NO_TOKEN)
    }

    /// The id of a number.
    #[inline(always)]
    pub(super) fn id(&self, number: u32) -> u32 {
        self.ids[number as usize]
    }

    /// The number of what two tokens merge to, or `NO_TOKEN`.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> u32 {
        match is_near(left, right) {
            true => self.near.get(left, right),
            false => self.look(left, right, self.places.bucket(left, right)),
        }
    }

    /// Whether two tokens are near, and the number of what they merge to then, or `NO_TOKEN`.
    #[inline(always)]
    pub(super) fn near(&self, left: u32, right: u32) -> (bool, u32) {
        (is_near(left, right), self.near.get(left, right))
    }

    /// The bucket of a pair of which one number at least is not small.
    #[inline(always)]
    pub(super) fn bucket(&self, left: u32, right: u32) -> u32 {
        self.places.bucket(left, right)
    }

    /// Joins all pairs of a piece's symbols that are sure to merge; how many symbols are left.
    #[inline(always)]
    pub(super) fn join<const ROOM: usize>(&self, symbols: &mut [u32; ROOM], length: usize) -> usize {
        self.near.join(symbols, length)
    }

    /// Asks the processor to fetch a bucket.
    #[inline(always)]
    pub(super) fn fetch(&self, bucket: u32) {
        memory::prefetch(self.buckets.as_ptr().wrapping_add(bucket as usize));
    }

    /// The number of what a pair merges to whose bucket this is, or `NO_TOKEN`.
    #[inline(always)]
    pub(super) fn look(&self, left: u32, right: u32, bucket: u32) -> u32 {
        let key = key(left, right);
        let slots = self.buckets[bucket as usize].0;
        // What has this key is a number alone, and all else more.
        let least = slots.map(|slot| slot ^ key).into_iter().fold(u64::MAX, u64::min);
        let is_here = least < NUMBERS as u64;
        if !is_here & (slots[LAST] & HAS_MORE != 0) {
            return self.look_behind(key, bucket);
        }
        std::hint::select_unpredictable(is_here, least as u32, NO_TOKEN)
    }

    #[cold]
    fn look_behind(&self, key: u64, mut bucket: u32) -> u32 {
        let (left, right) = parts(key);
        loop {
            let slots = self.buckets[bucket as usize].0;
            if let Some(slot) = slots.into_iter().find(|slot| (slot ^ key) & !HAS_MORE < NUMBERS as u64) {
                return (slot ^ key) as u32 % NUMBERS as u32;
            }
            if slots[LAST] & HAS_MORE == 0 {
                return NO_TOKEN;
            }
            bucket = self.places.next(bucket, left, right);
        }
    }
}

#[inline(always)]
fn key(left: u32, right: u32) -> u64 {
    (u64::from(left) << NUMBER_BITS | u64::from(right)) << NUMBER_BITS
}

/// The numbers of a key.
fn parts(key: u64) -> (u32, u32) {
    ((key >> (2 * NUMBER_BITS)) as u32, (key >> NUMBER_BITS) as u32 % NUMBERS as u32)
}
