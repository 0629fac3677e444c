//! Character classes of split patterns, as a table lookup.
//!
//! The scanners have to agree with the regexes they replace on every code point, so the classes are those of the regex
//! engine that runs the other patterns (Oniguruma, as the `onig` crate bundles it) and not those of `std`, whose Unicode
//! version differs. `examples/generate_unicode_tables.rs` writes `tables.rs`; `tests/unicode.rs` compares every code point.
//!
//! What the other components of the reference take a character for ([`property`]) comes from the reference itself:
//! `tests/data/generate_unicode_properties.py` asks it and writes `properties.rs`.

pub mod byte_chars;
mod properties;
mod tables;

pub use properties::REFERENCE_VERSION;

pub use tables::UNICODE_VERSION;

/// `\p{L}`.
pub const LETTER: u8 = 1;
/// `[\p{Lu}\p{Lt}]`: a letter that cannot stand in the lower-case part of an o200k word.
pub const UPPER: u8 = 2;
/// `\p{Ll}`: a letter that cannot stand in the upper-case part of an o200k word.
pub const LOWER: u8 = 4;
/// `\p{N}`.
pub const NUMBER: u8 = 8;
/// `\s`.
pub const SPACE: u8 = 16;
/// `[\r\n]`; these have [`SPACE`] as well.
pub const NEWLINE: u8 = 32;
/// `[\p{P}\p{S}]`.
pub const PUNCT: u8 = 64;
/// `\p{M}`.
pub const MARK: u8 = 128;

/// Code points a block; a power of two.
const BLOCK: usize = 128;

/// [`class`] of the ASCII characters, for loops that look at bytes.
pub const ASCII: [u8; 128] = tables::BLOCKS[tables::INDEX[0] as usize];

/// The flags of `c`.
#[inline(always)]
pub fn class(c: char) -> u8 {
    class_of(c as u32)
}

/// The flags of a code point; 0 for a surrogate and for a number that is no code point.
#[inline(always)]
pub fn class_of(cp: u32) -> u8 {
    match tables::INDEX.get(cp as usize / BLOCK) {
        Some(&block) => tables::BLOCKS[block as usize][cp as usize % BLOCK],
        None => 0,
    }
}

/// White space, as the standard library that the reference was built with sees it.
pub const WHITE_SPACE: u8 = 1;
/// A number, likewise.
pub const NUMERIC: u8 = 2;
/// ASCII punctuation, or a category P of `unicode_categories`.
pub const PUNCTUATION: u8 = 4;
/// `\w` of the regex crate.
pub const WORD: u8 = 8;
/// What `BertNormalizer` removes when it cleans a text.
pub const UNCLEAN: u8 = 16;
/// A nonspacing mark of `unicode_categories`.
pub const NONSPACING: u8 = 32;
/// `\s` of the regex crate.
pub const BLANK: u8 = 64;

/// What the reference takes `c` for: [`WHITE_SPACE`] to [`BLANK`].
#[inline(always)]
pub fn property(c: char) -> u8 {
    let block = properties::INDEX[c as usize / BLOCK];
    properties::BLOCKS[block as usize][c as usize % BLOCK]
}

/// [`property`] of the ASCII characters.
pub const ASCII_PROPERTY: [u8; 128] = properties::BLOCKS[properties::INDEX[0] as usize];

/// The lowercase of a character, which is two characters in one case.
#[inline]
pub fn lowercase(c: char) -> (char, Option<char>) {
    if c.is_ascii() {
        return (c.to_ascii_lowercase(), None);
    }
    if c == '\u{130}' {
        return ('i', Some('\u{307}'));
    }
    let pairs = &properties::LOWERCASE;
    let found = pairs.binary_search_by_key(&(c as u32), |&(upper, _)| upper);
    (found.ok().and_then(|i| char::from_u32(pairs[i].1)).unwrap_or(c), None)
}

/// A number for the script of a character, as `UnicodeScripts` of the reference sees it; 0 goes with any script.
#[inline]
pub fn script(c: char) -> u8 {
    let runs = &properties::SCRIPTS;
    runs[runs.partition_point(|&(first, _)| first <= c as u32) - 1].1
}
