//! What merging and decoding look things up in: made from the list of merges when the first text comes.
//!
//! A tokenizer may be loaded only to be asked for its vocabulary, or to be handed on to another process, and the tables take a
//! fourth of the time of loading.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{
    Merge, PairTable, TokenBytes, TokenFilter, derivations::own_encodings, merge::Merger, pairs::check_merges,
    token_table::TokenTable,
};
use crate::{Result, TokenId, Vocab, kernels, once::once};

/// The tables of one model.
pub(super) struct Tables {
    pub(super) merger: Merger,
    /// With `ignore_merges`.
    pub(super) filter: Option<TokenFilter>,
    /// Words that the cache knows from the beginning.
    pub(super) known: Vec<TokenId>,
    /// Words that are tokens; made when a text has new ones.
    tokens: OnceLock<TokenTable>,
}

/// What the tables are made of, beside the vocabulary.
pub(super) struct Plan {
    /// The token of each byte.
    pub(super) byte_ids: Box<[TokenId; 256]>,
    pub(super) ignore_merges: bool,
    /// Whether symbols are the tokens of bytes, and tokens and ids are one to one.
    pub(super) is_plain: bool,
}

/// Tables that are made when they are first needed.
pub(super) struct LazyTables {
    made: OnceLock<Tables>,
    plan: Plan,
    merges: usize,
    /// The merges until the tables are made.
    ///
    /// They are taken without waiting, and only then. So a process forked while another thread holds the lock to write finds
    /// the tables made, and may read beside one that reads.
    source: RwLock<Option<Arc<Vec<Merge>>>>,
}

impl LazyTables {
    /// # Errors
    /// [`crate::Error::Limit`] when there are too many merges.
    pub(super) fn new(plan: Plan, merges: Vec<Merge>) -> Result<Self> {
        check_merges(merges.len())?;
        let count = merges.len();
        Ok(Self { made: OnceLock::new(), plan, merges: count, source: RwLock::new(Some(Arc::new(merges))) })
    }

    /// Number of merges.
    pub(super) fn merges(&self) -> usize {
        self.merges
    }

    /// [`Plan::is_plain`]
    pub(super) fn is_plain(&self) -> bool {
        self.plan.is_plain
    }

    /// The tables.
    #[inline(always)]
    pub(super) fn get(&self, vocab: &Vocab) -> &Tables {
        match self.made.get() {
            Some(tables) => tables,
            None => self.make(vocab),
        }
    }

    /// Threads that come together each make the tables, outside of any lock, and all of them get the first.
    #[cold]
    fn make(&self, vocab: &Vocab) -> &Tables {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(merges) = source {
            let made = Tables::new(vocab, &self.plan, &merges);
            self.made.get_or_init(|| made);
            if let Ok(mut source) = self.source.try_write() {
                *source = None;
            }
        }
        self.made.get().expect("the merges are there until the tables are made")
    }
}

impl Tables {
    fn new(vocab: &Vocab, plan: &Plan, merges: &[Merge]) -> Self {
        let bytes = TokenBytes::new(vocab);
        let filter = plan.ignore_merges.then(|| TokenFilter::new(&bytes));
        let merger = Merger::new(PairTable::new(merges), plan.byte_ids.clone(), bytes, kernels::isa());
        let known =
            if plan.is_plain { known_words(&merger, merges, plan.ignore_merges, vocab.id_bound()) } else { Vec::new() };
        Self { merger, filter, known, tokens: OnceLock::new() }
    }

    /// Words that are tokens, of a vocabulary with ids below `bound`.
    pub(super) fn tokens(&self, bound: usize) -> &TokenTable {
        once(&self.tokens, || TokenTable::new(&self.merger.bytes, bound))
    }
}

/// Tokens that the cache knows from the beginning. With all of a vocabulary a new English text took a tenth less time still,
/// but known text a twentieth more and multilingual text a fifth: words of the text are then often not in their first slot,
/// or the table is larger. To look each new word up in a table of whole tokens did not pay either: outside of the caches one
/// such look-up takes as long as the merges. Many at a time do (`token_table.rs`).
const KNOWN_WORDS: usize = 1 << 14;

/// The commonest tokens that are words: a fourth of the words that an English text brings up.
///
/// Left out are those that hardly ever are a word of their own, but parts of words: they begin with a small letter or with a
/// character beyond ASCII, without a space in front.
fn known_words(merger: &Merger, merges: &[Merge], ignore_merges: bool, tokens: usize) -> Vec<TokenId> {
    let bytes = &merger.bytes;
    let begins =
        |id: TokenId| bytes.get(id).first().is_some_and(|first| first.is_ascii() && !first.is_ascii_lowercase());
    if ignore_merges {
        (0..tokens as TokenId).filter(|&id| begins(id) && bytes.is_spelled(id)).take(KNOWN_WORDS).collect()
    } else {
        own_encodings(merger, merges, tokens, KNOWN_WORDS, begins).unwrap_or_default()
    }
}
