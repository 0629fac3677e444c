//! UTF-8 from text whose characters all have one width, as Python keeps what is not ASCII.
//!
//! ```text
//! 32 characters at a time (16 of four bytes):
//! all ASCII: their low bytes
//! else: a lane of four bytes for each, filled from its first byte on; the bytes that are used, moved together
//! ```
//!
//! Python's own encoder goes character by character, by way of a buffer three times as long: a fifth of the time of
//! encoding 5 MB of new English text went there.

#[cfg(target_arch = "x86_64")]
use super::x86_64;
use super::{Isa, Work, specialize};

/// Bytes that may be written behind the end.
const SLACK: usize = 64;
/// Text is measured before it is written up to so many characters; a longer one gets the room that it may need at most, which
/// nothing touches before it is used.
const MEASURED: usize = 1 << 14;

/// A character of two or four bytes.
pub trait WideChar: Copy {
    /// The most bytes that it takes in UTF-8.
    const MOST: usize;

    /// The code point.
    fn code_point(self) -> u32;

    /// Writes as many characters as go through a vector at a time; returns the number of characters and of bytes, or
    /// nothing where a surrogate is among them.
    ///
    /// # Safety
    /// The processor must run AVX-512; there must be 64 bytes more than the characters need at `to`.
    #[cfg(target_arch = "x86_64")]
    unsafe fn write_block(from: &[Self], to: *mut u8) -> Option<(usize, usize)>;
}

impl WideChar for u16 {
    const MOST: usize = 3;

    #[inline(always)]
    fn code_point(self) -> u32 {
        u32::from(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn write_block(from: &[Self], to: *mut u8) -> Option<(usize, usize)> {
        // SAFETY: the caller's duty.
        unsafe { x86_64::write_utf8_of_two_bytes(from, to) }
    }
}

impl WideChar for u32 {
    const MOST: usize = 4;

    #[inline(always)]
    fn code_point(self) -> u32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn write_block(from: &[Self], to: *mut u8) -> Option<(usize, usize)> {
        // SAFETY: the caller's duty.
        unsafe { x86_64::write_utf8_of_four_bytes(from, to) }
    }
}

/// The UTF-8 of a text, or nothing if it holds a surrogate or what is no code point.
pub fn utf8_of_wide<C: WideChar>(isa: Isa, text: &[C]) -> Option<String> {
    let room = if text.len() <= MEASURED { specialize(isa, Measure(text)) } else { text.len() * C::MOST };
    let mut out = Vec::with_capacity(room + SLACK);
    // SAFETY: there is room for the longest form of all characters (or for just the bytes that were counted) and the slack.
    unsafe {
        let len = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86_64::write_utf8_avx512(text, out.as_mut_ptr())?,
            _ => specialize(isa, Write { text, to: out.as_mut_ptr() })?,
        };
        debug_assert!(len <= room);
        out.set_len(len);
        Some(String::from_utf8_unchecked(out))
    }
}

/// Bytes of a text in UTF-8.
struct Measure<'t, C>(&'t [C]);

impl<C: WideChar> Work for Measure<'_, C> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let len = |c: u32| 1 + u32::from(c >= 0x80) + u32::from(c >= 0x800) + u32::from(c >= 0x1_0000);
        self.0.iter().map(|c| len(c.code_point())).sum::<u32>() as usize
    }
}

/// Portable: sixteen at a time as long as they are ASCII.
struct Write<'t, C> {
    text: &'t [C],
    to: *mut u8,
}

impl<C: WideChar> Work for Write<'_, C> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let Self { text, to } = self;
        let (blocks, rest) = text.as_chunks::<16>();
        let mut len = 0;
        for block in blocks {
            if block.iter().fold(0, |all, c| all | c.code_point()) < 0x80 {
                // SAFETY: `utf8_of_wide` made room for every character.
                let ascii = unsafe { &mut *to.add(len).cast::<[u8; 16]>() };
                *ascii = block.map(|c| c.code_point() as u8);
                len += 16;
            } else {
                // SAFETY: as above.
                len = unsafe { write_each(block, to, len)? };
            }
        }
        // SAFETY: as above.
        unsafe { write_each(rest, to, len) }
    }
}

/// Writes characters one by one from byte `len` on; returns where they end.
///
/// # Safety
/// There must be room for them.
#[inline(always)]
unsafe fn write_each<C: WideChar>(text: &[C], to: *mut u8, mut len: usize) -> Option<usize> {
    for c in text {
        let mut bytes = [0; 4];
        let count = char::from_u32(c.code_point())?.encode_utf8(&mut bytes).len();
        // SAFETY: the caller's duty; beyond the character lies the slack, or the room of those behind it.
        unsafe { to.add(len).cast::<[u8; 4]>().write_unaligned(bytes) };
        len += count;
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) {
        let wide: Vec<u32> = text.chars().map(u32::from).collect();
        let narrow: Option<Vec<u16>> = wide.iter().map(|&c| u16::try_from(c).ok()).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            assert_eq!(utf8_of_wide(isa, &wide).as_deref(), Some(text));
            if let Some(narrow) = &narrow {
                assert_eq!(utf8_of_wide(isa, narrow).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn every_character_is_what_the_standard_library_writes() {
        check(&(0..=char::MAX as u32).filter_map(char::from_u32).collect::<String>());
        check(&(0..=0xFFFF).filter_map(char::from_u32).collect::<String>());
    }

    #[test]
    fn surrogates_and_what_is_no_code_point_have_no_utf8() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for bad in [0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x11_0000, u32::MAX] {
                for at in [0, 1, 15, 16, 31, 32, 63, 99] {
                    let mut wide = vec![u32::from('a'); 100];
                    wide[at] = bad;
                    assert_eq!(utf8_of_wide(isa, &wide), None, "{bad:x} at {at}");
                    if let Ok(bad) = u16::try_from(bad) {
                        let mut narrow = vec![u16::from(b'a'); 100];
                        narrow[at] = bad;
                        assert_eq!(utf8_of_wide(isa, &narrow), None, "{bad:x} at {at}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_writes_the_same(
            text in prop_oneof![
                prop::collection::vec(prop_oneof![9 => prop::char::range('\0', '\x7F'), 1 => any::<char>()], 0..300),
                prop::collection::vec(any::<char>(), 0..300),
                prop::collection::vec(prop::char::range('\0', '\u{D7FF}'), 0..300),
            ],
        ) {
            check(&text.into_iter().collect::<String>());
        }
    }
}
