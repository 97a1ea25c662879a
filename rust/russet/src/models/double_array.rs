//! A trie over bytes, and the Aho-Corasick automaton on it.
//!
//! The trie is a double array (Aoe, 1989) in its XOR form: the child of state `s` for byte `b` is `base[s] ^ b` if that slot's
//! `check` is `s`. One step is one read, and children of a state share a block of 256 slots. States are placed breadth first.
//! A place for a set of children is found by intersecting, for each of their bytes, the block's set of free slots permuted by
//! that byte, as 256-bit sets: no trial and error, so no file makes the construction slow.
//!
//! [`Automaton`] adds failure links (Aho and Corasick, 1975): reading a text of n bytes takes at most 2n steps, whatever the keys,
//! and at each place the longest key that ends there is at hand.
//!
//! A state costs 12 bytes in the trie and 16 in the automaton. It is the wrong choice where keys come and go.

/// No value, no state.
pub(super) const NONE: u32 = u32::MAX;
/// The state before any byte.
pub(super) const ROOT: u32 = 0;

/// How many partly filled blocks are searched for a place. More packs tighter and builds slower.
const OPEN_BLOCKS: usize = 16;

/// Byte strings and their values, from which a trie is built.
#[derive(Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Start, length and value.
    entries: Vec<(u32, u32, u32)>,
}

impl Keys {
    /// Adds a key. Empty keys are ignored, of equal keys the one with the largest value counts.
    pub(super) fn push(&mut self, key: impl ExactSizeIterator<Item = u8>, value: u32) {
        if key.len() > 0 {
            // The keys are a vocabulary's texts, whose total length fits a u32.
            self.entries.push((self.bytes.len() as u32, key.len() as u32, value));
            self.bytes.extend(key);
        }
    }

    fn key(&self, entry: usize) -> &[u8] {
        let (start, length, _) = self.entries[entry];
        &self.bytes[start as usize..][..length as usize]
    }

    fn sort(&mut self) {
        let Self { bytes, entries } = self;
        let key = |&(start, length, _): &(u32, u32, u32)| &bytes[start as usize..][..length as usize];
        entries.sort_unstable_by(|a, b| key(a).cmp(key(b)).then(b.2.cmp(&a.2)));
        entries.dedup_by(|b, a| key(a) == key(b));
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    base: u32,
    /// The parent, or `NONE` where the slot is free.
    check: u32,
}

/// A trie.
#[derive(Debug)]
pub(super) struct Trie {
    slots: Vec<Slot>,
    values: Vec<u32>,
}

impl Trie {
    /// The trie of `keys`.
    pub(super) fn new(keys: Keys) -> Self {
        Builder::new(keys).build(|_, _, _, _| {})
    }

    /// The state after `byte`.
    #[inline(always)]
    pub(super) fn step(&self, state: u32, byte: u8) -> Option<u32> {
        let child = self.slots[state as usize].base ^ u32::from(byte);
        (self.slots[child as usize].check == state).then_some(child)
    }

    /// The value of the key that `state` spells, or `NONE`.
    #[inline(always)]
    pub(super) fn value(&self, state: u32) -> u32 {
        self.values[state as usize]
    }
}

/// A trie that goes on with the longest suffix of what it read that begins some key.
#[derive(Debug)]
pub(super) struct Automaton {
    trie: Trie,
    fail: Vec<u32>,
}

impl Automaton {
    /// The automaton of `keys`, whose values are below `values`, and for each value that of the longest key that its key ends
    /// with, itself excluded.
    pub(super) fn new(keys: Keys, values: usize) -> (Self, Vec<u32>) {
        let mut fail: Vec<u32> = vec![ROOT];
        let mut shorter = vec![NONE; values];
        // Parents come before children, so a parent's link and all shallower states are complete.
        let trie = Builder::new(keys).build(|trie, parent, byte, child| {
            fail.resize(trie.slots.len(), ROOT);
            let mut suffix = parent;
            let link = loop {
                if suffix == ROOT {
                    break ROOT;
                }
                suffix = fail[suffix as usize];
                if let Some(next) = trie.step(suffix, byte) {
                    break next;
                }
            };
            fail[child as usize] = link;
            let inherited = trie.values[link as usize];
            match trie.values[child as usize] {
                NONE => trie.values[child as usize] = inherited,
                value => shorter[value as usize] = inherited,
            }
        });
        fail.resize(trie.slots.len(), ROOT);
        (Self { trie, fail }, shorter)
    }

    /// The state after `byte`.
    #[inline(always)]
    pub(super) fn step(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            if let Some(next) = self.trie.step(state, byte) {
                return next;
            }
            if state == ROOT {
                return ROOT;
            }
            state = self.fail[state as usize];
        }
    }

    /// The value of the longest key that ends where `state` is, or `NONE`.
    #[inline(always)]
    pub(super) fn longest(&self, state: u32) -> u32 {
        self.trie.value(state)
    }

    /// Whether no key that began before the last byte can still be complete: the state is at most one byte deep.
    #[inline(always)]
    pub(super) fn is_fresh(&self, state: u32) -> bool {
        state == ROOT || self.trie.slots[state as usize].check == ROOT
    }
}

/// A set of slots of one block.
#[derive(Clone, Copy)]
struct Set([u64; 4]);

impl Set {
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
        Self(std::array::from_fn(|index| {
            let mut word = self.0[index ^ usize::from(byte >> 6)];
            for (bit, mask) in MASKS.into_iter().enumerate() {
                if byte >> bit & 1 == 1 {
                    word = (word >> (1 << bit) & mask) | ((word & mask) << (1 << bit));
                }
            }
            word
        }))
    }

    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] & other.0[index]))
    }

    fn first(self) -> Option<u32> {
        let index = self.0.iter().position(|&word| word != 0)?;
        Some(64 * index as u32 + self.0[index].trailing_zeros())
    }

    fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

struct Builder {
    keys: Keys,
    trie: Trie,
    /// Blocks with free slots: the block's number and those slots.
    open: Vec<(u32, Set)>,
}

impl Builder {
    fn new(mut keys: Keys) -> Self {
        keys.sort();
        Self { keys, trie: Trie { slots: Vec::new(), values: Vec::new() }, open: Vec::new() }
    }

    /// Builds the trie and calls `visit(trie, parent, byte, child)` for each state but the root, parents first.
    fn build(mut self, mut visit: impl FnMut(&mut Trie, u32, u8, u32)) -> Trie {
        self.add_block();
        self.take(ROOT, ROOT);
        self.trie.slots[ROOT as usize].check = NONE - 1;
        // The states of one depth, with the keys that go through each; then those of the next.
        let mut level = vec![(ROOT, 0..self.keys.entries.len())];
        let mut next_level = Vec::new();
        let mut children: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
        let mut depth = 0;
        while !level.is_empty() {
            for (state, range) in level.drain(..) {
                children.clear();
                for entry in range {
                    // The key that ends here came first, and was the state's value.
                    let Some(&byte) = self.keys.key(entry).get(depth) else { continue };
                    match children.last_mut() {
                        Some((last, entries)) if *last == byte => entries.end = entry + 1,
                        _ => children.push((byte, entry..entry + 1)),
                    }
                }
                if children.is_empty() {
                    continue;
                }
                let base = self.place(&children);
                self.trie.slots[state as usize].base = base;
                for (byte, entries) in children.drain(..) {
                    let child = base ^ u32::from(byte);
                    self.take(child, state);
                    if self.keys.key(entries.start).len() == depth + 1 {
                        self.trie.values[child as usize] = self.keys.entries[entries.start].2;
                    }
                    visit(&mut self.trie, state, byte, child);
                    next_level.push((child, entries));
                }
            }
            std::mem::swap(&mut level, &mut next_level);
            depth += 1;
        }
        self.trie.slots.shrink_to_fit();
        self.trie.values.shrink_to_fit();
        self.trie
    }

    /// A base with a free slot for each child.
    fn place(&mut self, children: &[(u8, std::ops::Range<usize>)]) -> u32 {
        for &(block, free) in &self.open {
            if (free.len() as usize) < children.len() {
                continue;
            }
            let mut bases = Set([u64::MAX; 4]);
            for &(byte, _) in children {
                bases = bases.and(free.permuted(byte));
            }
            if let Some(base) = bases.first() {
                return block << 8 | base;
            }
        }
        self.add_block() << 8
    }

    fn add_block(&mut self) -> u32 {
        let block = (self.trie.slots.len() >> 8) as u32;
        self.trie.slots.resize(self.trie.slots.len() + 256, Slot { base: 0, check: NONE });
        self.trie.values.resize(self.trie.slots.len(), NONE);
        if self.open.len() == OPEN_BLOCKS {
            let fullest = (0..self.open.len()).min_by_key(|&index| self.open[index].1.len());
            self.open.remove(fullest.unwrap_or(0));
        }
        self.open.push((block, Set([u64::MAX; 4])));
        block
    }

    fn take(&mut self, slot: u32, parent: u32) {
        self.trie.slots[slot as usize].check = parent;
        if let Some(index) = self.open.iter().position(|open| open.0 == slot >> 8) {
            let free = &mut self.open[index].1;
            free.0[(slot >> 6 & 3) as usize] &= !(1 << (slot & 63));
            if free.len() == 0 {
                self.open.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn keys(entries: &BTreeMap<Vec<u8>, u32>) -> Keys {
        let mut keys = Keys::default();
        for (key, &value) in entries {
            keys.push(key.iter().copied(), value);
        }
        keys
    }

    fn numbered(keys: Vec<Vec<u8>>) -> BTreeMap<Vec<u8>, u32> {
        let keys: std::collections::BTreeSet<_> = keys.into_iter().filter(|key| !key.is_empty()).collect();
        keys.into_iter().zip(0..).collect()
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let mut keys = Keys::default();
        for (key, value) in [("a", 0), ("ab", 1), ("a", 2), ("", 3)] {
            keys.push(key.bytes(), value);
        }
        let trie = Trie::new(keys);
        let state = trie.step(ROOT, b'a').unwrap();
        assert_eq!((trie.value(ROOT), trie.value(state)), (NONE, 2));
        assert_eq!(trie.step(state, b'a'), None);
    }

    #[test]
    fn an_empty_trie_has_no_steps() {
        let trie = Trie::new(Keys::default());
        assert!((0..=255).all(|byte| trie.step(ROOT, byte).is_none()));
    }

    #[test]
    fn every_byte_may_follow_every_byte() {
        let entries = numbered((0..=255u8).flat_map(|a| (0..=255u8).map(move |b| vec![a, b])).collect());
        let trie = Trie::new(keys(&entries));
        for (key, &value) in &entries {
            let state = key.iter().fold(ROOT, |state, &byte| trie.step(state, byte).unwrap());
            assert_eq!(trie.value(state), value);
        }
        assert!(trie.slots.len() <= 258 * 256, "{} slots for 65,793 states", trie.slots.len());
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![97u8..100, any::<u8>()], 0..6)
    }

    proptest! {
        #[test]
        fn a_trie_holds_its_keys_and_nothing_else(list in proptest::collection::vec(bytes(), 0..200), probes in proptest::collection::vec(bytes(), 0..50)) {
            let entries = numbered(list);
            let trie = Trie::new(keys(&entries));
            for probe in probes.iter().chain(entries.keys()) {
                let state = probe.iter().try_fold(ROOT, |state, &byte| trie.step(state, byte));
                let known = entries.get(probe).copied();
                prop_assert_eq!(state.map(|state| trie.value(state)).filter(|&value| value != NONE), known);
                prop_assert_eq!(state.is_some(), probe.is_empty() || entries.keys().any(|key| key.starts_with(probe)));
            }
        }

        #[test]
        fn an_automaton_finds_the_longest_key_at_each_place(
            list in proptest::collection::vec(proptest::collection::vec(97u8..100, 0..6), 0..30),
            text in proptest::collection::vec(97u8..101, 0..60),
        ) {
            let entries = numbered(list);
            let (automaton, shorter) = Automaton::new(keys(&entries), entries.len());
            let mut state = ROOT;
            for end in 1..=text.len() {
                state = automaton.step(state, text[end - 1]);
                let expected: Vec<u32> = (0..end).filter_map(|start| entries.get(&text[start..end]).copied()).collect();
                let found: Vec<u32> = std::iter::successors(Some(automaton.longest(state)), |&value| Some(*shorter.get(value as usize)?))
                    .take_while(|&value| value != NONE)
                    .collect();
                prop_assert_eq!(found, expected);
                let alive = (0..end - 1).any(|start| entries.keys().any(|key| key.starts_with(&text[start..end])));
                prop_assert_eq!(automaton.is_fresh(state), !alive);
            }
        }
    }
}
