//! Zeroed memory for big tables, on huge pages where the system has them.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ops::Deref,
    sync::atomic::AtomicU64,
};

/// Zeroed 64-bit words that threads share.
///
/// On Linux an allocation of 2 MiB or more is mapped, aligned and advised for huge pages *before* anything touches it:
/// processors drop a prefetch whose page is not in the translation cache, and with 4 KiB pages most of a table is not.
pub struct Pages {
    ptr: *mut AtomicU64,
    len: usize,
    /// What `munmap` needs; none when the words come from the allocator.
    mapping: Option<(*mut u8, usize)>,
}

// SAFETY: the words are atomics, and the memory belongs to this value alone.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

impl Pages {
    /// `len` zeroed words.
    pub fn zeroed(len: usize) -> Self {
        #[cfg(target_os = "linux")]
        if len * 8 >= HUGE
            && let Some(pages) = Self::map(len)
        {
            return pages;
        }
        // SAFETY: the layout is not empty.
        let ptr = unsafe { alloc_zeroed(Self::layout(len)) };
        if ptr.is_null() {
            handle_alloc_error(Self::layout(len));
        }
        Self { ptr: ptr.cast(), len, mapping: None }
    }

    /// Of words that come from the allocator: at the beginning of a cache line.
    fn layout(len: usize) -> Layout {
        Layout::array::<[AtomicU64; 8]>(len.div_ceil(8).max(1))
            .and_then(|layout| layout.align_to(64))
            .expect("fits memory")
    }

    #[cfg(target_os = "linux")]
    fn map(len: usize) -> Option<Self> {
        let bytes = (len * 8).next_multiple_of(HUGE);
        let total = bytes + HUGE;
        // SAFETY: a fresh private anonymous mapping touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                total,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let start = base.wrapping_add(base.align_offset(HUGE));
        // SAFETY: `start..start + bytes` lies inside the mapping. A refusal only means small pages.
        unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE) };
        Some(Self { ptr: start.cast(), len, mapping: Some((base, total)) })
    }
}

/// Asks for huge pages behind memory that nothing has touched yet: a large output costs a page fault for every 4 KiB
/// otherwise, which took a fifth of the time of encoding a document of known words. A refusal changes nothing.
pub fn advise_huge<T>(untouched: &mut [T]) {
    #[cfg(target_os = "linux")]
    if size_of_val(untouched) >= 2 * HUGE {
        let start = untouched.as_mut_ptr().cast::<u8>();
        let skipped = start.align_offset(HUGE);
        let len = (size_of_val(untouched) - skipped) / HUGE * HUGE;
        // SAFETY: whole huge pages inside the slice; the advice does not change what they hold.
        unsafe { libc::madvise(start.add(skipped).cast(), len, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = untouched;
}

impl Deref for Pages {
    type Target = [AtomicU64];

    #[inline(always)]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `ptr` points to `len` initialised (zeroed) words that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        match self.mapping {
            #[cfg(target_os = "linux")]
            // SAFETY: the mapping was made by `map` and nobody borrows from it any more.
            Some((base, total)) => unsafe {
                libc::munmap(base.cast(), total);
            },
            // SAFETY: without a mapping the words came from the allocator, with this layout.
            _ => unsafe { dealloc(self.ptr.cast(), Self::layout(self.len)) },
        }
    }
}
