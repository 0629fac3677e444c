//! Something that rows use one after the other while each of them is prepared on a thread of its own.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::error::{Error, Result};

/// Looks at the row whose turn it is before a thread goes to sleep.
const SPINS: usize = 2000;

/// What is handed from row to row, in ascending order from 0.
#[derive(Debug)]
pub struct Turns<T> {
    value: Mutex<T>,
    changed: Condvar,
    /// The row whose turn it is.
    current: AtomicUsize,
    /// The first row that gave up: those behind it are not served.
    stopped: AtomicUsize,
}

/// A row's claim. If it is dropped unused, the rows behind it are turned away rather than left waiting.
#[derive(Debug)]
pub struct Turn<'t, T> {
    turns: &'t Turns<T>,
    row: usize,
    used: bool,
}

impl<T> Turns<T> {
    /// Row 0 is first.
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
            current: AtomicUsize::new(0),
            stopped: AtomicUsize::new(usize::MAX),
        }
    }

    /// The claim of a row.
    pub fn take(&self, row: usize) -> Turn<'_, T> {
        Turn { turns: self, row, used: false }
    }

    /// What was handed on.
    pub fn into_inner(self) -> T {
        self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_turned_away(&self, row: usize) -> bool {
        self.stopped.load(Ordering::Acquire) < row
    }

    fn is_ready(&self, row: usize) -> bool {
        self.current.load(Ordering::Acquire) == row || self.is_turned_away(row)
    }
}

impl<T> Turn<'_, T> {
    /// Waits for the row's turn, uses the value, and hands it on.
    ///
    /// # Errors
    /// What `f` returns, and [`Error::Skipped`] if a row before gave up.
    pub fn wait<R>(mut self, f: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let turns = self.turns;
        for spin in 0..SPINS {
            if turns.is_ready(self.row) {
                break;
            }
            // On a busy machine the row before may be waiting for this processor.
            if spin % 64 == 63 {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        let mut value = turns.value.lock().unwrap_or_else(PoisonError::into_inner);
        while !turns.is_ready(self.row) {
            value = turns.changed.wait(value).unwrap_or_else(PoisonError::into_inner);
        }
        if turns.is_turned_away(self.row) {
            return Err(Error::Skipped);
        }
        let result = f(&mut value)?;
        self.used = true;
        turns.current.store(self.row + 1, Ordering::Release);
        drop(value);
        turns.changed.notify_all();
        Ok(result)
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if !self.used {
            // The lock keeps the news from falling between another row's look and its sleep.
            let _guard = self.turns.value.lock().unwrap_or_else(PoisonError::into_inner);
            self.turns.stopped.fetch_min(self.row, Ordering::AcqRel);
            self.turns.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(row: usize) -> impl FnOnce(&mut Vec<usize>) -> Result<()> {
        move |rows| {
            rows.push(row);
            Ok(())
        }
    }

    #[test]
    fn rows_are_served_in_order() {
        let turns = Turns::new(Vec::new());
        thread::scope(|scope| {
            for row in (0..20).rev() {
                let turn = turns.take(row);
                scope.spawn(move || turn.wait(note(row)).expect("no row gives up"));
            }
        });
        assert_eq!(turns.into_inner(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn rows_behind_one_that_gave_up_are_turned_away() {
        let turns = Turns::new(Vec::new());
        thread::scope(|scope| {
            let last = turns.take(3);
            let waiting = scope.spawn(move || last.wait(note(3)));
            drop(turns.take(2));
            // Rows before it are served all the same.
            turns.take(0).wait(note(0)).expect("the first row");
            turns.take(1).wait(note(1)).expect("the second row");
            assert_eq!(waiting.join().expect("no panic"), Err(Error::Skipped));
        });
        assert_eq!(turns.into_inner(), [0, 1]);
    }
}
