//! One Python string as UTF-8.
//!
//! Python keeps text beyond Latin-1 with two or four bytes a character, and its own encoder, whose result stays with the
//! string as long as that lives, took a fifth of the time of encoding a new document. So a text that comes for the first
//! time is converted here, and the result is gone after the call; one that comes again is worth keeping, by Python.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use penstock::kernels::{self, WideChar, utf8_of_wide};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;
use pyo3::types::string::PyStringData;

/// The UTF-8 of a Python string.
pub enum Text {
    /// Python's own, which lives as long as the string.
    Python(PyBackedStr),
    /// Converted for this call.
    Converted(String),
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Python(text) => text,
            Self::Converted(text) => text,
        }
    }
}

impl TryFrom<&Bound<'_, PyString>> for Text {
    type Error = PyErr;

    fn try_from(string: &Bound<'_, PyString>) -> PyResult<Self> {
        if let Some(text) = convert(string) {
            return Ok(Self::Converted(text));
        }
        // Here too come surrogates, which Python describes in its error.
        PyBackedStr::try_from(string.clone()).map(Self::Python)
    }
}

/// The UTF-8 of a long string of wide characters without surrogates, if it comes for the first time.
fn convert(string: &Bound<'_, PyString>) -> Option<String> {
    /// Characters of a text that is worth a look at them: shorter ones are converted in no time.
    const LONG: usize = 256;

    if string.len().ok()? < LONG {
        return None;
    }
    // SAFETY: the layout that this relies on is that of the CPython which this module is compiled for, on the little-endian
    // machines that wheels are made for; the characters are immutable and live as long as the string.
    #[expect(unsafe_code, reason = "PyO3 has no other way to the characters of a string")]
    let data = unsafe { string.data() }.ok()?;
    let address = string.as_ptr() as usize;
    match data {
        PyStringData::Ucs1(_) => None,
        PyStringData::Ucs2(text) => convert_new(text, address),
        PyStringData::Ucs4(text) => convert_new(text, address),
    }
}

fn convert_new<C: WideChar>(text: &[C], address: usize) -> Option<String> {
    if comes_again(text, address) { None } else { utf8_of_wide(kernels::isa(), text) }
}

/// Whether a text was here before. Says no of some that were, and yes of others that look alike: this decides only about
/// who converts.
fn comes_again<C: WideChar>(text: &[C], address: usize) -> bool {
    const SEEN: usize = 1 << 13;
    static TEXTS: [AtomicU32; SEEN] = [const { AtomicU32::new(0) }; SEEN];

    // Another text of the same length may lie at the address of one that is gone: so some of its characters count too.
    let step = text.len() / 16;
    let characters = text.iter().step_by(step.max(1)).map(|c| u64::from(c.code_point()));
    let mix = |hash: u64, value: u64| (hash.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = characters.fold(mix(address as u64, text.len() as u64), mix);
    let place = &TEXTS[(hash >> 32) as usize % SEEN];
    place.swap(hash as u32, Ordering::Relaxed) == hash as u32
}
