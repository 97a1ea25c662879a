//! Pairs of symbols and what they merge to, for merging a few symbols fast.
//!
//! Where it is known how tokens are made ([`Merges::making`]), each token is made by one merge. So tokens get *numbers*: those that
//! no merge makes first, then the others by the rank of their merge. The least number that a pair makes is the merge that comes
//! next, and no rank is needed.
//!
//! A pair of two small numbers, as bytes and frequent characters are, has its place in a table of 256 by 256, of which a text touches
//! a few lines. All other pairs are in buckets of four, half a cache line, each slot both numbers and what they make in eight bytes:
//! one look tells, without a branch, in all but the few buckets that are full. O(1); made in O(merges).

use super::alphabet::ByteIds;
use super::merges::{Merges, NEVER, SINGLE};
use super::starts::Starts;
use super::unmade::Unmade;
use crate::memory::{self, Zeroable, Zeroed};
use crate::vocab::Vocabulary;
use std::hash::{BuildHasher, RandomState};

/// Numbers are less than this.
const NUMBERS: usize = 1 << NUMBER_BITS;
pub(super) const NUMBER_BITS: u32 = 21;
/// No token: it is in no pair.
pub(super) const NO_TOKEN: u32 = NUMBERS as u32 - 1;
/// Pairs of numbers below this have a table of their own.
const NEAR: usize = 256;
/// So many pairs ahead memory is asked for.
const AHEAD: usize = 12;
/// There is a bucket for this many pairs.
const PAIRS_IN_BUCKET: usize = 2;

/// What pairs of tokens merge to, by number.
#[derive(Debug)]
pub(super) struct Pairs {
    /// By id; `NO_TOKEN` for what is not made.
    numbers: Zeroed<u32>,
    /// By number; `NO_TOKEN` for numbers that no token has.
    ids: Zeroed<u32>,
    /// What pairs of small numbers make, or 0.
    near: Zeroed<u32>,
    /// The buckets of each segment, one behind the other.
    buckets: Zeroed<Bucket>,
    /// By the highest bit of both numbers, where the buckets of such pairs begin, and how many they are.
    segments: [(u32, u32); NUMBER_BITS as usize],
    factor: u64,
    /// The tokens that are not made.
    unmade: Unmade,
    /// Where pieces are raw bytes.
    starts: Option<Starts>,
}

/// Four pairs with what they make, which is more than 0, or 0 where there is none.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Bucket([u64; 4]);

// SAFETY: zeros are a value of u64.
unsafe impl Zeroable for Bucket {}

/// Where a pair is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    key: u64,
    bucket: usize,
}

impl Pairs {
    /// The pairs of merges by which tokens are made; `None` where these are too many. Where pieces are raw bytes, `raw` has their ids.
    pub(super) fn new(merges: &Merges, ids_end: usize, vocabulary: &Vocabulary, raw: Option<&ByteIds>) -> Option<Self> {
        if ids_end + NEAR >= NUMBERS {
            return None;
        }
        let (mut singles, mut never) = (Vec::new(), Vec::new());
        // What is made, each with the rank of its merge above it. Large tables are `Zeroed`, for the sake of huge pages.
        let mut made = Zeroed::<u64>::new(ids_end);
        let mut made_end = 0;
        for id in 0..ids_end as u32 {
            match merges.made(id) {
                NEVER => never.push(id),
                SINGLE => singles.push(id),
                _ => {
                    made.as_mut_slice()[made_end] = u64::from(merges.rank(id)) << 32 | u64::from(id);
                    made_end += 1;
                }
            }
        }
        let made = &mut made.as_mut_slice()[..made_end];
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
        let (mut numbers, mut ids) = (Zeroed::new(ids_end), Zeroed::new(first + made_end));
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
        let mut sizes = [0; NUMBER_BITS as usize];
        for made in made.iter_mut() {
            let token = merges.made(*made as u32);
            let (left, right) = (numbers[token.left as usize], numbers[token.right as usize]);
            *made = key(left, right);
            sizes[segment(left, right)] += usize::from(!is_near(left, right));
        }
        let mut segments = [(0, 1); NUMBER_BITS as usize];
        let mut begin = 0;
        for (segment, size) in segments.iter_mut().zip(sizes) {
            let count = (size / PAIRS_IN_BUCKET + 1) as u32;
            *segment = (begin, count);
            begin += count;
        }
        let factor = RandomState::new().hash_one(0) | 1;
        let mut near = Zeroed::new(NEAR * NEAR);
        let mut table = Zeroed::<Bucket>::new(begin as usize);
        let buckets = table.as_mut_slice();
        for (index, &key) in made.iter().enumerate() {
            // Pairs lie all over: each is fetched a while before it is written.
            if let Some(&key) = made.get(index + AHEAD) {
                memory::prefetch(&buckets[bucket(key, factor, segments[segment_of(key)])]);
            }
            let number = (first + index) as u32;
            let (left, right) = parts(key);
            if is_near(left, right) {
                near.as_mut_slice()[left as usize * NEAR + right as usize] = number;
                continue;
            }
            let segment = segments[segment_of(key)];
            let mut place = bucket(key, factor, segment);
            loop {
                let slots = &mut buckets[place].0;
                // Slots are taken in order.
                let taken = slots.iter().filter(|&&slot| slot != 0).count();
                match slots.get_mut(taken) {
                    Some(free) => break *free = key | u64::from(number),
                    None => place = next(place, segment),
                }
            }
        }
        let unmade = Unmade::new(&never, vocabulary, raw.is_some());
        let mut pairs = Self { numbers, ids, near, buckets: table, segments, factor, unmade, starts: None };
        pairs.starts = raw.map(|ids| {
            let made = (first as u32..).zip(&*made).map(|(number, &key)| {
                let (left, right) = parts(key);
                [left, right, number]
            });
            let late = merges.late().flat_map(|made| [made.left, made.right]).map(|id| pairs.number(id)).collect();
            Starts::new(ids, &pairs, made, late, vocabulary)
        });
        Some(pairs)
    }

    /// Whether a piece may be a token that is not made.
    #[inline]
    pub(super) fn may_be_unmade(&self, piece: &[u8]) -> bool {
        self.unmade.may_have(piece)
    }

    /// What pieces of raw bytes begin with.
    #[inline(always)]
    pub(super) fn starts(&self) -> Option<&Starts> {
        self.starts.as_ref()
    }

    /// The number of a token; `NO_TOKEN` if it is not made.
    #[inline(always)]
    pub(super) fn number(&self, id: u32) -> u32 {
        self.numbers.get(id as usize).copied().unwrap_or(NO_TOKEN)
    }

    /// The id of a number.
    #[inline(always)]
    pub(super) fn id(&self, number: u32) -> u32 {
        self.ids[number as usize]
    }

    /// The number of what two tokens merge to, or 0.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> u32 {
        match is_near(left, right) {
            true => self.near[left as usize * NEAR + right as usize],
            false => self.look(self.place(left, right)),
        }
    }

    /// Where a pair is of which one number at least is not small; asks the processor to fetch it.
    #[inline(always)]
    pub(super) fn place(&self, left: u32, right: u32) -> Place {
        let key = key(left, right);
        let bucket = bucket(key, self.factor, self.segments[segment(left, right)]);
        memory::prefetch(&self.buckets[bucket]);
        Place { key, bucket }
    }

    /// The number of what the pair at a place merges to, or 0.
    #[inline(always)]
    pub(super) fn look(&self, Place { key, bucket }: Place) -> u32 {
        let slots = self.buckets[bucket].0;
        // What has this key is a number alone, and all else more.
        let least = slots.map(|slot| slot ^ key).into_iter().fold(u64::MAX, u64::min);
        if slots[3] == 0 || least < NUMBERS as u64 {
            return if least < NUMBERS as u64 { least as u32 } else { 0 };
        }
        self.look_behind(key, bucket)
    }

    #[cold]
    fn look_behind(&self, key: u64, mut bucket: usize) -> u32 {
        let segment = self.segments[segment_of(key)];
        loop {
            bucket = next(bucket, segment);
            let slots = self.buckets[bucket].0;
            if let Some(slot) = slots.into_iter().find(|slot| slot ^ key < NUMBERS as u64) {
                return (slot ^ key) as u32;
            }
            if slots[3] == 0 {
                return 0;
            }
        }
    }
}

#[inline(always)]
fn is_near(left: u32, right: u32) -> bool {
    (left | right) < NEAR as u32
}

/// Where pairs of such numbers are: those of small numbers, which a text has most of, stand together.
#[inline(always)]
fn segment(left: u32, right: u32) -> usize {
    (left | right | 1).ilog2() as usize % NUMBER_BITS as usize
}

fn segment_of(key: u64) -> usize {
    let (left, right) = parts(key);
    segment(left, right)
}

/// The bucket of a key in its segment.
#[inline(always)]
fn bucket(key: u64, factor: u64, (begin, count): (u32, u32)) -> usize {
    let fraction = key.wrapping_mul(factor) >> 32;
    begin as usize + ((fraction * u64::from(count)) >> 32) as usize
}

/// The bucket behind a full one.
fn next(bucket: usize, (begin, count): (u32, u32)) -> usize {
    match bucket as u32 + 1 - begin == count {
        true => begin as usize,
        false => bucket + 1,
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
