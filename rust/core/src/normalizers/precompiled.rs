//! `Precompiled`: the charsmap of a `SentencePiece` model, as the reference applies it.
//!
//! The file is a little-endian length, a double-array trie of that many bytes, and the replacements, each ended by a
//! zero byte. A trie entry's value is where its replacement begins.
//!
//! The reference looks up a whole grapheme if it has fewer than six bytes, and takes the *shortest* entry that the
//! grapheme begins with: a mark behind a character that has an entry disappears. Else it looks up each character.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use crate::alignment::Edit;

/// A charsmap, ready to be applied. Cheap to clone.
#[derive(Clone)]
pub struct Precompiled {
    charsmap: Arc<[u8]>,
    trie: Arc<[u32]>,
    replacements: Arc<str>,
    /// ASCII characters that the trie knows, as bits.
    ascii: u128,
}

impl std::fmt::Debug for Precompiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Precompiled").field("bytes", &self.charsmap.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Precompiled {
    fn eq(&self, other: &Self) -> bool {
        self.charsmap == other.charsmap
    }
}

/// Graphemes of fewer bytes are looked up as a whole.
const WHOLE_GRAPHEME: usize = 6;

impl Precompiled {
    /// Reads a charsmap.
    ///
    /// # Errors
    /// A reason, when it is shorter than it says or the replacements are not UTF-8.
    pub fn new(charsmap: &[u8]) -> Result<Self, &'static str> {
        let (size, rest) = charsmap.split_first_chunk().ok_or("the charsmap ends before the length of its trie")?;
        let units = u32::from_le_bytes(*size) as usize / 4;
        let (trie, replacements) =
            rest.split_at_checked(units * 4).ok_or("the trie of the charsmap is longer than the charsmap")?;
        let replacements = std::str::from_utf8(replacements).map_err(|_| "the replacements are not UTF-8")?;
        let unit = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let mut new = Self {
            charsmap: charsmap.into(),
            trie: trie.chunks_exact(4).map(unit).collect(),
            replacements: replacements.into(),
            ascii: 0,
        };
        new.ascii = (0..128u8).filter(|&byte| new.find(&[byte]).is_some()).fold(0, |bits, byte| bits | 1 << byte);
        Ok(new)
    }

    /// The bytes that it was made of.
    pub fn charsmap(&self) -> &[u8] {
        &self.charsmap
    }

    /// The replacement of the shortest entry that `key` begins with.
    ///
    /// A broken trie ends the search where the reference would read beyond its end.
    fn find(&self, key: &[u8]) -> Option<&str> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
        let mut at = offset(*self.trie.first()?);
        for &byte in key {
            // The reference takes a zero byte for the end of the text.
            if byte == 0 {
                return None;
            }
            at ^= usize::from(byte);
            let unit = *self.trie.get(at)?;
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                return None;
            }
            at ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let start = (*self.trie.get(at)? & !(1 << 31)) as usize;
                let rest = self.replacements.get(start..)?;
                return Some(&rest[..memchr::memchr(0, rest.as_bytes()).unwrap_or(rest.len())]);
            }
        }
        None
    }

    /// Whether the character stands for itself, alone and before any other ASCII character.
    pub fn keeps_ascii(&self, byte: u8) -> bool {
        byte != b'\r' && byte < 128 && self.ascii >> byte & 1 == 0
    }

    /// Whether no entry begins with this ASCII character and goes on behind it.
    pub fn has_no_longer_entry(&self, byte: u8) -> bool {
        let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
        let unit = |at: usize| self.trie.get(at).copied();
        let Some(root) = unit(0) else { return true };
        let at = offset(root) ^ usize::from(byte);
        let Some(node) = unit(at).filter(|unit| unit & (1 << 31 | 0xFF) == u32::from(byte)) else { return true };
        let children = at ^ offset(node);
        (1..=255u8).all(|next| {
            unit(children ^ usize::from(next)).is_none_or(|unit| unit & (1 << 31 | 0xFF) != u32::from(next))
        })
    }

    /// Appends what replaces a grapheme of one character.
    pub(super) fn of_char(&self, c: char, out: &mut String) {
        match self.find(c.encode_utf8(&mut [0; 4]).as_bytes()) {
            Some(new) => out.push_str(new),
            None => out.push(c),
        }
    }

    /// Whether nothing comes out of what the text begins with. Such a beginning moves all offsets behind it.
    pub fn begins_with_nothing(&self, text: &str) -> bool {
        let mut first = None;
        if let Some(grapheme) = text.graphemes(true).next() {
            self.of_grapheme(grapheme, |_, new| {
                first.get_or_insert(new.is_some_and(str::is_empty));
            });
        }
        first == Some(true)
    }

    /// False when no entry is found in the text.
    pub(super) fn apply(&self, edit: &mut Edit<'_>) -> bool {
        let text = edit.source();
        let mut writer = Writer { edit, pending: None, lost: false, modified: false };
        let mut at = 0;
        while at < text.len() {
            // What surely stands for itself: ASCII before more ASCII. It may hold the mark behind it, so the last one waits.
            let end = at + self.plain_prefix(&text.as_bytes()[at..]);
            writer.keep(&text[at..end]);
            at = end;
            let end = at + slow_stretch(&text[at..]);
            for grapheme in text[at..end].graphemes(true) {
                self.of_grapheme(grapheme, |old, new| match new {
                    Some(new) => writer.replace(old, new),
                    None => writer.keep(old),
                });
            }
            at = end;
        }
        writer.finish()
    }

    /// Calls `each` with the parts of a grapheme and what replaces them.
    fn of_grapheme<'s>(&'s self, grapheme: &str, mut each: impl FnMut(&str, Option<&'s str>)) {
        if grapheme.len() < WHOLE_GRAPHEME
            && let Some(new) = self.find(grapheme.as_bytes())
        {
            return each(grapheme, Some(new));
        }
        for (i, c) in grapheme.char_indices() {
            let part = &grapheme[i..i + c.len_utf8()];
            each(part, self.find(part.as_bytes()));
        }
    }

    /// Length of the characters that stand for themselves whatever follows: ASCII that the trie does not know, without
    /// the last before something else.
    fn plain_prefix(&self, bytes: &[u8]) -> usize {
        let plain = bytes.iter().take_while(|&&byte| self.keeps_ascii(byte)).count();
        if plain == bytes.len() { plain } else { plain.saturating_sub(1) }
    }
}

/// Whether a character joins any other before it to a grapheme; none for one that whatever follows joins.
pub(super) fn joins(c: char) -> Option<bool> {
    let is_one = |text: &str| text.graphemes(true).nth(1).is_none();
    if c.is_ascii_graphic() {
        return Some(false);
    }
    (!is_one(&format!("{c}a"))).then(|| is_one(&format!("a{c}")))
}

/// Length of a stretch after which a grapheme ends for sure: two characters follow that are ASCII, the second of which
/// begins no grapheme that the first could be part of. Prepended marks hold one character, so the first is inside.
fn slow_stretch(text: &str) -> usize {
    let bytes = text.as_bytes();
    // The first character is known not to be plain, or to stand before one that is not.
    let mut at = text.chars().next().map_or(0, char::len_utf8);
    let mut first = true;
    while at < bytes.len() {
        let pair = |i: usize| bytes.get(i).is_some_and(|&byte| byte.is_ascii() && byte != b'\r');
        if !first && pair(at) && bytes[at] != b'\n' && bytes.get(at + 1).is_none_or(u8::is_ascii) {
            return at + 1;
        }
        first = false;
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    bytes.len()
}

/// Writes replacements into an edit, with the reference's counts: of a longer replacement the last characters are
/// insertions, and a shorter one leaves the rest to its last character, or, when it is empty, to the one before.
struct Writer<'e, 's> {
    edit: &'e mut Edit<'s>,
    /// The last character of a replacement, whose count may still change.
    pending: Option<(char, isize)>,
    /// Something was removed before the first character. The reference counts it nowhere: every character from there on
    /// takes the range of one before its own.
    lost: bool,
    modified: bool,
}

impl Writer<'_, '_> {
    fn keep(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        self.flush();
        // The last one may have to answer for what is removed behind it.
        let last = part.chars().next_back().expect("not empty");
        let before = &part[..part.len() - last.len_utf8()];
        if self.lost {
            before.chars().for_each(|c| self.edit.put(c, 0));
        } else {
            self.edit.copy_to(self.edit.position() + before.len());
        }
        self.pending = Some((last, 0));
    }

    fn replace(&mut self, old: &str, new: &str) {
        self.modified = true;
        let (old_count, new_count) = (old.chars().count() as isize, new.chars().count() as isize);
        if new_count == 0 {
            match &mut self.pending {
                Some((_, change)) => *change -= old_count,
                None => self.lost = true,
            }
            return;
        }
        for (i, c) in (0..).zip(new.chars()) {
            self.flush();
            // The characters that have no counterpart are the last ones.
            let mut change = isize::from(i >= old_count);
            if i == new_count - 1 && new_count < old_count {
                change = new_count - old_count;
            }
            self.pending = Some((c, change));
        }
    }

    fn flush(&mut self) {
        if let Some((c, change)) = self.pending.take() {
            self.edit.put(c, change);
        }
    }

    fn finish(mut self) -> bool {
        self.flush();
        if self.lost {
            // Characters that nothing came to replace.
            self.edit.skip_to(self.edit.source().len());
        }
        self.modified
    }
}
