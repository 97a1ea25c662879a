//! Memory of long lists of ids, kept from call to call.
//!
//! When memory comes fresh from the system, the first touch of each of its pages is an exception: for the ids of a megabyte of English
//! these took a third of the time that it takes to encode it. So of the lists that nobody needs any more the last two are kept for the
//! next ones of about their length, and at most 8 MiB. O(1), without a lock: whoever finds nothing that fits goes to the
//! allocator. The wrong place for short lists, for which the allocator does the same.

use std::sync::atomic::{AtomicPtr, Ordering};

/// Shorter lists come from memory that the allocator has already.
const LEAST: usize = 1 << 15;
/// Longer ones are not kept.
const MOST: usize = 1 << 20;
/// A list may have so many times the room that is asked for.
const MOST_TIMES: usize = 4;

struct List(Vec<u32>);

/// A place for a list.
struct Spare(AtomicPtr<List>);

static SPARES: [Spare; 2] = [const { Spare(AtomicPtr::new(std::ptr::null_mut())) }; 2];

impl Spare {
    fn take(&self) -> Option<Box<List>> {
        Self::owned(self.0.swap(std::ptr::null_mut(), Ordering::Acquire))
    }

    /// Keeps a list, and gives back what was there.
    fn put(&self, list: Box<List>) -> Option<Box<List>> {
        Self::owned(self.0.swap(Box::into_raw(list), Ordering::AcqRel))
    }

    /// What a swap took out.
    fn owned(taken: *mut List) -> Option<Box<List>> {
        // SAFETY: what is not null comes from `Box::into_raw` in `put`, and a swap gives it to nobody else.
        (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) })
    }
}

/// An empty list with room for at least so many ids.
pub(crate) fn take(mut capacity: usize) -> Vec<u32> {
    if (LEAST..=MOST).contains(&capacity) {
        // So that those of texts of nearly the same length fit each other. What is not touched costs nothing.
        capacity = capacity.next_multiple_of(capacity.next_power_of_two() / 8);
        for spare in &SPARES {
            let Some(mut list) = spare.take() else { continue };
            if (capacity..=MOST_TIMES * capacity).contains(&list.0.capacity()) {
                list.0.clear();
                return list.0;
            }
            // It is for others.
            drop(spare.put(list));
        }
    }
    Vec::with_capacity(capacity)
}

/// Takes back a list that is not needed any more: its memory may be that of the next one.
pub fn give_back(list: Vec<u32>) {
    if (LEAST..=MOST).contains(&list.capacity()) {
        let [last, before] = &SPARES;
        if let Some(older) = last.put(Box::new(List(list))) {
            drop(before.put(older));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_given_back_is_taken_again() {
        // Other tests take and give meanwhile, so not each time.
        let mut again = 0;
        for length in (LEAST..).step_by(1000).take(100) {
            let mut list = take(length);
            assert!(list.is_empty() && list.capacity() >= length);
            list.extend(0..length as u32);
            let first = list.as_ptr();
            give_back(list);
            let other = take(length - 500);
            assert!(other.is_empty() && other.capacity() >= length - 500);
            again += usize::from(other.as_ptr() == first);
            give_back(other);
        }
        assert!(again > 10, "{again}");
    }

    #[test]
    fn lists_of_another_length_take_the_places_of_the_older() {
        // Other tests take and give meanwhile, so not each time.
        let mut again = 0;
        for _ in 0..100 {
            [take(LEAST), take(LEAST), take(LEAST)].into_iter().for_each(give_back);
            let long = take(MOST_TIMES * 4 * LEAST);
            let first = long.as_ptr();
            give_back(long);
            again += usize::from(take(MOST_TIMES * 4 * LEAST).as_ptr() == first);
        }
        assert!(again > 10, "{again}");
    }

    #[test]
    fn threads_never_have_the_same_list() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for turn in 0..2000 {
                        let mut list = take(LEAST + 1000 * (turn % 7));
                        list.resize(LEAST, thread);
                        std::thread::yield_now();
                        assert!(list.iter().step_by(64).all(|&item| item == thread));
                        give_back(list);
                    }
                });
            }
        });
    }

    #[test]
    fn what_is_short_or_long_comes_from_the_allocator() {
        for length in [0, 1, LEAST - 1, MOST + 1] {
            let list = take(length);
            assert!(list.capacity() >= length);
            give_back(list);
        }
        assert!(take(LEAST).capacity() <= MOST_TIMES * LEAST);
    }
}
