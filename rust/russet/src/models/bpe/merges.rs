//! The merges: which two tokens become which, and when.
//!
//! They are an open-addressed hash table: by pair of ids, the number of the merge and a tag, four bytes a slot, 5 of 8 of them taken,
//! linear probing. So to see that a pair does not merge, as most do not, takes one look.
//!
//! Where ids tell texts apart, most of the list is of no use. A token's text is merged in one way only, wherever it stands; the last
//! of those merges is how the token is *made*, and no other merge that would make it is ever met (and none at all, if its text
//! becomes something else). That is one merge for each token, kept by the token's id. [`Merges::making`] finds how tokens are made,
//! shorter ones first: by the merge whose two parts stay side by side until nothing else is left to do. O(merges).
//!
//! Trained merges have ranks that only rise: a merge comes after those that make its parts. Files that were made from a vocabulary
//! alone list, for each token, every pair of tokens that joins to its text, and a few of the merges that count there are *late*:
//! they come at once when their later part is there. So the time at which a token is made is the highest rank of all its merges.
//!
//! The hash is keyed at random per table: no file can choose its collisions.

use crate::compiled::{damaged, Reader, Writer};
use crate::hashing::fold;
use crate::memory::{self, Once};
use crate::Result;
use hashbrown::HashMap;
use std::hash::{BuildHasher, RandomState};

/// A merge of a file: left id, right id, and what they become.
pub(super) type Listed = (u32, u32, Merge);

/// The same without its rank, which is its place in the list: left id, right id, and the id of what they become.
pub(super) type Joined = [u32; 3];

/// The rank of a pair that does not merge.
pub(super) const NO_RANK: u32 = u32::MAX;

/// What becomes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    /// Lower ranks merge first. `NO_RANK` if the pair does not merge.
    pub(super) rank: u32,
    pub(super) new_id: u32,
}

/// No merge.
pub(super) const NO_MERGE: Merge = Merge { rank: NO_RANK, new_id: 0 };

/// How a token is made: the two tokens that are merged, and the rank at which, with the bit `LATE` if that is not its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) rank: u32,
}

impl Made {
    /// Whether a merge makes it.
    pub(super) fn is_merged(&self) -> bool {
        ![SINGLE, NEVER].contains(self)
    }
}

/// By no merge: a single byte or character.
pub(super) const SINGLE: Made = Made { left: 0, right: 0, rank: NO_RANK - 1 };
/// In [`Made::rank`]: some other of the token's merges has a higher rank. Ranks have no such bit.
const LATE: u32 = 1 << 31;
/// Not at all.
pub(super) const NEVER: Made = Made { left: 0, right: 0, rank: NO_RANK };

/// How many merges are tested in turns, so that one waits for memory while the others go on.
const LANES: usize = 16;

/// An empty slot.
const FREE: u32 = u32::MAX;

/// All merges that matter, by pair; and how tokens are made, where that is known.
#[derive(Debug)]
pub(super) struct Merges {
    /// By pair, the id of the token that is made or else the place in the list, and above that a part of the pair's hash, so that
    /// mostly only the right one is looked at. `FREE` is no such number.
    slots: Vec<u32>,
    /// The same of merges that were read, made when first needed.
    later_slots: Once<Vec<u32>>,
    index_bits: u32,
    keys: [u64; 2],
    ranks: usize,
    /// By id; empty for a list as it is, which is the other one.
    made: Vec<Made>,
    listed: Vec<Listed>,
    /// The times of the tokens that are made late.
    late: HashMap<u32, u32>,
}

impl Merges {
    /// The table of `count` merges. Of merges of the same pair the last counts.
    pub(super) fn new(list: impl Iterator<Item = Listed>, count: usize) -> Self {
        let mut merges = Self::with_room(count, Vec::new());
        for (left, right, merge) in list {
            merges.ranks = merges.ranks.max(merge.rank as usize + 1);
            match merges.find(left, right) {
                Ok((place, _)) => merges.listed[place as usize].2 = merge,
                Err(slot) => {
                    merges.fill(slot, left, right, merges.listed.len() as u32);
                    merges.listed.push((left, right, merge));
                }
            }
        }
        merges
    }

    /// The merges of a list by which tokens are made, and the others, which are never met. No pair may be listed twice, and texts must
    /// grow. `made` says for each id whether the token is `SINGLE`; the others are `NEVER` yet. `length` tells how long a token is.
    pub(super) fn making(list: &[Joined], made: Vec<Made>, length: impl Fn(u32) -> usize) -> (Self, Vec<[u32; 2]>) {
        let mut merges = Self::with_room(list.len().min(made.len()), made);
        let (order, starts) = by_length(list, length);
        let mut candidates = Vec::with_capacity(LANES);
        for group in starts.windows(2).map(|ends| &order[ends[0] as usize..ends[1] as usize]) {
            // What is made of parts that are shorter than the tokens of a group says all about these, so several are tested in turns.
            let mut chunks = group.chunks(LANES).peekable();
            while let Some(places) = chunks.next() {
                for &rank in chunks.peek().copied().unwrap_or_default() {
                    memory::prefetch(list.as_ptr().wrapping_add(rank as usize));
                }
                merges.make_some(list, places, &mut candidates);
            }
        }
        let is_never = |&&[left, right, new_id]: &&Joined| {
            let made = merges.made(new_id);
            !made.is_merged() || (made.left, made.right) != (left, right)
        };
        let count = list.iter().filter(is_never).count();
        let mut never = Vec::with_capacity(count);
        never.extend(list.iter().filter(is_never).map(|&[left, right, _]| [left, right]));
        (merges, never)
    }

    /// Notes how tokens of one length are made: those that the merges at `places` in the list make.
    fn make_some(&mut self, list: &[Joined], places: &[u32], candidates: &mut Vec<Candidate>) {
        candidates.clear();
        for &rank in places {
            let [left, right, new_id] = list[rank as usize];
            self.fetch_made(new_id);
            self.fetch_made(left);
            self.fetch_made(right);
            candidates.push(Candidate { rank, border: Border::new(left, right), stays_apart: None, is_slot_read: false });
        }
        let is_open = |candidate: &mut Candidate| {
            let [left, right, new_id] = list[candidate.rank as usize];
            self.fetch_slot(left, right);
            self.made(new_id) == NEVER && self.made(left) != NEVER && self.made(right) != NEVER
        };
        candidates.retain_mut(is_open);
        let mut is_done = false;
        while !is_done {
            is_done = true;
            for candidate in candidates.iter_mut().filter(|candidate| candidate.stays_apart.is_none()) {
                let Border { left, right, .. } = candidate.border;
                match candidate.is_slot_read {
                    false => {
                        let slot = self.slots[self.first_slot(self.hash(left, right))];
                        self.fetch_made(slot & ((1 << self.index_bits) - 1));
                    }
                    true => candidate.stays_apart = self.undo_one(&mut candidate.border),
                }
                candidate.is_slot_read = !candidate.is_slot_read;
                if candidate.stays_apart.is_none() {
                    is_done = false;
                    let Border { left, right, .. } = candidate.border;
                    if !candidate.is_slot_read {
                        self.fetch_made(left);
                        self.fetch_made(right);
                        self.fetch_slot(left, right);
                    }
                } else {
                    let [left, right, _] = list[candidate.rank as usize];
                    self.fetch_slot(left, right);
                }
            }
        }
        for candidate in candidates.iter().filter(|candidate| candidate.stays_apart == Some(true)) {
            let [left, right, new_id] = list[candidate.rank as usize];
            if self.made(new_id) == NEVER {
                let time = [left, right].map(|part| self.time(part)).into_iter().fold(candidate.rank, u32::max);
                self.make(left, right, Merge { rank: candidate.rank, new_id }, time);
            }
        }
    }

    fn fetch_slot(&self, left: u32, right: u32) {
        memory::prefetch(self.slots.as_ptr().wrapping_add(self.first_slot(self.hash(left, right))));
    }

    fn fetch_made(&self, id: u32) {
        memory::prefetch(self.made.as_ptr().wrapping_add(id as usize));
    }

    /// Whether all merges of a list are there, met or not.
    pub(super) fn is_listed(&self) -> bool {
        self.made.is_empty()
    }

    /// Whether ranks only rise: no merge comes before those that make its parts.
    pub(super) fn is_rising(&self) -> bool {
        self.late.is_empty()
    }

    /// How the tokens are made that are made late.
    pub(super) fn late(&self) -> impl Iterator<Item = Made> + '_ {
        self.late.keys().map(|&id| self.made(id))
    }

    /// Whether it is known how tokens are made, of which there are `ids`.
    pub(super) fn is_making(&self, ids: usize) -> bool {
        self.made.len() == ids
    }

    /// An empty table with room for `len` merges.
    fn with_room(len: usize, made: Vec<Made>) -> Self {
        let random = RandomState::new();
        // No id and no place has all bits set.
        let index_bits = usize::BITS - made.len().max(len).leading_zeros();
        Self {
            slots: Self::free_slots(len),
            later_slots: Once::new(),
            index_bits,
            keys: [random.hash_one(0), random.hash_one(1) | 1],
            ranks: 0,
            made,
            listed: Vec::new(),
            late: HashMap::new(),
        }
    }

    /// Room for `len` merges.
    fn free_slots(len: usize) -> Vec<u32> {
        vec![FREE; len * 8 / 5 + 2]
    }

    /// The slots, made now if they are not there.
    #[inline(always)]
    fn slots(&self) -> &[u32] {
        match self.slots.as_slice() {
            [] => self.later_slots.get().map_or_else(|| self.make_slots(), Vec::as_slice),
            slots => slots,
        }
    }

    #[cold]
    fn make_slots(&self) -> &[u32] {
        let mut slots = Self::free_slots(self.made.iter().filter(|made| made.is_merged()).count());
        for (id, made) in (0..).zip(&self.made).filter(|(_, made)| made.is_merged()) {
            if let Err(slot) = self.find_in(&slots, made.left, made.right) {
                slots[slot] = self.tagged(made.left, made.right, id);
            }
        }
        self.later_slots.set(Box::new(slots));
        self.later_slots.get().map_or(&[FREE; 2], Vec::as_slice)
    }

    fn fill(&mut self, slot: usize, left: u32, right: u32, index: u32) {
        self.slots[slot] = self.tagged(left, right, index);
    }

    /// What the slot of a pair holds.
    fn tagged(&self, left: u32, right: u32, index: u32) -> u32 {
        (self.hash(left, right) as u32) << self.index_bits | index
    }

    /// Notes how a token is made, which was not known.
    fn make(&mut self, left: u32, right: u32, merge: Merge, time: u32) {
        let is_late = time != merge.rank;
        self.made[merge.new_id as usize] = Made { left, right, rank: merge.rank | if is_late { LATE } else { 0 } };
        if is_late {
            self.late.insert(merge.new_id, time);
        }
        self.ranks = self.ranks.max(merge.rank as usize + 1);
        if let Err(slot) = self.find(left, right) {
            self.fill(slot, left, right, merge.new_id);
        }
    }

    /// One more than the highest rank.
    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// The merge of a pair, or `NO_MERGE`.
    #[inline(always)]
    pub(super) fn get(&self, left: u32, right: u32) -> Merge {
        self.find(left, right).map_or(NO_MERGE, |(_, merge)| merge)
    }

    /// How a token is made, where that is known.
    #[inline(always)]
    pub(super) fn made(&self, id: u32) -> Made {
        self.made.get(id as usize).copied().unwrap_or(NEVER)
    }

    /// The rank of the merge that makes a token.
    pub(super) fn rank(&self, id: u32) -> u32 {
        self.made(id).rank & !LATE
    }

    /// Whether two tokens that are made stay as they are side by side: their merges are undone, the latest first, and at each step
    /// a merge across the border must come later than all that is done while the same two tokens are beside the border.
    pub(super) fn stay_apart(&self, left: u32, right: u32) -> bool {
        let mut border = Border::new(left, right);
        loop {
            if let Some(stay_apart) = self.undo_one(&mut border) {
                return stay_apart;
            }
        }
    }

    /// Undoes the later of the two merges beside a border; the answer, if that is known then.
    #[inline(always)]
    fn undo_one(&self, border: &mut Border) -> Option<bool> {
        let crossing = self.get(border.left, border.right).rank;
        if crossing != NO_RANK {
            // What it makes is made by it, so the two stay apart until then.
            return Some(u64::from(crossing) >= border.limit);
        }
        let Border { left, right, .. } = *border;
        let (left_made, right_made) = (self.made(left), self.made(right));
        // The rank of a merge that is not late, or less than any.
        let rank = |made: Made| if made == SINGLE { -1 } else { i64::from(made.rank) };
        let (left_rank, right_rank) = (rank(left_made), rank(right_made));
        if left_rank.max(right_rank) < i64::from(LATE) {
            // It cannot be foreseen which is undone, so there is no branch.
            let is_left = left_rank > right_rank;
            *border = Border {
                left: if is_left { left_made.right } else { left },
                right: if is_left { right } else { right_made.left },
                // Of equal ranks the left one came first. A merge across the border with the rank of one on its right comes before it.
                limit: (if is_left { left_rank } else { right_rank + 1 }) as u64,
            };
            return (left_rank.max(right_rank) < 0).then_some(true);
        }
        match (left_made == SINGLE, right_made == SINGLE) {
            (true, true) => return Some(true),
            (false, is_single) if is_single || self.time_of(left, left_made) > self.time_of(right, right_made) => {
                border.left = left_made.right;
                border.limit = u64::from(match left_made.rank & LATE {
                    0 => left_made.rank,
                    _ => self.late_limit(left_made, left_made.left, |time| time > self.time(border.left).max(self.time(right))),
                });
            }
            _ => {
                border.right = right_made.left;
                border.limit = 1 + u64::from(match right_made.rank & LATE {
                    0 => right_made.rank,
                    _ => self.late_limit(right_made, right_made.right, |time| time >= self.time(left).max(self.time(border.right))),
                });
            }
        }
        None
    }

    /// The highest rank of what is done until a late merge and with it, while its part at the border is there. The other part counts
    /// if `is_later` says so of its time: that the part at the border was there before.
    fn late_limit(&self, made: Made, other: u32, is_later: impl Fn(u32) -> bool) -> u32 {
        let (rank, time) = (made.rank & !LATE, self.time(other));
        if self.made(other) != SINGLE && is_later(time) {
            rank.max(time)
        } else {
            rank
        }
    }

    /// The highest rank of the merges of a token that is made; 0 if there are none.
    fn time(&self, id: u32) -> u32 {
        match self.made(id) {
            SINGLE => 0,
            made => self.time_of(id, made),
        }
    }

    #[inline(always)]
    fn time_of(&self, id: u32, made: Made) -> u32 {
        match made.rank & LATE {
            0 => made.rank,
            _ => self.late[&id],
        }
    }

    /// All merges as left id, right id and merge, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Listed> + '_ {
        let merged = (0..).zip(&self.made).filter(|(_, made)| made.is_merged());
        let made = merged.map(|(new_id, made)| (made.left, made.right, Merge { rank: made.rank & !LATE, new_id }));
        made.chain(self.listed.iter().copied())
    }

    /// Writes the merges to a compiled file. The table is made again when it is needed.
    pub(super) fn write(&self, to: &mut Writer) {
        to.rows(self.made.iter().map(|made| [made.left, made.right, made.rank]));
        to.rows(self.late.iter().map(|(&id, &time)| [id, time]));
        to.rows(self.listed.iter().map(|&(left, right, merge)| [left, right, merge.rank, merge.new_id]));
    }

    /// Reads what [`write`](Self::write) wrote, where `is_token` knows the ids; `lengths` are those of the tokens by id, if ids are
    /// dense.
    pub(super) fn read(from: &mut Reader<'_>, lengths: Option<&[u32]>, is_token: impl Fn(u32) -> bool) -> Result<Self> {
        let made = from.rows(|[left, right, rank]| Made { left, right, rank })?;
        let late: HashMap<u32, u32> = from.rows(|[id, time]| (id, time))?.into_iter().collect();
        let listed = from.rows(|[left, right, rank, new_id]| (left, right, Merge { rank, new_id }))?;
        if made.is_empty() {
            return match listed.iter().all(|(_, _, merge)| merge.rank & LATE == 0 && is_token(merge.new_id)) {
                true => Ok(Self::new(listed.iter().copied(), listed.len())),
                false => Err(damaged("a merge makes a token that is not there")),
            };
        }
        if lengths.is_none_or(|lengths| are_made(&made, &late, lengths).is_none()) {
            return Err(damaged("tokens are made of what they are not made of"));
        }
        let merged = made.iter().filter(|made| made.is_merged());
        let ranks = merged.map(|made| (made.rank & !LATE) as usize + 1).max().unwrap_or(0);
        Ok(Self { late, ranks, slots: Vec::new(), ..Self::with_room(0, made) })
    }

    fn first_slot(&self, hash: u64) -> usize {
        first_slot(hash, &self.slots)
    }

    #[inline(always)]
    fn hash(&self, left: u32, right: u32) -> u64 {
        let pair = u64::from(left) << 32 | u64::from(right);
        fold(pair ^ self.keys[0], self.keys[1])
    }

    /// The id or place of a pair, and its merge; or the empty slot where it would go.
    #[inline(always)]
    fn find(&self, left: u32, right: u32) -> std::result::Result<(u32, Merge), usize> {
        self.find_in(self.slots(), left, right)
    }

    #[inline(always)]
    fn find_in(&self, slots: &[u32], left: u32, right: u32) -> std::result::Result<(u32, Merge), usize> {
        let hash = self.hash(left, right);
        let tag = (hash as u32) << self.index_bits;
        let mut slot = first_slot(hash, slots);
        loop {
            let found = slots[slot];
            if found == FREE {
                return Err(slot);
            }
            let index = found ^ tag;
            if index >> self.index_bits == 0 {
                match self.made.get(index as usize) {
                    Some(made) if (made.left, made.right) == (left, right) => {
                        return Ok((index, Merge { rank: made.rank & !LATE, new_id: index }));
                    }
                    None if self.made.is_empty() => {
                        if let Some(&(_, _, merge)) =
                            self.listed.get(index as usize).filter(|listed| (listed.0, listed.1) == (left, right))
                        {
                            return Ok((index, merge));
                        }
                    }
                    _ => {}
                }
            }
            slot = if slot + 1 == slots.len() { 0 } else { slot + 1 };
        }
    }
}

/// The hash as a fraction of the number of slots.
#[inline(always)]
fn first_slot(hash: u64, slots: &[u32]) -> usize {
    ((u128::from(hash) * slots.len() as u128) >> 64) as usize
}

/// Something, if each token is as long as its two parts together, which are made as well, and its time is right: then it takes
/// finitely many steps to undo all merges.
fn are_made(made: &[Made], late: &HashMap<u32, u32>, lengths: &[u32]) -> Option<()> {
    let time = |id: u32, made: Made| match made {
        NEVER => None,
        SINGLE => Some(0),
        Made { rank, .. } if rank & LATE == 0 => Some(rank),
        _ => late.get(&id).copied(),
    };
    // Parts are anywhere in the list: so what is asked of them stands together. No token is longer than 65,536 bytes.
    let parts = (0..).zip(made).zip(lengths).map(|((id, &made), &length)| time(id, made).map_or([0, 0], |time| [time, length]));
    let parts: Vec<[u32; 2]> = parts.collect();
    let part = |id: u32| parts.get(id as usize).copied().filter(|&[_, length]| length > 0);
    for ((id, &made), &length) in (0..).zip(made).zip(lengths).filter(|((_, made), _)| made.is_merged()) {
        let ([left_time, left], [right_time, right]) = (part(made.left)?, part(made.right)?);
        if length != left + right || time(id, made)? != (made.rank & !LATE).max(left_time).max(right_time) {
            return None;
        }
    }
    (made.len() == lengths.len()).then_some(())
}

/// Two tokens side by side, and the rank from which on a merge across the border comes too late.
#[derive(Clone, Copy, Debug)]
struct Border {
    left: u32,
    right: u32,
    limit: u64,
}

impl Border {
    fn new(left: u32, right: u32) -> Self {
        Self { left, right, limit: u64::MAX }
    }
}

/// A merge that may be how its token is made.
struct Candidate {
    rank: u32,
    border: Border,
    stays_apart: Option<bool>,
    is_slot_read: bool,
}

/// The places in `list`, those of merges that make shorter tokens first; equal ones in the order of the list. And where those of each
/// length begin.
fn by_length(list: &[Joined], length: impl Fn(u32) -> usize) -> (Vec<u32>, Vec<u32>) {
    // No token is longer than 65,536 bytes.
    let lengths: Vec<u32> = list.iter().map(|&[_, _, new_id]| length(new_id) as u32).collect();
    let mut starts = vec![0; lengths.iter().max().map_or(0, |&longest| longest as usize + 2)];
    lengths.iter().for_each(|&length| starts[length as usize + 1] += 1);
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let begins = starts.clone();
    let mut order = vec![0; list.len()];
    for (place, &length) in (0..).zip(&lengths) {
        let start = &mut starts[length as usize];
        order[*start as usize] = place;
        *start += 1;
    }
    (order, begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn an_empty_table_merges_nothing() {
        for merges in [Merges::new([].into_iter(), 0), Merges::making(&[], Vec::new(), |_| 0).0] {
            for id in [0, 1, u32::MAX] {
                assert_eq!(merges.get(id, id), NO_MERGE);
            }
        }
    }

    #[test]
    fn a_token_is_made_in_one_way() {
        // a, b, c: ab, then abc and bc; a + bc is listed and never met, as ab comes first.
        let list = [[0, 1, 3], [1, 2, 4], [0, 4, 5], [3, 2, 5]];
        let singles = vec![SINGLE, SINGLE, SINGLE, NEVER, NEVER, NEVER];
        let (merges, others) = Merges::making(&list, singles, |id| [1, 1, 1, 2, 2, 3][id as usize]);
        assert_eq!(others, [[0, 4]]);
        assert_eq!(merges.made(5), Made { left: 3, right: 2, rank: 3 });
        assert_eq!((merges.get(3, 2).rank, merges.get(0, 4), merges.ranks(), merges.is_rising()), (3, NO_MERGE, 4, true));
        assert!(!merges.stay_apart(0, 4) && merges.stay_apart(4, 0));
    }

    #[test]
    fn a_token_may_be_made_late() {
        // a: aaaa, listed before aaa, is made of two aa; baa of ba and a, which ba is made after.
        let list = [[0, 0, 1], [0, 3, 2], [1, 1, 2], [5, 0, 6], [0, 1, 3], [1, 0, 3], [4, 0, 5]];
        let singles = vec![SINGLE, NEVER, NEVER, NEVER, SINGLE, NEVER, NEVER];
        let (merges, others) = Merges::making(&list, singles, |id| [1, 2, 4, 3, 1, 2, 3][id as usize]);
        assert_eq!(others, [[0, 3], [5, 0], [0, 1]]);
        assert!(merges.is_rising());
        // Without aa, ba is made at rank 6, and baa with it.
        let list = [[3, 0, 4], [2, 0, 3]];
        let (merges, others) = Merges::making(&list, vec![SINGLE, NEVER, SINGLE, NEVER, NEVER], |id| [1, 2, 1, 2, 3][id as usize]);
        assert_eq!((others.len(), merges.is_rising(), merges.time(4), merges.get(3, 0).rank), (0, false, 1, 0));
    }

    proptest! {
        #[test]
        fn equals_a_map(list in proptest::collection::vec((prop_oneof![0u32..6, Just(u32::MAX)], prop_oneof![0u32..6, any::<u32>()], 0u32..9), 0..60)) {
            let listed: Vec<Listed> = (0..).zip(&list).map(|(rank, &(left, right, new_id))| (left, right, Merge { rank, new_id })).collect();
            let merges = Merges::new(listed.iter().copied(), listed.len());
            let map: HashMap<(u32, u32), Merge> = listed.iter().map(|&(left, right, merge)| ((left, right), merge)).collect();
            for &(left, right, _) in &list {
                prop_assert_eq!(merges.get(left, right), map[&(left, right)]);
                prop_assert_eq!(merges.get(right, left), map.get(&(right, left)).copied().unwrap_or(NO_MERGE));
            }
            let all: HashMap<(u32, u32), Merge> = merges.iter().map(|(left, right, merge)| ((left, right), merge)).collect();
            prop_assert_eq!(all, map);
        }
    }
}
