//! Memory in pages of 2 MiB, from Linux.
//!
//! The first touch of a page is an exception that costs as much for 4 KiB as for ten or more, and the processor remembers the addresses
//! of few pages. For large tables that are read all over, huge pages help with both; for what stays nearly empty they are the wrong
//! choice, as the whole page is there once a byte of it is. On other systems, or where there is no memory, there is no mapping.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use linux::Mapping;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) use none::Mapping;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use std::ffi::c_void;
    use std::ptr::NonNull;

    const HUGE_PAGE: usize = 1 << 21;
    /// A table with less comes from the allocator.
    const LEAST: usize = 1 << 19;
    /// One with less is not worth a huge page, of which it would leave more than half.
    const LEAST_HUGE: usize = 1 << 20;

    const PROT_READ_WRITE: i32 = 1 | 2;
    const MAP_PRIVATE_ANONYMOUS: i32 = 2 | 0x20;
    const MADV_HUGEPAGE: i32 = 14;

    extern "C" {
        fn mmap(address: *mut c_void, length: usize, protection: i32, flags: i32, file: i32, offset: i64) -> *mut c_void;
        fn munmap(address: *mut c_void, length: usize) -> i32;
        fn madvise(address: *mut c_void, length: usize, advice: i32) -> i32;
    }

    /// Zeroed memory that begins at a multiple of 2 MiB.
    pub(in crate::memory) struct Mapping {
        memory: NonNull<c_void>,
        length: usize,
    }

    impl Mapping {
        /// A mapping with room for so many bytes; `None` for few, or if the system gives none.
        pub(in crate::memory) fn new(bytes: usize) -> Option<Self> {
            if bytes < LEAST {
                return None;
            }
            let pages = bytes.checked_next_multiple_of(HUGE_PAGE)?;
            // What is before the first whole page, and behind the last, is never touched.
            let length = pages.checked_add(HUGE_PAGE)?;
            // SAFETY: asks for new memory at an address that the system picks; nothing is replaced.
            let memory = unsafe { mmap(std::ptr::null_mut(), length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) };
            let mapping = Self { memory: NonNull::new(memory).filter(|memory| memory.as_ptr() as isize != -1)?, length };
            if bytes >= LEAST_HUGE {
                // SAFETY: the range lies in the mapping. The advice changes nothing that is in it, and need not be taken.
                unsafe { madvise(mapping.first().as_ptr().cast(), pages, MADV_HUGEPAGE) };
            }
            Some(mapping)
        }

        /// The first byte.
        pub(in crate::memory) fn first(&self) -> NonNull<u8> {
            let memory = self.memory.cast::<u8>();
            // SAFETY: the mapping is a huge page longer than what it has room for, so this is less than its length.
            unsafe { memory.add(memory.align_offset(HUGE_PAGE)) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: the mapping is this value's own, and whoever has it drops it with all that points into it.
            unsafe { munmap(self.memory.as_ptr(), self.length) };
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod none {
    use std::ptr::NonNull;

    /// There is none.
    pub(in crate::memory) enum Mapping {}

    impl Mapping {
        /// `None`.
        pub(in crate::memory) fn new(_: usize) -> Option<Self> {
            None
        }

        /// The first byte.
        pub(in crate::memory) fn first(&self) -> NonNull<u8> {
            match *self {}
        }
    }
}
