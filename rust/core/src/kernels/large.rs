//! An allocator that keeps large blocks on huge pages, and some of them for the next call.
//!
//! The ids of a document, its UTF-8 and its spans are blocks of megabytes that live as long as one call. The C library maps
//! each of them anew, at an address of 4 KiB pages: to fault these in took a tenth of the time of encoding a document of
//! known words, and more of a new one. Here such a block begins at a huge page, and one that is freed waits for the next.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator for everything but large blocks. For a module that is loaded into a process of others, such as
/// the Python extension: `#[global_allocator] static ALLOCATOR: LargeBlocks = LargeBlocks;`
pub struct LargeBlocks;

// SAFETY: whether a block is large follows from its layout alone, so it returns to where it came from; `large` blocks are
// mappings of their own that hold their size behind a header of 64 bytes, which is what they are aligned to.
unsafe impl GlobalAlloc for LargeBlocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        if mapped::is_large(layout) { mapped::take(layout.size()) } else { unsafe { System.alloc(layout) } }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { if mapped::is_large(layout) { mapped::give(ptr) } else { System.dealloc(ptr, layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty. A mapping is zero as long as it is new.
        if mapped::is_large(layout) { mapped::map(layout.size()) } else { unsafe { System.alloc_zeroed(layout) } }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is not zero and fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (mapped::is_large(layout), mapped::is_large(new)) {
            // SAFETY: the caller's duty.
            (false, false) => unsafe { System.realloc(ptr, layout, size) },
            // SAFETY: a large block of ours.
            (true, true) if unsafe { mapped::room(ptr) } >= size => ptr,
            _ => {
                // SAFETY: `new` is not empty; both blocks hold what is copied, and the old one is not used any more.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        std::ptr::copy_nonoverlapping(ptr, moved, layout.size().min(size));
                        self.dealloc(ptr, layout);
                    }
                    moved
                }
            }
        }
    }
}

mod mapped {
    use std::{
        alloc::Layout,
        cell::UnsafeCell,
        sync::atomic::{AtomicBool, Ordering},
    };

    use crate::kernels::huge::{HUGE, Mapping};

    /// The smallest large block: of a smaller one hardly a whole huge page is used.
    const LARGE: usize = 2 * HUGE;
    /// What stands before a block, and the most that a block may be aligned to.
    const HEADER: usize = 64;
    /// Blocks that wait, and what they may take together, used or not: the ids and the text of a document of 10 MB.
    const KEPT: usize = 4;
    const KEPT_BYTES: usize = 80 << 20;

    /// A block's mapping, and its bytes from the header on.
    #[derive(Clone, Copy)]
    struct Header {
        mapping: Mapping,
        len: usize,
    }

    /// Blocks without an owner.
    struct Kept {
        /// Nobody ever waits for it: in a forked child it may be held by a thread that does not exist there.
        locked: AtomicBool,
        blocks: UnsafeCell<[*mut Header; KEPT]>,
    }

    // SAFETY: the blocks are looked at only by the one who has set `locked`.
    unsafe impl Sync for Kept {}

    static POOL: Kept = Kept { locked: AtomicBool::new(false), blocks: UnsafeCell::new([std::ptr::null_mut(); KEPT]) };

    impl Kept {
        /// Runs `f` on the blocks, unless somebody else does so right now.
        fn with<R>(&self, f: impl FnOnce(&mut [*mut Header; KEPT]) -> R) -> Option<R> {
            if self.locked.swap(true, Ordering::Acquire) {
                return None;
            }
            // SAFETY: nobody else has a reference as long as `locked` is set by us.
            let result = f(unsafe { &mut *self.blocks.get() });
            self.locked.store(false, Ordering::Release);
            Some(result)
        }
    }

    #[inline(always)]
    pub(super) fn is_large(layout: Layout) -> bool {
        layout.size() >= LARGE && layout.align() <= HEADER
    }

    /// The header of a block.
    ///
    /// # Safety
    /// `ptr` is a large block.
    unsafe fn header(ptr: *mut u8) -> *mut Header {
        // SAFETY: the header lies before the block.
        unsafe { ptr.sub(HEADER).cast() }
    }

    /// Bytes that a block may grow to where it is.
    ///
    /// # Safety
    /// `ptr` is a large block.
    pub(super) unsafe fn room(ptr: *mut u8) -> usize {
        // SAFETY: the caller's duty.
        unsafe { (*header(ptr)).len - HEADER }
    }

    /// A block that was freed, if one fits and is not far too large, or a new one.
    pub(super) fn take(size: usize) -> *mut u8 {
        let fits = |block: *mut Header| {
            // SAFETY: kept blocks have their header.
            !block.is_null() && (size + HEADER..=(size + HEADER) * 4).contains(&unsafe { (*block).len })
        };
        let kept = POOL.with(|blocks| {
            let found = blocks.iter_mut().find(|block| fits(**block))?;
            Some(std::mem::replace(found, std::ptr::null_mut()))
        });
        match kept.flatten() {
            Some(block) => block.cast::<u8>().wrapping_add(HEADER),
            None => map(size),
        }
    }

    /// Keeps a block for the next call, or returns it to the system.
    ///
    /// # Safety
    /// `ptr` is a large block that nobody uses any more.
    pub(super) unsafe fn give(ptr: *mut u8) {
        // SAFETY: the caller's duty.
        let block = unsafe { header(ptr) };
        // SAFETY: kept blocks have their header, as does this one.
        let len = |block: *mut Header| if block.is_null() { 0 } else { unsafe { (*block).len } };
        let kept = POOL.with(|blocks| {
            let taken: usize = blocks.iter().map(|&block| len(block)).sum();
            let place = blocks.iter_mut().find(|block| block.is_null());
            place.filter(|_| taken + len(block) <= KEPT_BYTES).map(|place| *place = block).is_some()
        });
        if kept != Some(true) {
            // SAFETY: the header is read before the mapping goes, which nobody uses any more.
            unsafe { (*block).mapping.unmap() };
        }
    }

    /// A new block of zeroes; null when there is no memory.
    pub(super) fn map(size: usize) -> *mut u8 {
        let len = size.checked_add(HEADER).and_then(|len| len.checked_next_multiple_of(HUGE));
        let Some((len, (mapping, start))) = len.and_then(|len| Some((len, Mapping::zeroed(len)?))) else {
            return std::ptr::null_mut();
        };
        #[expect(clippy::cast_ptr_alignment, reason = "a huge page begins there")]
        // SAFETY: the header and the block behind it lie inside the mapping.
        unsafe {
            start.cast::<Header>().write(Header { mapping, len });
            start.add(HEADER)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A byte that depends on where it is.
    fn mark(at: usize) -> u8 {
        (at % 251) as u8
    }

    #[test]
    fn blocks_keep_what_is_in_them_while_they_grow_and_shrink() {
        let sizes = [100, 5 << 20, 6 << 20, 30 << 20, 9 << 20, 3 << 20, 4 << 20, 100 << 20, 1];
        let align = Layout::new::<u64>().align();
        let layout = |size| Layout::from_size_align(size, align).unwrap();
        // SAFETY: every block is used within its size, and freed once with its last layout.
        unsafe {
            let mut size = sizes[0];
            let mut block = LargeBlocks.alloc(layout(size));
            (0..size).for_each(|at| *block.add(at) = mark(at));
            for next in sizes {
                block = LargeBlocks.realloc(block, layout(size), next);
                assert!(!block.is_null() && block.align_offset(align) == 0);
                let kept = std::slice::from_raw_parts(block, size.min(next));
                assert!(kept.iter().enumerate().all(|(at, &byte)| byte == mark(at)));
                (size.min(next)..next).for_each(|at| *block.add(at) = mark(at));
                size = next;
            }
            LargeBlocks.dealloc(block, layout(size));
        }
    }

    #[test]
    fn zeroed_blocks_are_zero_after_others_were_freed() {
        let layout = Layout::from_size_align(8 << 20, 64).unwrap();
        // SAFETY: as above.
        unsafe {
            let dirty = LargeBlocks.alloc(layout);
            dirty.write_bytes(7, layout.size());
            LargeBlocks.dealloc(dirty, layout);
            let block = LargeBlocks.alloc_zeroed(layout);
            assert!(std::slice::from_raw_parts(block, layout.size()).iter().all(|&byte| byte == 0));
            LargeBlocks.dealloc(block, layout);
        }
    }

    #[test]
    fn threads_never_share_a_block() {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let layout = Layout::from_size_align(4 << 20, 8).unwrap();
                    for _ in 0..50 {
                        // SAFETY: as above.
                        unsafe {
                            let block = LargeBlocks.alloc(layout);
                            for at in (0..layout.size()).step_by(4096) {
                                *block.add(at) = thread;
                            }
                            assert!((0..layout.size()).step_by(4096).all(|at| *block.add(at) == thread));
                            LargeBlocks.dealloc(block, layout);
                        }
                    }
                });
            }
        });
    }
}
