//! Byte-pair encoding: over bytes (`encode_pieces`, the hot path of byte-level tokenizers) and over characters
//! (`encode_piece`, characters.rs).
//!
//! ```text
//! for each piece: key = its bytes and length; the word cache knows its ids, or
//!     with ignore_merges the vocabulary knows the whole piece, or
//!     merge its bytes (merge.rs) and remember the result
//! at first: the cache is given the tokens that are words (derivations.rs)
//! ```

mod characters;
mod derivations;
mod dropout;
mod merge;
mod merge_ids;
mod merge_together;
mod pairs;
mod tables;
mod token_bytes;
mod token_table;

use std::{collections::HashSet, sync::OnceLock};

use characters::Characters;
use dropout::Dropout;
use merge::merge_symbols;
use merge_ids::{Merged, SeamFilter, merge_ids};
use merge_together::{LONGEST, Together};
pub use pairs::MAX_MERGES;
use pairs::PairTable;
use tables::{LazyTables, Plan, Tables};
use token_bytes::TokenFilter;
pub use token_bytes::{TokenBytes, append_token_bytes};
use token_table::Found;

use super::{
    alphabet::{Alphabet, Letter},
    words::{CacheHandle, DEFAULT_CACHE_BYTES, MEDIUM_WORD, Place, Spelling, Words},
};
use crate::{Result, TokenId, Vocab, encoding::Tokens, kernels, once::once, unicode::byte_chars::BYTE_CHARS};

/// A merge of two neighbouring tokens into one. Its rank is its position in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The left token.
    pub left: TokenId,
    /// The right token.
    pub right: TokenId,
    /// What they become.
    pub result: TokenId,
}

/// The `model` object of a tokenizer.json with `"type": "BPE"`, its merges resolved to ids.
#[derive(Default)]
pub struct BpeConfig {
    /// `vocab`
    pub vocab: Vocab,
    /// `merges`, in order of rank.
    pub merges: Vec<Merge>,
    /// `unk_token`
    pub unk_token: Option<String>,
    /// `fuse_unk`
    pub fuse_unk: bool,
    /// `byte_fallback`
    pub byte_fallback: bool,
    /// `ignore_merges`: a piece that is a token as a whole needs no merging.
    pub ignore_merges: bool,
    /// `continuing_subword_prefix`
    pub continuing_subword_prefix: Option<String>,
    /// `end_of_word_suffix`
    pub end_of_word_suffix: Option<String>,
    /// `dropout`
    pub dropout: Option<f32>,
}

/// A byte-pair encoder. Immutable but for its cache, which never changes an answer, and the generator of its dropout.
pub struct Bpe {
    vocab: Vocab,
    tables: LazyTables,
    ignore_merges: bool,
    /// Set when a piece's first symbols are not simply the tokens of its bytes.
    symbols: Option<Symbols>,
    /// Made when first needed: a byte-level tokenizer never does.
    characters: OnceLock<Characters>,
    /// Where merges may join characters, for models that are not over bytes and whose symbols are characters.
    seams: Option<SeamFilter>,
    dropout: Option<Dropout>,
    /// What the pipeline and the file format ask about.
    options: BpeOptions,
    /// Made with the first text: a tokenizer may be loaded only to decode, or to be handed on.
    words: OnceLock<Words>,
    cache_bytes: usize,
}

/// The options of a [`Bpe`], as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BpeOptions {
    /// `unk_token`
    pub unk_token: Option<String>,
    /// `fuse_unk`
    pub fuse_unk: bool,
    /// `byte_fallback`
    pub byte_fallback: bool,
    /// `ignore_merges`
    pub ignore_merges: bool,
    /// `continuing_subword_prefix`
    pub continuing_subword_prefix: Option<String>,
    /// `end_of_word_suffix`
    pub end_of_word_suffix: Option<String>,
    /// `dropout`
    pub dropout: Option<f32>,
}

impl BpeOptions {
    /// Whether the bytes of an affix may become tokens, whose spans leave the piece.
    pub fn spans_leave_piece(&self) -> bool {
        self.byte_fallback && self.has_affixes()
    }

    /// Whether tokens have something before or behind the characters that they stand for.
    pub fn has_affixes(&self) -> bool {
        let affixes = [&self.continuing_subword_prefix, &self.end_of_word_suffix];
        affixes.into_iter().flatten().any(|affix| !affix.is_empty())
    }
}

/// The characters between which merges join tokens.
pub struct Seams<'b> {
    pairs: HashSet<(char, char)>,
    all_bytes: bool,
    bpe: &'b Bpe,
}

impl Seams<'_> {
    /// Whether a merge joins a token that ends with a character and one that begins with another such that `of` is true.
    pub fn any(&self, of: impl Fn(char, char) -> bool) -> bool {
        self.pairs.iter().any(|&(left, right)| of(left, right))
    }

    /// Whether a character is a token, or becomes tokens of bytes as every unknown one does.
    pub fn is_known(&self, c: char) -> bool {
        self.all_bytes || self.bpe.vocab.id(c.encode_utf8(&mut [0; 4])).is_some()
    }

    /// Whether [`Self::is_known`] is true of every character.
    pub fn all_known(&self) -> bool {
        self.all_bytes
    }

    /// Whether a character may vanish. The reference then counts the offsets of all that follow it wrong.
    pub fn drop_characters(&self) -> bool {
        !self.all_bytes && self.bpe.options.unk_token.is_none()
    }
}

/// Buffers of [`Bpe::encode_piece`].
#[derive(Default)]
pub struct BpeScratch {
    symbols: characters::Symbols,
    merged: Vec<Merged>,
}

/// How bytes become symbols when the vocabulary lacks some of them, or marks where in a word they stand.
struct Symbols {
    unk: Option<TokenId>,
    fuse_unk: bool,
    byte_fallback: bool,
    prefix: String,
    suffix: String,
}

const _: () = assert!(MEDIUM_WORD <= LONGEST, "words are merged side by side");

/// The words of byte-level models.
struct Pieces<'b> {
    bpe: &'b Bpe,
    tables: &'b Tables,
}

impl Spelling for Pieces<'_> {
    #[inline(always)]
    fn len(&self, id: TokenId) -> usize {
        self.tables.merger.bytes.len(id)
    }

    fn encode(&mut self, piece: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        self.bpe.merge_into(self.tables, piece, ids);
        Ok(())
    }

    /// For all models that need no more than the merges. Even with the small table of GPT-2 a new English text takes a tenth
    /// less time so, code a fifteenth.
    fn is_quicker_together(&self) -> bool {
        self.bpe.tables.is_plain()
    }

    fn encode_together(&mut self, pieces: &[&[u8]], mut done: impl FnMut(usize, &[TokenId])) -> Result<()> {
        let Self { bpe, tables } = *self;
        let merger = &tables.merger;
        let Some(filter) = &tables.filter else {
            kernels::specialize(merger.isa, Together { merger, pieces, done });
            return Ok(());
        };
        // What is left to merge, and whether it may be a token for all that the table knows.
        let mut rest: Vec<(usize, bool)> = Vec::with_capacity(pieces.len());
        tables.tokens(bpe.vocab.id_bound()).get_each(&merger.bytes, pieces, |i, found| match found {
            Found::Token(id) => done(i, &[id]),
            Found::No => rest.push((i, false)),
            Found::Unknown => rest.push((i, true)),
        });
        let left: Vec<&[u8]> = rest.iter().map(|&(i, _)| pieces[i]).collect();
        let done = |at: usize, ids: &[TokenId]| {
            let (i, may_be_token) = rest[at];
            // A piece that merging makes one token of is that token.
            if may_be_token
                && ids.len() > 1
                && filter.may_have(pieces[i])
                && let Some(id) = bpe.whole(pieces[i])
            {
                done(i, &[id]);
            } else {
                done(i, ids);
            }
        };
        kernels::specialize(merger.isa, Together { merger, pieces: &left, done });
        Ok(())
    }
}

impl Bpe {
    /// Checks the configuration and builds the tables.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] when there are more than [`MAX_MERGES`] merges.
    pub fn new(config: BpeConfig) -> Result<Self> {
        Self::with_cache_bytes(config, DEFAULT_CACHE_BYTES)
    }

    /// As [`Bpe::new`], with a bound for the word cache.
    ///
    /// # Errors
    /// As [`Bpe::new`].
    pub fn with_cache_bytes(config: BpeConfig, cache_bytes: usize) -> Result<Self> {
        let options = BpeOptions {
            unk_token: config.unk_token,
            fuse_unk: config.fuse_unk,
            byte_fallback: config.byte_fallback,
            ignore_merges: config.ignore_merges,
            continuing_subword_prefix: config.continuing_subword_prefix,
            end_of_word_suffix: config.end_of_word_suffix,
            dropout: config.dropout,
        };
        let vocab = config.vocab;
        let prefix = options.continuing_subword_prefix.clone().unwrap_or_default();
        let suffix = options.end_of_word_suffix.clone().unwrap_or_default();
        let mut missing = false;
        let byte_ids = Box::new(std::array::from_fn(|byte| {
            let id = vocab.id(BYTE_CHARS[byte].encode_utf8(&mut [0; 4]));
            missing |= id.is_none();
            id.unwrap_or(0)
        }));
        let symbols = if missing || !prefix.is_empty() || !suffix.is_empty() {
            let unk = options.unk_token.as_ref().and_then(|token| vocab.id(token));
            let (fuse_unk, byte_fallback) = (options.fuse_unk, options.byte_fallback);
            Some(Symbols { unk, fuse_unk, byte_fallback, prefix, suffix })
        } else {
            None
        };
        let over_bytes = !missing;
        let is_plain = symbols.is_none() && vocab.is_one_to_one();
        let seams = if over_bytes { None } else { seam_filter(&vocab, &options, &config.merges) };
        let plan = Plan { byte_ids, ignore_merges: options.ignore_merges, is_plain };
        Ok(Self {
            tables: LazyTables::new(plan, config.merges)?,
            vocab,
            ignore_merges: options.ignore_merges,
            symbols,
            characters: OnceLock::new(),
            seams,
            dropout: options.dropout.filter(|&chance| chance > 0.0).map(Dropout::new),
            options,
            words: OnceLock::new(),
            cache_bytes,
        })
    }

    fn tables(&self) -> &Tables {
        self.tables.get(&self.vocab)
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// Number of merges.
    pub fn merges(&self) -> usize {
        self.tables.merges()
    }

    /// The pairs of tokens that merge, by rank. A pair that was listed twice has its last rank.
    pub fn merge_pairs(&self) -> Vec<(TokenId, TokenId)> {
        self.tables().merger.pairs.pairs_by_rank()
    }

    /// Whether whole pieces are looked up before merging.
    pub fn ignore_merges(&self) -> bool {
        self.ignore_merges
    }

    /// Whether merges are passed over by chance (`dropout`).
    pub fn drops_merges(&self) -> bool {
        self.dropout.is_some()
    }

    /// The options, as configured.
    pub fn options(&self) -> &BpeOptions {
        &self.options
    }

    /// Whether [`Bpe::encode_pieces`] may run: not with dropout, not where a byte may be unknown while `unk_token` is not
    /// in the vocabulary, which is an error of the text, and not where the bytes of an affix may become tokens, whose spans
    /// leave the text.
    pub fn runs_on_bytes(&self) -> bool {
        let unk_is_missing = || self.options.unk_token.as_ref().is_some_and(|token| self.vocab.id(token).is_none());
        self.dropout.is_none() && !(self.symbols.is_some() && (unk_is_missing() || self.options.spans_leave_piece()))
    }

    /// Where merges join symbols, if symbols are characters: without prefix, suffix and `ignore_merges`, and where no merge
    /// takes the unknown token or the token of a byte.
    pub fn seams(&self) -> Option<Seams<'_>> {
        if self.ignore_merges {
            return None;
        }
        let byte = |byte: u32| self.vocab.id(&format!("<0x{byte:02X}>")).is_some();
        let all_bytes = self.options.byte_fallback && (0..256).all(byte);
        let pairs = character_seams(&self.vocab, &self.options, self.tables().merger.pairs.pairs())?;
        Some(Seams { pairs, all_bytes, bpe: self })
    }

    /// Begins the sequence of random choices that belongs to `seed`; nothing without dropout.
    pub fn seed_dropout(&self, seed: u64) {
        if let Some(dropout) = &self.dropout {
            dropout.seed(seed);
        }
    }

    /// Encodes one piece over its characters. Spans count the bytes of `piece`, from `base`, as the reference does: a
    /// character that is dropped does not move the count, and bytes of prefix and suffix in tokens of bytes do.
    ///
    /// # Errors
    /// [`crate::Error::MissingUnkToken`] for an unknown character when the vocabulary lacks `unk_token`.
    pub fn encode_piece<const LEVEL: u8>(
        &self,
        piece: &str,
        base: u32,
        scratch: &mut BpeScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        if self.ignore_merges
            && self.dropout.is_none()
            && let Some(id) = self.vocab.id(piece)
            && !piece.is_empty()
        {
            out.push(id);
            if LEVEL > 0 {
                out.push_span(base, base + piece.len() as u32);
            }
            if LEVEL > 1 {
                out.push_word(1);
            }
            return Ok(());
        }
        self.encode_chars::<LEVEL>(piece.chars(), base, scratch, out)
    }

    /// As [`Self::encode_piece`], of letters of [`Alphabet::ANY`].
    ///
    /// # Errors
    /// As [`Self::encode_piece`].
    pub fn encode_letters<const LEVEL: u8>(
        &self,
        piece: &[Letter],
        base: u32,
        scratch: &mut BpeScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        if self.ignore_merges {
            return self.encode_piece::<LEVEL>(&Alphabet::ANY.spell(piece), base, scratch, out);
        }
        let chars = piece.iter().map(|&letter| Alphabet::ANY.char(letter));
        self.encode_chars::<LEVEL>(chars, base, scratch, out)
    }

    #[inline(always)]
    fn encode_chars<const LEVEL: u8>(
        &self,
        piece: impl Iterator<Item = char>,
        base: u32,
        scratch: &mut BpeScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let before = out.len();
        let symbols = &mut scratch.symbols;
        self.characters().symbols(piece, symbols)?;
        let (mut symbol, mut at) = (0, base);
        let mut emit = |id, count: usize| {
            out.push(id);
            if LEVEL > 0 {
                let end = at + symbols.lengths[symbol..symbol + count].iter().sum::<u32>();
                out.push_span(at, end);
                (symbol, at) = (symbol + count, end);
            }
        };
        if let Some(dropout) = &self.dropout {
            dropout.merge(&self.tables().merger.pairs, symbols.ids.clone(), emit);
        } else {
            scratch.merged.clear();
            merge_ids(&self.tables().merger, self.seams.as_ref(), &symbols.ids, &mut scratch.merged);
            scratch.merged.iter().for_each(|&(id, count)| emit(id, count as usize));
        }
        if LEVEL > 1 {
            out.push_word(out.len() - before);
        }
        Ok(())
    }

    fn words(&self) -> &Words {
        once(&self.words, || {
            let Tables { merger, known, .. } = self.tables();
            let known: Vec<_> = known.iter().map(|&id| (merger.bytes.get(id), id)).collect();
            Words::with_words(self.cache_bytes, &known)
        })
    }

    fn characters(&self) -> &Characters {
        once(&self.characters, || Characters::new(&self.vocab, &self.options))
    }

    /// The bytes of every token.
    pub fn token_bytes(&self) -> &TokenBytes {
        &self.tables().merger.bytes
    }

    /// Encodes the pieces of `text` that lie between `start` and the last of `ends`, one behind the other.
    ///
    /// `LEVEL` is what [`Tokens`] collects: ids, spans, words.
    #[inline(always)]
    pub fn encode_pieces<const LEVEL: u8>(
        &self,
        text: &[u8],
        start: usize,
        ends: &[u32],
        handle: &mut CacheHandle,
        out: &mut Tokens,
    ) {
        let Some(&last) = ends.last() else { return };
        // A byte that falls back is spelled by up to two bytes, and each of those is a token.
        out.reserve((last as usize - start) * if self.symbols.is_some() { 2 } else { 1 });
        if LEVEL > 0 && self.symbols.is_some() {
            let mut from = start;
            for &end in ends {
                self.encode_symbols(text, from, end as usize, out);
                from = end as usize;
            }
            return;
        }
        let mut pieces = Pieces { bpe: self, tables: self.tables() };
        let known = self.words().encode::<LEVEL>(text, start, ends, handle, out, &mut pieces);
        known.expect("merging does not fail");
    }

    /// Fills the gaps that [`Self::encode_pieces`] left open, and moves the places behind them.
    pub fn fill(&self, handle: &mut CacheHandle, out: &mut Tokens, places: &mut [Place]) {
        let mut pieces = Pieces { bpe: self, tables: self.tables() };
        self.words().fill(handle, out, &mut pieces, places).expect("merging does not fail");
    }

    /// Whether the tokens of a text lie one behind the other, each on as many bytes as [`Self::byte_len`] says.
    pub fn is_seamless(&self) -> bool {
        self.symbols.is_none()
    }

    /// Bytes that a token of the vocabulary stands for.
    #[inline(always)]
    pub fn byte_len(&self, id: TokenId) -> usize {
        self.tables().merger.bytes.len(id)
    }

    /// Appends the ids of one piece, without the cache.
    fn merge_into(&self, tables: &Tables, piece: &[u8], ids: &mut Vec<TokenId>) {
        if let Some(filter) = &tables.filter
            && filter.may_have(piece)
            && let Some(id) = self.whole(piece)
        {
            ids.push(id);
        } else if let Some(symbols) = &self.symbols {
            self.merge_marked(symbols, piece, |id, _| ids.push(id));
        } else {
            tables.merger.merge(piece, ids);
        }
    }

    /// The token that a piece is as a whole.
    fn whole(&self, piece: &[u8]) -> Option<TokenId> {
        let mut name = String::with_capacity(piece.len() * 2);
        name.extend(piece.iter().map(|&byte| BYTE_CHARS[usize::from(byte)]));
        self.vocab.id(&name)
    }

    /// Encodes a piece whose symbols carry marks or may be missing, with spans.
    ///
    /// The reference counts in bytes of the *mapped* text, from the start of the piece, and a character that it drops
    /// does not move the count; so a span here is the sum of the lengths so far, looked up in that text.
    fn encode_symbols(&self, text: &[u8], start: usize, end: usize, out: &mut Tokens) {
        let piece = &text[start..end];
        // Mapped byte to source byte, and one past the end.
        let mut source = Vec::with_capacity(piece.len() * 2 + 1);
        for (i, &byte) in piece.iter().enumerate() {
            source.extend(std::iter::repeat_n((start + i) as u32, BYTE_CHARS[usize::from(byte)].len_utf8()));
        }
        let before = out.len();
        let push = |id: TokenId, span: std::ops::Range<usize>, out: &mut Tokens| {
            let to = span.end.min(source.len());
            let from = source.get(span.start).copied().unwrap_or(end as u32);
            out.push(id);
            out.push_span(from, if to > span.start { source[to - 1] + 1 } else { from });
        };
        if let Some(id) = self.ignore_merges.then(|| self.whole(piece)).flatten() {
            push(id, 0..source.len(), out);
        } else {
            let symbols = self.symbols.as_ref().expect("called for marked symbols only");
            let mut at = 0;
            self.merge_marked(symbols, piece, |id, len| {
                push(id, at..at + len, out);
                at += len;
            });
        }
        out.push_word(out.len() - before);
    }

    /// The reference's `merge_word`: symbols with prefix and suffix, unknown ones fused, dropped or split into bytes;
    /// then the merges. `emit` gets each token and its length in bytes of the mapped text.
    fn merge_marked(&self, marks: &Symbols, piece: &[u8], mut emit: impl FnMut(TokenId, usize)) {
        let (mut ids, mut lengths) = (Vec::with_capacity(piece.len()), Vec::with_capacity(piece.len()));
        let mut add = |id: TokenId, len: usize| {
            ids.push(id);
            lengths.push(len);
        };
        let mut unknown = 0;
        let mut name = String::new();
        for (i, &byte) in piece.iter().enumerate() {
            let c = BYTE_CHARS[usize::from(byte)];
            name.clear();
            if i > 0 {
                name.push_str(&marks.prefix);
            }
            name.push(c);
            if i + 1 == piece.len() {
                name.push_str(&marks.suffix);
            }
            if let Some(id) = self.vocab.id(&name) {
                if unknown > 0 {
                    add(marks.unk.expect("counted only with an unk token"), std::mem::take(&mut unknown));
                }
                add(id, c.len_utf8());
                continue;
            }
            let fallback = || name.bytes().map(|b| self.vocab.id(&format!("<0x{b:02X}>"))).collect::<Option<Vec<_>>>();
            if let Some(fallback) = marks.byte_fallback.then(fallback).flatten() {
                for id in fallback {
                    add(id, 1);
                }
            } else if let Some(unk) = marks.unk {
                if unknown > 0 && !marks.fuse_unk {
                    add(unk, std::mem::take(&mut unknown));
                }
                unknown += c.len_utf8();
            }
        }
        if unknown > 0 {
            add(marks.unk.expect("counted only with an unk token"), unknown);
        }
        let mut at = 0;
        merge_symbols(&self.tables().merger.pairs, ids, |id, symbols| {
            emit(id, lengths[at..at + symbols].iter().sum());
            at += symbols;
        });
    }
}

/// The last character of a token and the first of one that it merges with, for all merges; None where symbols are not simply
/// characters.
fn character_seams(
    vocab: &Vocab,
    options: &BpeOptions,
    merges: impl Iterator<Item = (TokenId, TokenId)>,
) -> Option<HashSet<(char, char)>> {
    let BpeOptions { unk_token, byte_fallback, .. } = options;
    if options.has_affixes() {
        return None;
    }
    let mut special = vec![false; vocab.id_bound()];
    let byte = |byte: u32| vocab.id(&format!("<0x{byte:02X}>"));
    let bytes = (0..256).filter(|_| *byte_fallback).filter_map(byte);
    for id in bytes.chain(unk_token.as_ref().and_then(|token| vocab.id(token))) {
        special[id as usize] = true;
    }
    let mut pairs = HashSet::new();
    for (left, right) in merges {
        if special[left as usize] || special[right as usize] {
            return None;
        }
        let (left, right) = (vocab.token(left)?, vocab.token(right)?);
        pairs.insert((left.chars().next_back()?, right.chars().next()?));
    }
    Some(pairs)
}

/// [`character_seams`] as symbols.
fn seam_filter(vocab: &Vocab, options: &BpeOptions, merges: &[Merge]) -> Option<SeamFilter> {
    let id = |c: char| vocab.id(c.encode_utf8(&mut [0; 4]));
    let pairs = character_seams(vocab, options, merges.iter().map(|merge| (merge.left, merge.right)))?;
    // A character without a token is no symbol: no text has it where it could merge.
    let pairs = pairs.into_iter().filter_map(|(left, right)| Some((id(left)?, id(right)?)));
    Some(SeamFilter::new(&pairs.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_together_are_what_each_is_alone() {
        let mut vocab = Vocab::default();
        for (id, c) in (0..).zip(BYTE_CHARS) {
            vocab.insert(&c.to_string(), id);
        }
        // Merging makes "ab" and "abc", but never "bca", since "ab" comes first, and nothing makes "cab".
        let tokens = ["ab", "abc", "ca", "bca", "cab"];
        for (id, token) in (256..).zip(tokens) {
            vocab.insert(token, id);
        }
        let merge = |left, right, result| Merge { left, right, result };
        let [a, b, c] =
            [b'a', b'b', b'c'].map(|byte| BYTE_CHARS.iter().position(|&x| x == byte as char).unwrap() as u32);
        let merges = vec![merge(a, b, 256), merge(256, c, 257), merge(c, a, 258), merge(b, 258, 259)];
        for ignore_merges in [false, true] {
            let config =
                BpeConfig { vocab: vocab.clone(), merges: merges.clone(), ignore_merges, ..Default::default() };
            let bpe = Bpe::new(config).unwrap();
            let pieces: Vec<&[u8]> =
                ["a", "ab", "bca", "cab", "abcab", "cabbca", "x", "bcabca"].map(str::as_bytes).to_vec();
            let mut found = vec![Vec::new(); pieces.len()];
            Pieces { bpe: &bpe, tables: bpe.tables() }
                .encode_together(&pieces, |i, ids| found[i].extend_from_slice(ids))
                .unwrap();
            for (piece, found) in pieces.into_iter().zip(found) {
                let mut ids = Vec::new();
                Pieces { bpe: &bpe, tables: bpe.tables() }.encode(piece, &mut ids).unwrap();
                assert_eq!(found, ids, "{piece:?} with ignore_merges {ignore_merges}");
            }
        }
    }
}
