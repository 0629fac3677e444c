//! BPE over characters: the form in which the file format states the model, and what `SentencePiece` tokenizers run.
//!
//! A piece's first symbols are its characters, those behind the first with `continuing_subword_prefix`, the last with
//! `end_of_word_suffix`. What the vocabulary lacks becomes the tokens of its UTF-8 bytes (`byte_fallback`) or the unknown
//! token, one for each character or one for all of a run (`fuse_unk`); without any of these it is dropped.

use super::BpeOptions;
use crate::{Error, Result, TokenId, Vocab};

const NONE: TokenId = TokenId::MAX;

/// Tokens of one character, with or without something around it, by character.
struct CharTable {
    /// Number of the page of a character's upper bits, 0 for one without tokens.
    pages: Box<[u16]>,
    ids: Vec<[TokenId; PAGE]>,
}

const PAGE: usize = 256;

impl CharTable {
    fn new(vocab: &Vocab, prefix: &str, suffix: &str) -> Self {
        let mut table = Self { pages: vec![0; char::MAX as usize / PAGE + 1].into(), ids: vec![[NONE; PAGE]] };
        for (token, id) in vocab.iter() {
            let Some(mut chars) = token.strip_prefix(prefix).and_then(|t| t.strip_suffix(suffix)).map(str::chars)
            else {
                continue;
            };
            if let (Some(c), None) = (chars.next(), chars.next()) {
                let page = &mut table.pages[c as usize / PAGE];
                if *page == 0 {
                    *page = table.ids.len() as u16;
                    table.ids.push([NONE; PAGE]);
                }
                table.ids[usize::from(*page)][c as usize % PAGE] = id;
            }
        }
        table
    }

    #[inline(always)]
    fn get(&self, c: char) -> Option<TokenId> {
        let id = self.ids[usize::from(self.pages[c as usize / PAGE])][c as usize % PAGE];
        (id != NONE).then_some(id)
    }
}

/// The token for unknown characters.
enum Unk {
    /// There is none: unknown characters are dropped.
    Dropped,
    /// This one.
    Token(TokenId),
    /// One that the vocabulary lacks, an error as soon as it is needed.
    Missing(String),
}

/// The symbols of pieces.
pub(super) struct Characters {
    /// Characters that are neither first nor last.
    inner: CharTable,
    /// Characters at the edges, where prefix or suffix make these others: the first, the last, the only one.
    edges: Option<Box<[CharTable; 3]>>,
    prefix: String,
    suffix: String,
    unk: Unk,
    fuse_unk: bool,
    bytes: Option<Box<[Option<TokenId>; 256]>>,
}

/// The first symbols of a piece, and how many bytes of it each covers.
#[derive(Default)]
pub(super) struct Symbols {
    pub(super) ids: Vec<TokenId>,
    pub(super) lengths: Vec<u32>,
}

impl Symbols {
    fn clear(&mut self) {
        self.ids.clear();
        self.lengths.clear();
    }

    #[inline(always)]
    fn push(&mut self, id: TokenId, len: usize) {
        self.ids.push(id);
        self.lengths.push(len as u32);
    }
}

impl Characters {
    pub(super) fn new(vocab: &Vocab, options: &BpeOptions) -> Self {
        let prefix = options.continuing_subword_prefix.clone().unwrap_or_default();
        let suffix = options.end_of_word_suffix.clone().unwrap_or_default();
        let edges = (!prefix.is_empty() || !suffix.is_empty()).then(|| {
            Box::new(
                [("", ""), (prefix.as_str(), suffix.as_str()), ("", suffix.as_str())]
                    .map(|(prefix, suffix)| CharTable::new(vocab, prefix, suffix)),
            )
        });
        let unk = match &options.unk_token {
            None => Unk::Dropped,
            Some(token) => vocab.id(token).map_or_else(|| Unk::Missing(token.clone()), Unk::Token),
        };
        let byte = |byte| vocab.id(&format!("<0x{byte:02X}>"));
        Self {
            inner: CharTable::new(vocab, &prefix, ""),
            edges,
            prefix,
            suffix,
            unk,
            fuse_unk: options.fuse_unk,
            bytes: options.byte_fallback.then(|| Box::new(std::array::from_fn(byte))),
        }
    }

    /// The first symbols of a piece.
    ///
    /// # Errors
    /// [`Error::MissingUnkToken`] when a character is unknown and `unk_token` is not in the vocabulary.
    #[inline(always)]
    pub(super) fn symbols(&self, piece: impl Iterator<Item = char>, symbols: &mut Symbols) -> Result<()> {
        symbols.clear();
        // The unknown token that waits for the next character, with the bytes that it covers. Tokens of bytes overtake it,
        // as in the reference.
        let mut waiting: Option<(TokenId, usize)> = None;
        let mut first = true;
        let mut rest = piece.peekable();
        while let Some(c) = rest.next() {
            let len = c.len_utf8();
            let last = rest.peek().is_none();
            let first = std::mem::replace(&mut first, false);
            let table = match &self.edges {
                Some(edges) if first || last => &edges[usize::from(last) + usize::from(first && last)],
                _ => &self.inner,
            };
            if let Some(id) = table.get(c) {
                if let Some((unk, len)) = waiting.take() {
                    symbols.push(unk, len);
                }
                symbols.push(id, len);
            } else if !self.fall_back(c, first, last, symbols) {
                let unk = match &self.unk {
                    Unk::Dropped => continue,
                    Unk::Token(id) => *id,
                    Unk::Missing(token) => {
                        return Err(Error::MissingUnkToken { model: "BPE", token: Some(token.clone()) });
                    }
                };
                waiting = match waiting {
                    Some((_, before)) if self.fuse_unk => Some((unk, before + len)),
                    Some((_, before)) => {
                        symbols.push(unk, before);
                        Some((unk, len))
                    }
                    None => Some((unk, len)),
                };
            }
        }
        if let Some((unk, len)) = waiting {
            symbols.push(unk, len);
        }
        Ok(())
    }

    /// The tokens of the bytes of a character, prefix and suffix included; false if the vocabulary lacks one of them.
    fn fall_back(&self, c: char, first: bool, last: bool, symbols: &mut Symbols) -> bool {
        let Some(bytes) = &self.bytes else { return false };
        let mut buffer = [0; 4];
        let prefix = if first { "" } else { &self.prefix };
        let suffix = if last { &self.suffix } else { "" };
        let text = || [prefix.as_bytes(), suffix.as_bytes()];
        let character = c.encode_utf8(&mut buffer).as_bytes();
        let [prefix, suffix] = text();
        let all = || prefix.iter().chain(character).chain(suffix).map(|&byte| bytes[usize::from(byte)]);
        let complete = all().all(|id| id.is_some());
        if complete {
            all().flatten().for_each(|id| symbols.push(id, 1));
        }
        complete
    }
}
