//! What is already known of states of the matcher, an address and a position each.
//!
//! Two bits a state: that it does not lead to the end of its part (of the whole pattern, outside of parts), and for states
//! inside a part that it does, with what that means there (see `matcher`). The bits lie in pages of 512 positions that are
//! made when something is first noted in them and taken back when the search has passed them, so an input that is hard in
//! one place costs memory for that place only.

use crate::{Error, Result};

/// The positions of a page.
const PAGE_POSITIONS: usize = 512;
/// The most memory that the pages may take at a time.
const MAX_BYTES: usize = 256 << 20;

/// The bits of one search.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// The bits of one position.
    width: usize,
    /// Distance between a state's two bits.
    states: usize,
    pages: Vec<Option<Box<[u64]>>>,
    /// Cleared pages of the current width.
    spare: Vec<Box<[u64]>>,
    /// The number of pages in use.
    used: usize,
    /// Pages before this one are taken back.
    first: usize,
}

/// What a bit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plane {
    /// The state does not lead to the end.
    Failed = 0,
    /// The state leads to the end of its part, and what that brings is known.
    Done = 1,
}

impl Memo {
    /// Makes ready for `states` states, each with `planes` bits, over positions up to `length`.
    pub(super) fn start(&mut self, states: usize, planes: usize, length: usize) {
        if self.width != states * planes {
            self.pages.clear();
            self.spare.clear();
            self.width = states * planes;
        }
        self.states = states;
        self.clear();
        self.pages.resize_with(length / PAGE_POSITIONS + 1, || None);
        self.first = 0;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        for page in &mut self.pages {
            if let Some(mut page) = page.take() {
                page.fill(0);
                self.spare.push(page);
            }
        }
        self.used = 0;
    }

    /// Takes back what is wholly before `position`.
    pub(super) fn pass(&mut self, position: usize) {
        while self.first < position / PAGE_POSITIONS {
            if let Some(mut page) = self.pages[self.first].take() {
                page.fill(0);
                self.spare.push(page);
                self.used -= 1;
            }
            self.first += 1;
        }
    }

    /// The page and the bit in it of a state.
    #[inline]
    fn place(&self, state: u32, plane: Plane, position: usize) -> (usize, usize) {
        let bit = (position % PAGE_POSITIONS) * self.width + plane as usize * self.states + state as usize;
        (position / PAGE_POSITIONS, bit)
    }

    /// Whether the bit of a state is set.
    #[inline]
    pub(super) fn get(&self, state: u32, plane: Plane, position: usize) -> bool {
        let (page, bit) = self.place(state, plane, position);
        self.pages[page].as_ref().is_some_and(|page| page[bit / 64] >> (bit % 64) & 1 != 0)
    }

    /// Sets the bits of a state for all positions from `first` to `last`.
    pub(super) fn set(&mut self, state: u32, plane: Plane, first: usize, last: usize) -> Result<()> {
        for position in first..=last {
            let (number, bit) = self.place(state, plane, position);
            if self.pages[number].is_none() {
                let page = self.new_page()?;
                self.pages[number] = Some(page);
            }
            if let Some(page) = &mut self.pages[number] {
                page[bit / 64] |= 1 << (bit % 64);
            }
        }
        Ok(())
    }

    fn new_page(&mut self) -> Result<Box<[u64]>> {
        let words = (PAGE_POSITIONS * self.width).div_ceil(64);
        self.used += 1;
        let bytes = self.used * words * 8;
        if bytes > MAX_BYTES {
            return Err(Error::Limit { what: "the memory to match a pattern in", value: bytes as u64, limit: MAX_BYTES as u64 });
        }
        Ok(self.spare.pop().unwrap_or_else(|| vec![0; words].into_boxed_slice()))
    }
}
