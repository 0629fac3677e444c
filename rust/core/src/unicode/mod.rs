//! Character classes of split patterns, as a table lookup.
//!
//! The scanners have to agree with the regexes they replace on every code point, so the classes are those of the regex
//! engine that runs the other patterns (Oniguruma, as the `onig` crate bundles it) and not those of `std`, whose Unicode
//! version differs. `examples/generate_unicode_tables.rs` writes `tables.rs`; `tests/unicode.rs` compares every code point.

pub mod byte_chars;
mod tables;

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
