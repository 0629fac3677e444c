//! Values made at first use.

use std::sync::OnceLock;

/// The value of a cell, which `make` gives if there is none yet.
///
/// Unlike `OnceLock::get_or_init` this makes the value outside the cell's lock: a process forked meanwhile would wait for
/// good for a thread that it does not have. Threads that come together each make one, and all of them get the first.
pub fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    if let Some(value) = cell.get() {
        return value;
    }
    let value = make();
    cell.get_or_init(|| value)
}
