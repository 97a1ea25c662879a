//! Memory for large tables: zeroed by the operating system on demand, fetched ahead of use, and made once for all threads.
//!
//! A table of zeros costs nothing until its pages are written to. [`Once`] is what `OnceLock` would be if nobody ever had to wait:
//! two threads may make the value, and one of them throws its own away. So a fork at any moment leaves nothing locked.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that is made at most once and then stays.
pub(crate) struct Once<T>(AtomicPtr<T>);

// SAFETY: the value is handed out by shared reference to any thread, and dropped with the `Once` by the thread that owns it.
unsafe impl<T: Send + Sync> Send for Once<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// No value yet.
    pub(crate) fn new() -> Self {
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

/// `length` values that are zero.
pub(crate) fn zeroed<T: Zeroable>(length: usize) -> Box<[T]> {
    // SAFETY: `Zeroable` promises that zero bytes are a value of T.
    unsafe { Box::new_zeroed_slice(length).assume_init() }
}

/// Asks the processor to bring the cache line of `value` near.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing that the program can see and accepts any address.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

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
