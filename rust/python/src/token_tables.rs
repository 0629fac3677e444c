//! What a tokenizer's vocabulary is in Python: one string object for each id, and dictionaries, made when they are first
//! needed and then shared.
//!
//! Texts use the same few thousand tokens again and again, and strings do not change, so all lists may hold the same
//! objects. Dictionaries are copied for each caller, which takes a fraction of the time of making them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use penstock::TokenId;
use penstock::tokenizer::Tokenizer;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// Ids of one page of the table of strings: what is never used takes no memory.
const PAGE: usize = 1 << 8;

type Page = Box<[OnceLock<Py<PyString>>]>;

/// Python objects of one tokenizer's vocabulary.
pub struct Tables {
    tokens: OnceLock<Box<[OnceLock<Page>]>>,
    /// A bit for each id whose token may have another text in an encoding, up to the last of these.
    of_several_texts: OnceLock<Box<[u64]>>,
    /// Number of tokens without and with the added ones.
    sizes: [OnceLock<usize>; 2],
    vocabulary: PyOnceLock<Py<PyDict>>,
    /// Somebody has asked for the vocabulary: most who do ask once, and it is not worth keeping for them.
    was_asked: AtomicBool,
    added: PyOnceLock<Py<PyDict>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            tokens: OnceLock::new(),
            of_several_texts: OnceLock::new(),
            sizes: [const { OnceLock::new() }; 2],
            vocabulary: PyOnceLock::new(),
            was_asked: AtomicBool::new(false),
            added: PyOnceLock::new(),
        }
    }
}

impl Tables {
    /// The token of an id, as `id_to_token` has it.
    #[inline]
    pub fn token<'py>(&self, py: Python<'py>, core: &Tokenizer, id: TokenId) -> Option<Bound<'py, PyString>> {
        match self.kept(id) {
            Some(token) => Some(token.bind(py).clone()),
            None => self.new_token(py, core, id),
        }
    }

    #[inline]
    fn kept(&self, id: TokenId) -> Option<&Py<PyString>> {
        let id = id as usize;
        self.tokens.get()?.get(id / PAGE)?.get()?[id % PAGE].get()
    }

    #[cold]
    fn new_token<'py>(&self, py: Python<'py>, core: &Tokenizer, id: TokenId) -> Option<Bound<'py, PyString>> {
        let made = PyString::new(py, core.id_to_token(id)?);
        let pages = self.tokens.get_or_init(|| (0..core.id_bound().div_ceil(PAGE)).map(|_| OnceLock::new()).collect());
        let id = id as usize;
        if let Some(page) = pages.get(id / PAGE) {
            let page = page.get_or_init(|| (0..PAGE).map(|_| OnceLock::new()).collect());
            // Another thread may have been faster; either object is right.
            let _ = page[id % PAGE].set(made.clone().unbind());
        }
        Some(made)
    }

    /// Whether each of these tokens goes by its own string in an encoding.
    pub fn are_of_one_text(&self, core: &Tokenizer, ids: &[TokenId]) -> bool {
        let bits = self.of_several_texts.get_or_init(|| {
            let mut bits = Vec::new();
            for id in core.ids_of_several_texts() {
                let (place, bit) = (id as usize / 64, id % 64);
                bits.resize(bits.len().max(place + 1), 0);
                bits[place] |= 1 << bit;
            }
            bits.into()
        });
        bits.is_empty()
            || ids.iter().all(|&id| bits.get(id as usize / 64).is_none_or(|bits| bits >> (id % 64) & 1 == 0))
    }

    /// Number of tokens.
    pub fn size(&self, core: &Tokenizer, with_added_tokens: bool) -> usize {
        *self.sizes[usize::from(with_added_tokens)].get_or_init(|| core.vocab_size(with_added_tokens))
    }

    /// All tokens and their ids, in a dictionary for the caller.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn vocabulary<'py>(&self, py: Python<'py>, core: &Tokenizer) -> PyResult<Bound<'py, PyDict>> {
        if let Some(kept) = self.vocabulary.get(py) {
            return kept.bind(py).copy();
        }
        let made = PyDict::new(py);
        for (token, id) in core.vocab(true) {
            made.set_item(&*token, id)?;
        }
        if self.was_asked.swap(true, Ordering::Relaxed) {
            return self.vocabulary.get_or_init(py, || made.unbind()).bind(py).copy();
        }
        Ok(made)
    }

    /// The added tokens and their ids in the order of the ids, in a dictionary for the caller.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn added<'py>(&self, py: Python<'py>, core: &Tokenizer) -> PyResult<Bound<'py, PyDict>> {
        let make = || {
            let made = PyDict::new(py);
            for (id, token) in core.added_vocabulary().iter() {
                made.set_item(&token.content, id)?;
            }
            Ok::<_, PyErr>(made.unbind())
        };
        self.added.get_or_try_init(py, make)?.bind(py).copy()
    }
}
