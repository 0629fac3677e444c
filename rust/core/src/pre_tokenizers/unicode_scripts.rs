//! `UnicodeScripts`: cut where the script changes.
//!
//! The table was made by asking the reference where it cuts, so its exceptions (kana counts as Han, a space goes with any
//! script) are in it.

use crate::ids::Span;
use crate::unicode::script;

/// Appends the pieces of `text`, which starts at `base`. Characters that go with any script join the piece before them;
/// as in the reference, those before the first of a script are dropped.
pub(super) fn cut(text: &str, base: usize, out: &mut Vec<Span>) {
    let (mut last, mut start) = (0, None);
    for (at, c) in text.char_indices() {
        let script = script(c);
        if script != 0 && script != last {
            if let Some(start) = start.replace(at) {
                out.push(Span::new(base + start, base + at));
            }
            last = script;
        }
    }
    if let Some(start) = start {
        out.push(Span::new(base + start, base + text.len()));
    }
}
