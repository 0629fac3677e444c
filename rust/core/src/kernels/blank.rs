//! Memory that is written once: rows of a matrix that no one zeroes first.

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::pages::advise_huge;

/// Values to be written, in parts that threads may fill each by itself. Zeroing them first would cost a pass over them.
pub struct Blank<T> {
    values: Vec<T>,
    room: usize,
    written: AtomicUsize,
    /// Of the room's end: what was never part of a part.
    left: AtomicUsize,
}

/// A part of an array: it is written from its start, value by value, to its end.
pub struct Fill<'a, T> {
    slots: &'a mut [MaybeUninit<T>],
    done: usize,
    written: &'a AtomicUsize,
    /// Where the part that is all of it says what is left of it in the end.
    left: Option<&'a AtomicUsize>,
}

impl<T: Copy> Blank<T> {
    /// An array of `len` values.
    pub fn new(len: usize) -> Self {
        Self::after(Vec::new(), len)
    }

    /// Room for `room` values behind those of `values`.
    pub fn after(mut values: Vec<T>, room: usize) -> Self {
        values.reserve(room);
        advise_huge(values.spare_capacity_mut());
        Self { values, room, written: AtomicUsize::new(0), left: AtomicUsize::new(0) }
    }

    /// All of the room as one part, to be cut and filled.
    pub fn part(&mut self) -> Fill<'_, T> {
        *self.written.get_mut() = 0;
        *self.left.get_mut() = 0;
        let slots = &mut self.values.spare_capacity_mut()[..self.room];
        Fill { slots, done: 0, written: &self.written, left: Some(&self.left) }
    }

    /// The array.
    ///
    /// # Panics
    /// If a part was not filled to its end.
    pub fn finish(mut self) -> Vec<T> {
        *self.left.get_mut() = 0;
        self.finish_taken()
    }

    /// The array without what was left of [`Blank::part`]'s part.
    ///
    /// # Panics
    /// If a part that was cut off was not filled to its end.
    pub fn finish_taken(mut self) -> Vec<T> {
        let taken = self.room - *self.left.get_mut();
        assert_eq!(*self.written.get_mut(), taken, "every value is written once");
        // SAFETY: there is room for `taken` values, and as many of the first `taken` ones were written: parts do not overlap,
        // each counts what it has written from its start on, no value twice, and none lies in what is left.
        unsafe { self.values.set_len(self.values.len() + taken) };
        self.values
    }
}

impl<'a, T: Copy> Fill<'a, T> {
    /// Cuts the next `len` values off, or all that are left, as a part of their own.
    #[must_use]
    pub fn take(&mut self, len: usize) -> Fill<'a, T> {
        self.count();
        let slots = std::mem::take(&mut self.slots);
        let (taken, rest) = slots.split_at_mut(len.min(slots.len()));
        self.slots = rest;
        Fill { slots: taken, done: 0, written: self.written, left: None }
    }

    /// Values left to write.
    pub fn left(&self) -> usize {
        self.slots.len() - self.done
    }

    /// True if nothing is left to write.
    pub fn is_full(&self) -> bool {
        self.left() == 0
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
}

impl<T> Fill<'_, T> {
    /// Counts what was written and goes on behind it.
    fn count(&mut self) {
        let done = std::mem::take(&mut self.done);
        // Most parts of a row are of matrices that nobody asked for: a thousand texts of twenty tokens took a tenth longer
        // with an addition that all threads see for each.
        if done > 0 {
            self.written.fetch_add(done, Ordering::Relaxed);
            self.slots = &mut std::mem::take(&mut self.slots)[done..];
        }
    }
}

impl<T> Drop for Fill<'_, T> {
    fn drop(&mut self) {
        self.count();
        if let Some(left) = self.left {
            left.store(self.slots.len(), Ordering::Relaxed);
        }
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
    fn what_nobody_took_is_left_out() {
        let mut blank = Blank::after(vec![1u8, 2], 9);
        let mut all = blank.part();
        all.repeat(3, 1);
        let mut part = all.take(2);
        drop(all);
        part.repeat(4, 2);
        drop(part);
        assert_eq!(blank.finish_taken(), [1, 2, 3, 4, 4]);
    }

    #[test]
    #[should_panic(expected = "written once")]
    fn what_is_missing_is_noticed() {
        let mut blank = Blank::new(3);
        blank.part().repeat(1u32, 2);
        blank.finish();
    }

    #[test]
    #[should_panic(expected = "written once")]
    fn a_part_that_was_taken_must_be_filled() {
        let mut blank = Blank::new(3);
        blank.part().take(2).repeat(1u32, 1);
        blank.finish_taken();
    }

    #[test]
    fn a_second_try_counts_from_zero() {
        let mut blank = Blank::new(2);
        blank.part().repeat(1u32, 2);
        blank.part().repeat(5u32, 2);
        assert_eq!(blank.finish(), [5, 5]);
    }
}
