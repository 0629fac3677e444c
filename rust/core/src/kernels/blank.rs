//! Memory that is written once: rows of a matrix that no one zeroes first.

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::pages::advise_huge;

/// An array to be written, in parts that threads may fill each by itself. Zeroing it first would cost a pass over it.
pub struct Blank<T> {
    values: Vec<T>,
    len: usize,
    written: AtomicUsize,
}

/// A part of an array: it is written from its start, value by value, to its end.
pub struct Fill<'a, T> {
    slots: &'a mut [MaybeUninit<T>],
    done: usize,
    written: &'a AtomicUsize,
}

impl<T: Copy> Blank<T> {
    /// An array of `len` values.
    pub fn new(len: usize) -> Self {
        let mut values = Vec::with_capacity(len);
        advise_huge(values.spare_capacity_mut());
        Self { values, len, written: AtomicUsize::new(0) }
    }

    /// All of it as one part, to be cut and filled.
    pub fn part(&mut self) -> Fill<'_, T> {
        *self.written.get_mut() = 0;
        Fill { slots: &mut self.values.spare_capacity_mut()[..self.len], done: 0, written: &self.written }
    }

    /// The array.
    ///
    /// # Panics
    /// If a part was not filled to its end.
    pub fn finish(mut self) -> Vec<T> {
        assert_eq!(*self.written.get_mut(), self.len, "every value is written once");
        // SAFETY: the capacity is at least `len`, and as many of the first `len` values were written: parts do not overlap,
        // and each counts what it has written from its start on, no value twice.
        unsafe { self.values.set_len(self.len) };
        self.values
    }
}

impl<'a, T: Copy> Fill<'a, T> {
    /// Cuts the next `len` values off, or all that are left, as a part of their own.
    #[must_use]
    pub fn take(&mut self, len: usize) -> Fill<'a, T> {
        let slots = std::mem::take(&mut self.slots);
        let (_, rest) = slots.split_at_mut(self.done);
        let (taken, rest) = rest.split_at_mut(len.min(rest.len()));
        self.count();
        self.slots = rest;
        Fill { slots: taken, done: 0, written: self.written }
    }

    /// True if nothing is left to write.
    pub fn is_full(&self) -> bool {
        self.done == self.slots.len()
    }

    /// Writes `value` as often as asked, at most to the end.
    #[inline(always)]
    pub fn repeat(&mut self, value: T, times: usize) {
        let rest = &mut self.slots[self.done..];
        let times = times.min(rest.len());
        rest[..times].fill(MaybeUninit::new(value));
        self.done += times;
    }

    /// Writes what `of` makes of every item, at most to the end.
    #[inline(always)]
    pub fn extend<S>(&mut self, items: &[S], of: impl Fn(&S) -> T) {
        let rest = &mut self.slots[self.done..];
        for (slot, item) in rest.iter_mut().zip(items) {
            slot.write(of(item));
        }
        self.done += items.len().min(rest.len());
    }

    fn count(&mut self) {
        self.written.fetch_add(std::mem::take(&mut self.done), Ordering::Relaxed);
    }
}

impl<T> Drop for Fill<'_, T> {
    fn drop(&mut self) {
        self.written.fetch_add(self.done, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole() {
        let mut blank = Blank::new(10);
        let mut all = blank.part();
        all.repeat(7, 1);
        let mut part = all.take(4);
        assert!(!part.is_full());
        part.extend(&[1u8, 2, 3], |&value| i64::from(value));
        part.repeat(9, 100);
        assert!(part.is_full());
        drop(part);
        let mut last = all.take(99);
        last.extend(&[4u8; 8], |&value| i64::from(value));
        drop(last);
        assert!(all.is_full());
        drop(all);
        assert_eq!(blank.finish(), [7, 1, 2, 3, 9, 4, 4, 4, 4, 4]);
        assert!(Blank::<u8>::new(0).finish().is_empty());
    }

    #[test]
    #[should_panic(expected = "written once")]
    fn what_is_missing_is_noticed() {
        let mut blank = Blank::new(3);
        blank.part().repeat(1u32, 2);
        blank.finish();
    }

    #[test]
    fn a_second_try_counts_from_zero() {
        let mut blank = Blank::new(2);
        blank.part().repeat(1u32, 2);
        blank.part().repeat(5u32, 2);
        assert_eq!(blank.finish(), [5, 5]);
    }
}
