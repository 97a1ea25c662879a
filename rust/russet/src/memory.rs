//! Memory for large tables: zeroed by the operating system on demand, fetched ahead of use, and made once for all threads.
//!
//! A table of zeros costs nothing until its pages are written to. [`Once`] is what `OnceLock` would be if nobody ever had to wait:
//! two threads may make the value, and one of them throws its own away. So a fork at any moment leaves nothing locked.

mod huge_pages;

use huge_pages::Mapping;
use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout};
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that is made at most once and then stays.
pub(crate) struct Once<T>(AtomicPtr<T>);

// SAFETY: the value is handed out by shared reference to any thread, and dropped with the `Once` by the thread that owns it.
unsafe impl<T: Send + Sync> Send for Once<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// No value yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The value, if it was made.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null or comes from `Box::into_raw` in `set`, and is freed only when `self` is dropped.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value, or drops it if there is one already.
    pub(crate) fn set(&self, value: Box<T>) {
        let made = Box::into_raw(value);
        if self.0.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: `made` comes from the line above and was given to nobody.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Once<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Once").field(&self.get()).finish()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        let made = *self.0.get_mut();
        if !made.is_null() {
            // SAFETY: it comes from `Box::into_raw` in `set`, and nobody has a reference any more.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

/// A type for which all bytes zero are a value.
///
/// # Safety
/// That must be so: no references, no boxes, no enums without a variant 0.
pub(crate) unsafe trait Zeroable: Sized {}

// SAFETY: zero is a value of it.
unsafe impl Zeroable for u8 {}
// SAFETY: as above.
unsafe impl Zeroable for u32 {}
// SAFETY: as above.
unsafe impl Zeroable for u64 {}
// SAFETY: as above.
unsafe impl Zeroable for std::sync::atomic::AtomicU32 {}
// SAFETY: zero is a value of each item.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

/// A table whose values are zero until they are written to.
///
/// Of a table of a megabyte and more each first touch of a page would be an exception of its own; so where the system can, such
/// a table begins at a multiple of 2 MiB and asks for pages of that size. The allocator gives memory of any size untouched only if
/// little alignment is asked for, so smaller ones ask for a little more memory and begin where the alignment is right.
pub(crate) struct Zeroed<T> {
    first: NonNull<T>,
    length: usize,
    memory: Memory,
}

/// Where a table's memory is from, with the beginning of what was given.
enum Memory {
    Allocator(NonNull<u8>),
    /// Kept for its drop.
    System(#[expect(dead_code)] Mapping),
}

// SAFETY: the table owns its values, as a box does.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T: Zeroable> Zeroed<T> {
    /// `length` values that are zero.
    pub(crate) fn new(length: usize) -> Self {
        const { assert!(!std::mem::needs_drop::<T>() && size_of::<T>() > 0) };
        let layout = Self::layout(length);
        if let Some(mapping) = Mapping::new(layout.size()) {
            return Self { first: mapping.first().cast(), length, memory: Memory::System(mapping) };
        }
        // SAFETY: the layout is not empty, as its size is at least the alignment of T.
        let Some(memory) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: `layout` has room for `length` values behind any address that is less than the alignment away.
        let first = unsafe { memory.add(memory.align_offset(align_of::<T>())) };
        Self { first: first.cast(), length, memory: Memory::Allocator(memory) }
    }
}
impl<T> Zeroed<T> {
    fn layout(length: usize) -> Layout {
        let bytes = length.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(align_of::<T>()));
        bytes.and_then(|bytes| Layout::from_size_align(bytes, 1).ok()).expect("a table of a size that is a constant")
    }

    /// The values.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and `self` is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.length) }
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `first` is aligned and `length` values lie there, all of them zero bytes or written since; `Zeroable` promises
        // that zero bytes are a value of T. They live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        if let Memory::Allocator(memory) = self.memory {
            // SAFETY: allocated in `new` with this layout; the values need no drop.
            unsafe { dealloc(memory.as_ptr(), Self::layout(self.length)) };
        }
    }
}

impl<T> std::fmt::Debug for Zeroed<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Zeroed").field("length", &self.length).finish()
    }
}

/// Asks the processor to bring the cache line of `value` near. It need not point to anything.
#[inline(always)]
pub fn prefetch<T>(value: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing that the program can see and accepts any address.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch::<_MM_HINT_T0>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::Arc;

    #[repr(align(128))]
    struct Wide([AtomicU64; 16]);

    // SAFETY: all fields are AtomicU64, for which zero is a value.
    unsafe impl Zeroable for Wide {}

    #[test]
    fn a_table_is_aligned_and_zero() {
        for length in [1, 3, 1 << 12] {
            let table = Zeroed::<Wide>::new(length);
            assert_eq!((table.len(), table.as_ptr().align_offset(128)), (length, 0));
            assert!(table.iter().flat_map(|wide| &wide.0).all(|word| word.load(Ordering::Relaxed) == 0));
            table[length - 1].0[15].store(7, Ordering::Relaxed);
            assert_eq!(table[length - 1].0[15].load(Ordering::Relaxed), 7);
        }
    }

    #[test]
    fn the_first_value_stays_and_all_are_dropped() {
        let values: Vec<Arc<()>> = (0..8).map(|_| Arc::new(())).collect();
        let once = Once::new();
        assert!(once.get().is_none());
        std::thread::scope(|scope| {
            for value in &values {
                scope.spawn(|| once.set(Box::new(value.clone())));
            }
        });
        assert!(once.get().is_some());
        assert_eq!(values.iter().filter(|value| Arc::strong_count(value) == 2).count(), 1);
        drop(once);
        assert!(values.iter().all(|value| Arc::strong_count(value) == 1));
    }
}
