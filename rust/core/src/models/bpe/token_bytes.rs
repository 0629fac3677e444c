//! Token id to bytes.

use crate::{
    TokenId, Vocab,
    kernels::prefetch,
    unicode::byte_chars::pair_byte,
    vocab::{Spelled, hash},
};

/// The bytes that each token stands for in a byte-level vocabulary, in one arena.
pub struct TokenBytes {
    arena: Vec<u8>,
    /// Token `i` is `arena[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    /// Tokens with characters outside of the byte alphabet, in order.
    foreign: Vec<TokenId>,
    /// The length of each token, or [`Self::LONG`]: an eighth of what two starts take, since spans ask for every token's.
    lengths: Vec<u8>,
}

impl TokenBytes {
    /// Maps every token back through the byte alphabet. A token with a character outside of it stands for its own UTF-8
    /// bytes, as the reference's `ByteLevel` decoder has it.
    pub(super) fn new(vocab: &Vocab) -> Self {
        let mut foreign = Vec::new();
        let bytes = Self::build(vocab.id_bound(), vocab.text_len(), |id, arena| {
            if !append_token_bytes(vocab.token(id).unwrap_or_default(), arena) {
                foreign.push(id);
            }
        });
        Self { foreign, ..bytes }
    }

    /// Whether a token is spelled in the byte alphabet, so that a piece of text may be it.
    pub(super) fn is_spelled(&self, id: TokenId) -> bool {
        self.foreign.binary_search(&id).is_err()
    }

    /// The bytes that `append` appends for each id below `bound`, about `len` in all.
    pub fn build(bound: usize, len: usize, mut append: impl FnMut(TokenId, &mut Vec<u8>)) -> Self {
        let mut arena = Vec::with_capacity(len + Self::SLACK);
        let mut starts = Vec::with_capacity(bound + 1);
        starts.push(0);
        for id in 0..bound {
            append(id as TokenId, &mut arena);
            starts.push(arena.len() as u32);
        }
        arena.resize(arena.len() + Self::SLACK, 0);
        let lengths = starts.windows(2).map(|ends| (ends[1] - ends[0]).min(u32::from(Self::LONG)) as u8).collect();
        Self { arena, starts, foreign: Vec::new(), lengths }
    }

    /// Appends the bytes of a token: sixteen whatever its length, which is one store instead of a call.
    #[inline(always)]
    pub fn append(&self, id: TokenId, out: &mut Vec<u8>) {
        let (padded, len) = self.padded(id);
        if len <= padded.len() {
            let end = out.len() + len;
            out.extend_from_slice(padded);
            out.truncate(end);
        } else {
            out.extend_from_slice(self.get(id));
        }
    }

    /// Readable bytes behind the last token, so that a reader may copy a fixed number of them.
    pub const SLACK: usize = 16;

    /// The bytes of a token; empty for an id that the vocabulary lacks.
    #[inline(always)]
    pub fn get(&self, id: TokenId) -> &[u8] {
        match self.starts.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => &self.arena[start as usize..end as usize],
            _ => &[],
        }
    }

    /// [`Self::get`]'s first 16 bytes, whatever follows the token, and its length.
    #[inline(always)]
    pub fn padded(&self, id: TokenId) -> (&[u8; Self::SLACK], usize) {
        match self.starts.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => {
                let bytes = self.arena[start as usize..].first_chunk().expect("slack behind the last token");
                (bytes, (end - start) as usize)
            }
            _ => (&[0; Self::SLACK], 0),
        }
    }

    /// Asks for where the bytes of a token begin, ahead of [`Self::prefetch`].
    #[inline(always)]
    pub(super) fn prefetch_start(&self, id: TokenId) {
        if let Some(start) = self.starts.get(id as usize) {
            prefetch(start);
        }
    }

    /// Asks for the bytes of a token, ahead of [`Self::padded`].
    #[inline(always)]
    pub(super) fn prefetch(&self, id: TokenId) {
        if let Some(first) = self.starts.get(id as usize).and_then(|&start| self.arena.get(start as usize)) {
            prefetch(first);
        }
    }

    /// Length of a token of the vocabulary, in bytes.
    #[inline(always)]
    pub fn len(&self, id: TokenId) -> usize {
        match self.lengths[id as usize] {
            Self::LONG => self.get(id).len(),
            length => usize::from(length),
        }
    }

    /// Stands for a length that does not fit.
    const LONG: u8 = u8::MAX;
}

/// Says of most byte strings that are no token that they are none, from the second-level cache.
///
/// With `ignore_merges` every new piece is looked for in the vocabulary first, mostly in vain, and that look-up waits for
/// memory: it took a seventh of the time of encoding new text.
pub(super) struct TokenFilter {
    bits: Vec<u64>,
    shift: u32,
}

impl TokenFilter {
    /// Bits per token, of which each sets two: one string in twenty passes for nothing.
    const BITS: usize = 8;

    pub(super) fn new(bytes: &TokenBytes) -> Self {
        let tokens = bytes.starts.len() - 1;
        let size = (tokens * Self::BITS).next_power_of_two().max(128);
        let mut filter = Self { bits: vec![0; size / 64], shift: 70 - size.trailing_zeros() };
        for id in 0..tokens {
            let (word, bits) = filter.place(bytes.get(id as TokenId));
            filter.bits[word] |= bits;
        }
        filter
    }

    /// A word and two bits of it.
    fn place(&self, piece: &[u8]) -> (usize, u64) {
        let hash = hash(0, piece);
        ((hash >> self.shift) as usize, 1 << (hash % 64) | 1 << (hash / 64 % 64))
    }

    /// False when the bytes are certainly no token.
    pub(super) fn may_have(&self, piece: &[u8]) -> bool {
        let (word, bits) = self.place(piece);
        self.bits[word] & bits == bits
    }
}

/// True if the first `len` of eight bytes are ASCII and visible; behind them are zeros.
#[inline(always)]
fn are_visible(word: u64, len: usize) -> bool {
    const fn repeat(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // Visible ones where nothing is.
    let word = word | repeat(b'!').checked_shl(8 * len as u32).unwrap_or(0);
    let below = word.wrapping_sub(repeat(b'!')) & !word;
    let delete = word ^ repeat(0x7F);
    let deletes = delete.wrapping_sub(repeat(1)) & !delete;
    (below | deletes | word) & repeat(0x80) == 0
}

/// Appends what one token string stands for; false when it has characters outside of the byte alphabet.
pub fn append_token_bytes(token: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    // Most tokens are a word behind its space.
    let (word, has_space) = match token.strip_prefix('\u{120}') {
        Some(word) => (Spelled::new(word.as_bytes()), true),
        None => (Spelled::new(token.as_bytes()), false),
    };
    if let Some([low, high]) = word.words()
        && are_visible(low, word.bytes().len().min(8))
        && are_visible(high, word.bytes().len().saturating_sub(8))
    {
        // A fixed number of bytes is one store instead of a call. What is too much is written over.
        out.push(b' ');
        out.truncate(start + usize::from(has_space));
        let end = out.len() + word.bytes().len();
        out.extend_from_slice(&(u128::from(low) | u128::from(high) << 64).to_le_bytes());
        out.truncate(end);
        return true;
    }
    let mut bytes = token.bytes();
    while let Some(first) = bytes.next() {
        // All of the alphabet has one byte, or two of which the first is C2 to C5.
        let byte = match first {
            b'!'..=b'~' => Some(first),
            0xC2..=0xC5 => pair_byte(first, bytes.next().unwrap_or_default()),
            _ => None,
        };
        let Some(byte) = byte else {
            out.truncate(start);
            out.extend_from_slice(token.as_bytes());
            return false;
        };
        out.push(byte);
    }
    true
}
