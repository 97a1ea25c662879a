//! A trie over the bytes of a vocabulary's texts.
//!
//! It is a double array (Aoe, 1989) in its XOR form: the child of a state for byte `b` is the slot `base ^ b`, if that slot's
//! label is `b`; so that this tells whose child it is, no two states have one base. A slot is eight bytes, label, value and base
//! in one, and a step is one load. The children of a state share a block of 256 slots. A place for them is found by intersecting,
//! for each of their bytes, the block's set of free slots permuted by that byte, as 256-bit sets: no trial and error, so no file
//! makes the construction slow.
//!
//! Where a text goes on for four bytes or more that no other shares, these bytes are no states: they are compared with the text
//! itself, and so are sixteen or more that several share without one ending or branching off there. So a text costs a few
//! states, however long it is, and a walk over n bytes takes no more steps than there are branchings on its way, of which texts
//! of f bytes in all have at most the square root of 2 f, and n / 32 for what is compared.
//!
//! The texts are sorted first: O(f log f) to build, with sixteen bytes for each text meanwhile, and eight for each state. It is the wrong choice where texts come and go.

use crate::compiled::{damaged, Reader, Writer};
use crate::string_list::Texts;
use crate::{Error, Result};
use std::ops::Range;

/// No value: a state where no text ends.
const NONE: u32 = (1 << VALUE_BITS) - 1;
/// The value of a state that leads to a chain: its base is the chain's index.
const CHAIN: u32 = NONE - 1;

/// The label of a slot that is nobody's child.
const FREE: u64 = 1 << 8;
const LABEL_BITS: u32 = 9;
/// Set in a state whose value's text has more bytes, which are compared.
const TAIL: u64 = 1 << LABEL_BITS;
const VALUE_BITS: u32 = 25;
const VALUE_SHIFT: u32 = LABEL_BITS + 1;
const BASE_SHIFT: u32 = VALUE_SHIFT + VALUE_BITS;
/// The slots that a base can point to.
const MAX_SLOTS: usize = 1 << (64 - BASE_SHIFT);

/// Shorter ends of a text are states.
const TAIL_BYTES: usize = 4;
/// Shorter stretches without a branch are states.
const CHAIN_BYTES: usize = 16;

/// How many partly filled blocks are searched for a place. More packs tighter and builds slower.
const OPEN_BLOCKS: usize = 16;
/// After so many looks in vain a block is searched no more.
const MISSES: u32 = 8;
/// How many free slots of a block are tried for an only child.
const SLOTS_TRIED: usize = 4;

/// A state: from the low bits, the label that leads to it, whether there is a tail, the value, and the base of its children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State(u64);

impl State {
    fn new(label: u64, value: u32) -> Self {
        Self(label | u64::from(value) << VALUE_SHIFT)
    }

    #[inline(always)]
    fn label(self) -> u64 {
        self.0 & ((1 << LABEL_BITS) - 1)
    }

    #[inline(always)]
    fn value(self) -> u32 {
        (self.0 >> VALUE_SHIFT) as u32 & NONE
    }

    /// The text that ends here.
    #[inline(always)]
    pub(crate) fn text(self) -> Option<u32> {
        Some(self.value()).filter(|&value| value < CHAIN)
    }

    #[inline(always)]
    fn base(self) -> u32 {
        (self.0 >> BASE_SHIFT) as u32
    }

    /// Whether no text ends here, and there is no tail.
    #[inline(always)]
    fn is_bare(self) -> bool {
        const VALUE_AND_TAIL: u64 = (NONE as u64) << VALUE_SHIFT | TAIL;
        self.0 & VALUE_AND_TAIL == (NONE as u64) << VALUE_SHIFT
    }

    #[inline(always)]
    fn has_tail(self) -> bool {
        self.0 & TAIL != 0
    }

    fn set_base(&mut self, base: usize) {
        self.0 = self.0 & ((1 << BASE_SHIFT) - 1) | (base as u64) << BASE_SHIFT;
    }
}

/// What a walk has come to behind a character.
pub(crate) enum AfterCharacter {
    /// No text begins so.
    Nothing,
    /// The bytes of a text are to be compared.
    Tail,
    State(State),
}

/// Bytes that all texts through a state go on with.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// One of the texts.
    text: u32,
    /// How many of its bytes are skipped.
    length: u32,
    /// The state behind them.
    next: State,
}

/// A trie of [`Texts`]. The list is not kept: it is given with each call.
#[derive(Debug)]
pub(crate) struct Trie {
    /// The first block has only the root: it is where the children of states without children are looked for.
    slots: Vec<State>,
    chains: Vec<Chain>,
}

impl Trie {
    /// The trie of `texts`; the values are their indices. Of equal texts the last counts. The bytes of `prefix` become states
    /// in any case, so that [`after`](Self::after) finds them. Also returns the first index of a text that is there again.
    ///
    /// # Errors
    /// [`Error::Limit`] for more states than a slot can point to: no vocabulary below 500 MB has them.
    pub(crate) fn new<T: Texts>(texts: &T, prefix: &str) -> Result<(Self, Option<u32>)> {
        let Sorted { entries, repeated, states } = Sorted::new(texts);
        // Some slots stay free. Chains make the states fewer than they might be, but then there are few to a text.
        let slots = Vec::with_capacity((states + states / 16 + 256 * OPEN_BLOCKS).min(8 * texts.count() + 512));
        let builder = Builder { texts, entries, prefix: prefix.as_bytes(), slots, chains: Vec::new(), open: Vec::new() };
        Ok((builder.build()?, repeated))
    }

    /// The state before any byte.
    #[inline(always)]
    pub(crate) fn root(&self) -> State {
        self.slots[0]
    }

    /// The state after the prefix that the trie was made for, if a text begins with it.
    pub(crate) fn after(&self, prefix: &str) -> Option<State> {
        // A state with a tail is none of the prefix; a damaged file may say so.
        prefix.bytes().try_fold(self.root(), |state, byte| self.step(state, byte).filter(|state| !state.has_tail()))
    }

    /// Writes the trie to a compiled file.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.u64s(self.slots.iter().map(|state| state.0));
        to.rows(self.chains.iter().map(|chain| [chain.text, chain.length]));
        to.u64s(self.chains.iter().map(|chain| chain.next.0));
    }

    /// Reads what [`write`](Self::write) wrote of a trie of `texts` texts. States and values are in range; that they are the
    /// right ones is not checked.
    pub(crate) fn read(from: &mut Reader<'_>, texts: usize) -> Result<Self> {
        let slots = from.u64s(State)?;
        let (chains, after) = (from.rows(|row: [u32; 2]| row)?, from.u64s(State)?);
        // Loading is in good part to look at all states: so no branches, and the highest value, NONE, counts as the lowest.
        let is_value = |state: State| ((state.value() + 1) & NONE) as usize <= texts;
        let is_state = |state: State| is_value(state) & ((state.base() | 0xff) < slots.len() as u32);
        let is_chain = |state: State| (state.value() == CHAIN) & state.has_tail() & ((state.base() as usize) < chains.len());
        let sound = slots.iter().filter(|&&state| is_state(state) | is_chain(state)).count();
        let is_sound = sound == slots.len() && slots.first().is_some_and(|&root| is_state(root)) && slots.len() <= MAX_SLOTS;
        if !is_sound || after.len() != chains.len() || !after.iter().all(|&next| is_state(next)) {
            return Err(damaged("a trie leads out of its table"));
        }
        let chains = chains.iter().zip(after).map(|(&[text, length], next)| Chain { text, length, next }).collect();
        Ok(Self { slots, chains })
    }

    #[inline(always)]
    fn step(&self, state: State, byte: u8) -> Option<State> {
        // All bases lead into the table.
        let child = *self.slots.get((state.base() ^ u32::from(byte)) as usize)?;
        (child.label() == u64::from(byte)).then_some(child)
    }

    /// The state after the first `length` bytes, if texts that begin with them do not end among them, and are not told apart there yet.
    #[inline(always)]
    pub(crate) fn after_character(&self, bytes: &[u8], length: usize) -> AfterCharacter {
        let mut state = self.root();
        for &byte in bytes.iter().take(length) {
            match self.step(state, byte) {
                Some(next) if next.has_tail() => return AfterCharacter::Tail,
                Some(next) => state = next,
                None => return AfterCharacter::Nothing,
            }
        }
        AfterCharacter::State(state)
    }

    /// Calls `found` with the index and the length of each text that `bytes` begins with, the shortest first, but for the empty
    /// text. With `from` the state after a prefix, the texts are those that begin with the prefix, and it is left out of
    /// `bytes` and lengths; `depth` is its length.
    #[inline(always)]
    pub(crate) fn for_each_prefix<T: Texts>(
        &self,
        texts: &T,
        (from, depth): (State, usize),
        bytes: &[u8],
        mut found: impl FnMut(u32, usize),
    ) {
        let mut state = from;
        let mut read = 0;
        while let Some(&byte) = bytes.get(read) {
            let Some(next) = self.step(state, byte) else { return };
            state = next;
            read += 1;
            if state.is_bare() {
                continue;
            }
            if state.has_tail() {
                match self.skip(texts, state, depth + read, &bytes[read..]) {
                    Some((next, skipped)) => (state, read) = (next, read + skipped),
                    None => return,
                }
                if state.value() == NONE {
                    continue;
                }
            }
            found(state.value(), read);
        }
    }

    /// What is behind a tail or a chain that `bytes` begin with, and its length. `depth` bytes were read before.
    #[cold]
    fn skip<T: Texts>(&self, texts: &T, state: State, depth: usize, bytes: &[u8]) -> Option<(State, usize)> {
        let (rest, next) = match state.value() {
            CHAIN => {
                let Chain { text, length, next } = self.chains[state.base() as usize];
                (texts.bytes(text as usize).get(depth..depth + length as usize)?, next)
            }
            value => (texts.bytes(value as usize).get(depth..)?, state),
        };
        bytes.starts_with(rest).then_some((next, rest.len()))
    }

    /// The index of `text`.
    pub(crate) fn find<T: Texts>(&self, texts: &T, text: &[u8]) -> Option<u32> {
        if text.is_empty() {
            return Some(self.root().value()).filter(|&value| value != NONE);
        }
        let mut index = None;
        self.for_each_prefix(texts, (self.root(), 0), text, |value, length| {
            if length == text.len() {
                index = Some(value);
            }
        });
        index
    }
}

/// A text in the order of the texts. Of most texts this is all that is needed to build.
#[derive(Clone, Copy)]
struct Entry {
    /// The first eight bytes, the first one highest, with zeros behind a shorter text.
    key: u64,
    index: u32,
    length: u32,
}

impl Entry {
    const FIRST_BYTES: usize = 8;

    fn new(index: u32, text: &[u8]) -> Self {
        let key = match text.first_chunk::<8>() {
            Some(first) => u64::from_be_bytes(*first),
            None => {
                text.iter().fold(0, |key, &byte| key << 8 | u64::from(byte)).checked_shl(64 - 8 * text.len() as u32).unwrap_or(0)
            }
        };
        Self { key, index, length: text.len() as u32 }
    }

    fn len(self) -> usize {
        self.length as usize
    }
}

/// Distinct texts in their order.
struct Sorted {
    /// Of equal texts the last.
    entries: Vec<Entry>,
    /// The first index of a text that is there again.
    repeated: Option<u32>,
    /// How many states the trie has at most.
    states: usize,
}

impl Sorted {
    fn new<T: Texts>(texts: &T) -> Self {
        let text = |entry: Entry| texts.bytes(entry.index as usize);
        let mut entries: Vec<Entry> = Vec::with_capacity(texts.count());
        entries.extend((0..texts.count() as u32).map(|index| Entry::new(index, texts.bytes(index as usize))));
        // Nearly all are told apart by their first bytes, without a jump for each comparison.
        entries.sort_unstable_by_key(|entry| entry.key);
        for group in entries.chunk_by_mut(|a, b| a.key == b.key).filter(|group| group.len() > 1) {
            group.sort_unstable_by(|&a, &b| text(a).cmp(text(b)).then(a.index.cmp(&b.index)));
        }
        let shared = |a: Entry, b: Entry| match a.key ^ b.key {
            0 => {
                let (a, b) = (text(a).iter(), text(b).iter());
                a.zip(b).take_while(|(a, b)| a == b).count()
            }
            // A zero byte is like none.
            other => (other.leading_zeros() as usize / 8).min(a.len()).min(b.len()),
        };
        let mut repeated: Option<u32> = None;
        let mut states = 1;
        // The states of a text are those that it does not share with the one before, but for a tail.
        let mut shared_before = 0;
        let mut add_states = |length: usize, shared_after: usize| {
            let shared = shared_before.max(shared_after);
            let unshared = length - shared;
            states += shared - shared_before + if unshared > TAIL_BYTES { 1 } else { unshared };
            shared_before = shared_after;
        };
        entries.dedup_by(|later, kept| {
            let shared = shared(*kept, *later);
            if shared < later.len() {
                add_states(kept.len(), shared);
                return false;
            }
            repeated = Some(repeated.map_or(kept.index, |first| first.min(kept.index)));
            *kept = *later;
            true
        });
        if let Some(&last) = entries.last() {
            add_states(last.len(), 0);
        }
        Self { entries, repeated, states }
    }
}

/// A set of slots of one block.
#[derive(Clone, Copy)]
struct Set([u64; 4]);

impl Set {
    const ALL: Self = Self([u64::MAX; 4]);

    /// `{slot ^ byte}` for the slots in the set.
    fn permuted(self, byte: u8) -> Self {
        const MASKS: [u64; 6] = [
            0x5555_5555_5555_5555,
            0x3333_3333_3333_3333,
            0x0f0f_0f0f_0f0f_0f0f,
            0x00ff_00ff_00ff_00ff,
            0x0000_ffff_0000_ffff,
            0x0000_0000_ffff_ffff,
        ];
        let mut words: [u64; 4] = std::array::from_fn(|index| self.0[index ^ usize::from(byte >> 6)]);
        for (bit, mask) in MASKS.into_iter().enumerate() {
            // Bits that differ from those to change places with, if they do: no branch, as bytes are hard to foresee.
            let mask = mask & u64::from(byte >> bit & 1).wrapping_neg();
            for word in &mut words {
                let changed = (*word >> (1 << bit) ^ *word) & mask;
                *word ^= changed | changed << (1 << bit);
            }
        }
        Self(words)
    }

    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] & other.0[index]))
    }

    fn first(self) -> Option<usize> {
        let index = self.0.iter().position(|&word| word != 0)?;
        Some(64 * index + self.0[index].trailing_zeros() as usize)
    }

    fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn has(self, slot: usize) -> bool {
        self.0[slot >> 6 & 3] >> (slot & 63) & 1 == 1
    }

    /// The slots in the set, the first one first.
    fn iter(self) -> impl Iterator<Item = usize> {
        (0..).zip(self.0).flat_map(|(index, mut word)| {
            std::iter::from_fn(move || {
                let bit = word.checked_ilog2().map(|_| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(64 * index + bit)
            })
        })
    }

    fn remove(&mut self, slot: usize) {
        self.0[slot >> 6 & 3] &= !(1 << (slot & 63));
    }
}

/// A block that has free slots.
struct OpenBlock {
    /// Its first slot.
    start: usize,
    free: Set,
    /// The places in it that are no state's base.
    unused_bases: Set,
    /// How often it was looked at in vain since it was last of use.
    misses: u32,
}

struct Builder<'t, T> {
    texts: &'t T,
    entries: Vec<Entry>,
    prefix: &'t [u8],
    slots: Vec<State>,
    chains: Vec<Chain>,
    open: Vec<OpenBlock>,
}

/// A state whose children are to be placed.
#[derive(Clone, Copy)]
struct Task {
    parent: Parent,
    /// Its texts are these entries.
    start: u32,
    end: u32,
    /// The bytes before the state.
    depth: u32,
}

#[derive(Clone, Copy)]
enum Parent {
    Slot(u32),
    Chain(u32),
}

impl<T: Texts> Builder<'_, T> {
    fn build(mut self) -> Result<Trie> {
        self.slots.resize(256, State::new(FREE, NONE));
        if let Some(first) = self.entries.first().filter(|first| first.length == 0) {
            self.slots[0] = State::new(FREE, first.index);
        }
        // Depth first, so that few states wait for their children to be placed.
        let mut waiting = vec![Task { parent: Parent::Slot(0), start: 0, end: self.entries.len() as u32, depth: 0 }];
        let mut children = Vec::new();
        while let Some(task) = waiting.pop() {
            self.place_children(task, &mut children, &mut waiting)?;
        }
        self.slots.shrink_to_fit();
        self.chains.shrink_to_fit();
        Ok(Trie { slots: self.slots, chains: self.chains })
    }

    fn text(&self, entry: Entry) -> &[u8] {
        self.texts.bytes(entry.index as usize)
    }

    /// The byte at `depth` of a text that has it.
    #[inline(always)]
    fn byte(&self, entry: Entry, depth: usize) -> u8 {
        match depth {
            0..Entry::FIRST_BYTES => (entry.key >> (56 - 8 * depth)) as u8,
            _ => self.text(entry)[depth],
        }
    }

    /// Places the children of a state, and lists those that have children themselves.
    fn place_children(&mut self, task: Task, children: &mut Vec<(u8, Range<u32>)>, waiting: &mut Vec<Task>) -> Result<()> {
        let Task { parent, mut start, end, depth } = task;
        // The text that ends here comes first; it was the state's value.
        start += u32::from(self.entries.get(start as usize).is_some_and(|entry| entry.length == depth));
        children.clear();
        for place in start..end {
            let byte = self.byte(self.entries[place as usize], depth as usize);
            match children.last_mut() {
                Some((last, places)) if *last == byte => places.end = place + 1,
                _ => children.push((byte, place..place + 1)),
            }
        }
        let base = match children.as_slice() {
            [] => return Ok(()),
            [(byte, _)] => self.place_one(*byte)?,
            children => self.place(children)?,
        };
        match parent {
            Parent::Slot(slot) => self.slots[slot as usize].set_base(base),
            Parent::Chain(chain) => self.chains[chain as usize].next.set_base(base),
        }
        for (byte, places) in children.drain(..) {
            let slot = base ^ usize::from(byte);
            let task = Task { parent: Parent::Slot(slot as u32), start: places.start, end: places.end, depth: depth + 1 };
            self.slots[slot] = self.state(byte, task, waiting);
        }
        Ok(())
    }

    /// The state for `byte` and the texts of `task`; adds to `waiting` what is to be placed below.
    fn state(&mut self, byte: u8, task: Task, waiting: &mut Vec<Task>) -> State {
        let label = u64::from(byte);
        let depth = task.depth as usize;
        let (first, last) = (self.entries[task.start as usize], self.entries[task.end as usize - 1]);
        let is_one = task.end - task.start == 1;
        if is_one && first.len() >= depth + TAIL_BYTES && !self.is_on_prefix(first, depth) {
            return State(State::new(label, first.index).0 | TAIL);
        }
        if let Some(shared) = self.chain(first, last, depth).filter(|_| !is_one && !self.is_on_prefix(first, depth)) {
            let value = if first.len() == depth + shared { first.index } else { NONE };
            let chain = self.chains.len();
            self.chains.push(Chain { text: first.index, length: shared as u32, next: State::new(FREE, value) });
            waiting.push(Task { parent: Parent::Chain(chain as u32), depth: task.depth + shared as u32, ..task });
            let mut state = State(State::new(label, CHAIN).0 | TAIL);
            state.set_base(chain);
            return state;
        }
        let value = if first.len() == depth { first.index } else { NONE };
        if !is_one || value == NONE {
            waiting.push(task);
        }
        State::new(label, value)
    }

    /// Whether the state behind the first `depth` bytes of a text is one of the prefix, which are states in any case.
    fn is_on_prefix(&self, entry: Entry, depth: usize) -> bool {
        depth <= self.prefix.len() && self.text(entry).starts_with(&self.prefix[..depth])
    }

    /// How many bytes at `depth` all texts from the first to the last have in common, if they make a chain.
    #[inline(always)]
    fn chain(&self, first: Entry, last: Entry, depth: usize) -> Option<usize> {
        if first.len().min(last.len()) < depth + CHAIN_BYTES {
            return None;
        }
        // What the first and the last have in common, all have.
        let (first, last) = (&self.text(first)[depth..], &self.text(last)[depth..]);
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        (shared >= CHAIN_BYTES).then_some(shared)
    }

    /// A base of its own that has a free slot for one child; the slot is taken.
    fn place_one(&mut self, byte: u8) -> Result<usize> {
        // In all but the blocks that are nearly full, one of the first few is as good as any.
        self.place_where(
            |block| {
                let slot = block.free.iter().take(SLOTS_TRIED).find(|&slot| block.unused_bases.has(slot ^ usize::from(byte)))?;
                Some(slot ^ usize::from(byte))
            },
            std::iter::once(byte),
        )
    }

    /// The same for several children.
    fn place(&mut self, children: &[(u8, Range<u32>)]) -> Result<usize> {
        self.place_where(
            |block| {
                if block.free.len() < children.len() {
                    return None;
                }
                let mut bases = block.unused_bases;
                for (byte, _) in children {
                    bases = bases.and(block.free.permuted(*byte));
                    bases.first()?;
                }
                bases.first()
            },
            children.iter().map(|&(byte, _)| byte),
        )
    }

    /// The first place that `find` finds in an open block, or else one in another block, for children of these bytes.
    #[inline(always)]
    fn place_where(&mut self, find: impl Fn(&OpenBlock) -> Option<usize>, bytes: impl Iterator<Item = u8>) -> Result<usize> {
        let mut found = None;
        let mut index = 0;
        while let Some(block) = self.open.get_mut(index) {
            if let Some(base) = find(block) {
                found = Some((index, base));
                break;
            }
            // Where nothing fits any more, it is not worth the time to look.
            block.misses += 1;
            if block.misses > MISSES {
                self.open.remove(index);
            } else {
                index += 1;
            }
        }
        self.take_place(found, bytes)
    }

    /// Takes a place in an open block, or else one in another.
    fn take_place(&mut self, found: Option<(usize, usize)>, bytes: impl Iterator<Item = u8>) -> Result<usize> {
        let (index, base) = match found {
            Some(found) => found,
            None => (self.add_block()?, 0),
        };
        let block = &mut self.open[index];
        block.misses = 0;
        block.unused_bases.remove(base);
        for byte in bytes {
            block.free.remove(base ^ usize::from(byte));
        }
        let base = block.start + base;
        if block.free.len() == 0 {
            self.open.remove(index);
        }
        Ok(base)
    }

    /// Opens a block and returns its index.
    fn add_block(&mut self) -> Result<usize> {
        let start = self.slots.len();
        if start >= MAX_SLOTS {
            return Err(Error::Limit {
                what: "the number of states of the vocabulary's trie",
                value: start as u64 + 1,
                limit: MAX_SLOTS as u64,
            });
        }
        self.slots.resize(start + 256, State::new(FREE, NONE));
        if self.open.len() == OPEN_BLOCKS {
            let fullest = (0..self.open.len()).min_by_key(|&index| self.open[index].free.len());
            self.open.remove(fullest.unwrap_or(0));
        }
        self.open.push(OpenBlock { start, free: Set::ALL, unused_bases: Set::ALL, misses: 0 });
        Ok(self.open.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StringList;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn list<T: AsRef<str>>(texts: &[T]) -> (StringList, Trie) {
        let list: StringList = texts.iter().collect();
        let (trie, _) = Trie::new(&list, "").unwrap();
        (list, trie)
    }

    fn prefixes(texts: &StringList, trie: &Trie, prefix: &str, bytes: &[u8]) -> Vec<(u32, usize)> {
        let mut found = Vec::new();
        if let Some(state) = trie.after(prefix) {
            trie.for_each_prefix(texts, (state, prefix.len()), bytes, |index, length| found.push((index, length)));
        }
        found
    }

    #[test]
    fn of_equal_texts_the_last_counts() {
        let texts: StringList = ["a", "", "ab", "a", "b", "b", ""].into_iter().collect();
        let (trie, repeated) = Trie::new(&texts, "").unwrap();
        assert_eq!(repeated, Some(0));
        assert_eq!(
            ["", "a", "ab", "b", "c"].map(|text| trie.find(&texts, text.as_bytes())),
            [Some(6), Some(3), Some(2), Some(5), None]
        );
        assert_eq!(prefixes(&texts, &trie, "", b"abc"), [(3, 1), (2, 2)]);
        assert_eq!(Trie::new(&["b", "a"].into_iter().collect::<StringList>(), "").unwrap().1, None);
    }

    #[test]
    fn an_empty_trie_has_no_texts() {
        let (texts, trie) = list::<&str>(&[]);
        assert_eq!(trie.find(&texts, b""), None);
        assert!((0..=255).all(|byte| prefixes(&texts, &trie, "", &[byte]).is_empty()));
    }

    #[test]
    fn every_character_may_follow_every_character() {
        let characters = ('\0'..='\u{7f}').chain(['\u{80}', '\u{7ff}', '\u{800}', '\u{ffff}', '\u{10000}']);
        let pairs: Vec<String> = characters.clone().flat_map(|a| characters.clone().map(move |b| format!("{a}{b}"))).collect();
        let (texts, trie) = list(&pairs);
        for (text, index) in pairs.iter().zip(0..) {
            assert_eq!(trie.find(&texts, text.as_bytes()), Some(index));
        }
        assert!(trie.slots.len() <= 140 * 256, "{} slots for 17,822 texts", trie.slots.len());
    }

    #[test]
    fn long_texts_take_few_states() {
        let long = "a".repeat(60_000);
        let texts =
            [long.clone() + "b", long.clone() + "c", long.clone(), "a".into(), "b".repeat(60_000), long.clone() + "cd" + &long];
        let (list, trie) = list(&texts);
        assert!(trie.slots.len() <= 512, "{} slots", trie.slots.len());
        for (text, index) in texts.iter().zip(0..) {
            assert_eq!(trie.find(&list, text.as_bytes()), Some(index));
            assert_eq!(trie.find(&list, &text.as_bytes()[..text.len() - 1]), (index == 0 || index == 1).then_some(2));
        }
        assert_eq!(prefixes(&list, &trie, "", texts[1].as_bytes()), [(3, 1), (2, 60_000), (1, 60_001)]);
    }

    /// Texts with long stretches in common, and parts of them.
    fn texts() -> impl Strategy<Value = Vec<String>> {
        let stretch = prop_oneof!["[a-c]{0,3}", Just("abcabcabcabcabcabcabca".to_owned()), Just("\0".to_owned()), "\\PC"];
        let text = proptest::collection::vec(stretch, 0..5).prop_map(|parts| parts.concat());
        proptest::collection::vec(text, 0..60)
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(list in texts(), probes in texts(), prefix in prop_oneof![Just(""), Just("a"), Just("abcabcabcab"), Just("##")]) {
            let texts: StringList = list.iter().collect();
            let (trie, _) = Trie::new(&texts, prefix).unwrap();
            let map: HashMap<&str, u32> = list.iter().map(String::as_str).zip(0..).collect();
            for probe in list.iter().chain(&probes) {
                prop_assert_eq!(trie.find(&texts, probe.as_bytes()), map.get(probe.as_str()).copied());
                for prefix in ["", prefix] {
                    let ends = (1..=probe.len()).filter(|&end| probe.is_char_boundary(end));
                    let expected: Vec<(u32, usize)> =
                        ends.filter_map(|end| Some((*map.get(format!("{prefix}{}", &probe[..end]).as_str())?, end))).collect();
                    prop_assert_eq!(prefixes(&texts, &trie, prefix, probe.as_bytes()), expected);
                }
            }
        }
    }
}
