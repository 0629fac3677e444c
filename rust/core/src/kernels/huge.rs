//! Memory from Linux at addresses where huge pages begin.

/// Bytes of a huge page.
pub(super) const HUGE: usize = 2 << 20;

/// Memory of whole huge pages, if the system has them, that nothing has touched yet. It stays until it is unmapped.
#[derive(Clone, Copy)]
pub(super) struct Mapping {
    /// What `munmap` needs.
    base: *mut u8,
    mapped: usize,
}

impl Mapping {
    /// A mapping with at least `len` zeroes, and where the first of its huge pages begins; None when there is no memory.
    pub(super) fn zeroed(len: usize) -> Option<(Self, *mut u8)> {
        let len = len.checked_next_multiple_of(HUGE)?;
        let mapped = len.checked_add(HUGE)?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh private anonymous mapping touches no memory of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let start = base.wrapping_add(base.align_offset(HUGE));
        // SAFETY: `start..start + len` lies inside the mapping.
        unsafe { advise(start, len) };
        Some((Self { base, mapped }, start))
    }

    /// Returns the memory to the system.
    ///
    /// # Safety
    /// Nobody uses it any more.
    pub(super) unsafe fn unmap(self) {
        // SAFETY: a mapping of these bytes begins there; the rest is the caller's duty.
        unsafe { libc::munmap(self.base.cast(), self.mapped) };
    }
}

/// Asks for huge pages. A refusal only means small ones.
///
/// # Safety
/// The memory is mapped.
pub(super) unsafe fn advise(start: *mut u8, len: usize) {
    // SAFETY: the advice does not change what mapped memory holds.
    unsafe { libc::madvise(start.cast(), len, libc::MADV_HUGEPAGE) };
}
