//! Zeroed memory for big tables, on huge pages where the system has them.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ops::Deref,
    sync::{Arc, atomic::AtomicU64},
};

#[cfg(target_os = "linux")]
use super::huge::{HUGE, Mapping, advise};

/// Zeroed 64-bit words that threads share.
///
/// On Linux an allocation of 2 MiB or more is mapped, aligned and advised for huge pages *before* anything touches it:
/// processors drop a prefetch whose page is not in the translation cache, and with 4 KiB pages most of a table is not.
pub struct Pages {
    ptr: *mut AtomicU64,
    len: usize,
    /// Keeps the words.
    _memory: Arc<Memory>,
}

/// Where words lie, some `Pages` of one allocation or all.
enum Memory {
    #[cfg(target_os = "linux")]
    Mapped(Mapping),
    /// From the allocator.
    Allocated { ptr: *mut u8, layout: Layout },
}

// SAFETY: the words are atomics, and the memory belongs to this value alone.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}
// SAFETY: a handle, of which nothing is used but when it is dropped.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// [`Pages`] that nobody writes any more.
pub struct FixedPages(Pages);

impl From<Pages> for FixedPages {
    fn from(pages: Pages) -> Self {
        Self(pages)
    }
}

impl Deref for FixedPages {
    type Target = [u64];

    #[inline(always)]
    fn deref(&self) -> &[u64] {
        // SAFETY: as for `Pages`; atomic words look like others, and nothing writes to these: no reference to the atomics
        // leaves this type.
        unsafe { std::slice::from_raw_parts(self.0.ptr.cast(), self.0.len) }
    }
}

impl Pages {
    /// `len` zeroed words.
    pub fn zeroed(len: usize) -> Self {
        let [pages] = Self::zeroed_parts([len]);
        pages
    }

    /// As many tables of zeroed words, one behind the other, each at the beginning of a cache line: small ones beside a big
    /// one need no pages of their own.
    pub fn zeroed_parts<const N: usize>(lens: [usize; N]) -> [Self; N] {
        const LINE: usize = 8;
        let total = lens.iter().map(|len| len.next_multiple_of(LINE)).sum::<usize>().max(LINE);
        let (start, memory) = Self::allocate(total);
        let memory = Arc::new(memory);
        let mut next = 0;
        lens.map(|len| {
            // `total` is the sum of these lengths, so every part lies within the allocation.
            let ptr = start.wrapping_add(next);
            next += len.next_multiple_of(LINE);
            Self { ptr, len, _memory: Arc::clone(&memory) }
        })
    }

    /// The words, for the only one who has them.
    pub fn words_mut(&mut self) -> &mut [u64] {
        // SAFETY: `ptr` points to `len` initialised words, and `&mut self` says that nobody else looks at them.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.cast(), self.len) }
    }

    fn allocate(len: usize) -> (*mut AtomicU64, Memory) {
        #[cfg(target_os = "linux")]
        if len * 8 >= HUGE
            && let Some((mapping, start)) = Mapping::zeroed(len * 8)
        {
            return (start.cast(), Memory::Mapped(mapping));
        }
        let layout = Layout::array::<AtomicU64>(len).and_then(|layout| layout.align_to(64)).expect("fits memory");
        // SAFETY: the layout is not empty.
        let ptr = unsafe { alloc_zeroed(layout) };
        if ptr.is_null() {
            handle_alloc_error(layout);
        }
        (ptr.cast(), Memory::Allocated { ptr, layout })
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
        // SAFETY: whole huge pages inside the slice.
        unsafe { advise(start.add(skipped), len) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = untouched;
}

impl Deref for Pages {
    type Target = [AtomicU64];

    #[inline(always)]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: `ptr` points to `len` initialised (zeroed) words, which `_memory` keeps as long as `self` lives.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match *self {
            #[cfg(target_os = "linux")]
            // SAFETY: no `Pages` of it are left.
            Self::Mapped(mapping) => unsafe { mapping.unmap() },
            // SAFETY: the words came from the allocator, with this layout, and no `Pages` of them are left.
            Self::Allocated { ptr, layout } => unsafe { dealloc(ptr, layout) },
        }
    }
}
