//! The vocabulary and the merges of a file as nearly every file has them, read without a general parser.
//!
//! They are all but a few kilobytes of the file. This reader takes an object of distinct tokens and ids, and merges of known
//! tokens behind it; it copies the rest of the file together, with `{}` and `[]` where these two were, for the general
//! reader. Whatever it does not expect, mistakes of every kind included, it leaves to the general reader as a whole, so there
//! is one place that knows what is allowed and what the errors are.
//!
//! It sees the file through a window that stays in the processor's cache: a file of nine megabytes costs more to put into
//! fresh memory than to take apart.

use std::{io::Read, ops::Range};

use crate::{
    TokenId, Vocab,
    kernels::pages::advise_huge,
    models::{Merge, bpe::MAX_MERGES},
    vocab::{Joined, Spelled},
};

/// What was read.
pub(super) struct Quick {
    /// The file without the vocabulary and the merges.
    pub(super) rest: Vec<u8>,
    pub(super) vocab: Vocab,
    pub(super) merges: Option<Vec<Merge>>,
}

/// Bytes of the file that are in memory at a time.
const WINDOW: usize = 1 << 18;

/// Reads the vocabulary and the merges of a file of about `size` bytes; None where that is not simple.
pub(super) fn read(file: impl Read, size: usize) -> Option<Quick> {
    read_within(WINDOW, file, size)
}

/// As [`read`], through a window of another size. No token may be longer than an eighth of it.
pub(super) fn read_within(window: usize, file: impl Read, size: usize) -> Option<Quick> {
    let mut reader = Reader {
        file,
        left: size,
        window,
        ended: false,
        bytes: Vec::new(),
        at: 0,
        text: Vec::new(),
        rest: Vec::new(),
        kept: 0,
    };
    let mut tables = None;
    reader.see_on()?;
    reader.members(|reader, key| match key {
        Key::Model => {
            let found = reader.model()?;
            tables.replace(found).is_none().then_some(())
        }
        _ => reader.skip(),
    })?;
    if reader.sees_little() {
        reader.see_on()?;
    }
    reader.space();
    if !reader.ended || reader.at < reader.bytes.len() {
        return None;
    }
    reader.keep();
    let Tables { vocab, merges } = tables?;
    Some(Quick { rest: reader.rest, vocab: vocab?, merges })
}

/// The keys that matter.
#[derive(Clone, Copy)]
enum Key {
    Model,
    Type,
    Prefix,
    Vocab,
    Merges,
    Other,
}

impl Key {
    fn of(name: &[u8]) -> Self {
        match name {
            b"model" => Self::Model,
            b"type" => Self::Type,
            b"continuing_subword_prefix" => Self::Prefix,
            b"vocab" => Self::Vocab,
            b"merges" => Self::Merges,
            _ => Self::Other,
        }
    }
}

/// What a model holds.
#[derive(Default)]
struct Tables {
    vocab: Option<Vocab>,
    merges: Option<Vec<Merge>>,
}

/// Merges that are resolved together.
const BATCH: usize = 32;

/// The tokens of a merge: places in the window, or behind its end those in [`Reader::text`].
type Pair = [Range<usize>; 2];

/// How a merge is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Pair,
}

struct Reader<F> {
    file: F,
    /// Bytes that are still to come, as far as the size of the file is known.
    left: usize,
    window: usize,
    /// Nothing comes behind what is in the window.
    ended: bool,
    /// The window.
    bytes: Vec<u8>,
    at: usize,
    /// Strings with escapes, decoded.
    text: Vec<u8>,
    /// What was passed and is for the general reader.
    rest: Vec<u8>,
    /// Where in the window begins what belongs there as well; behind [`Self::at`] within a table.
    kept: usize,
}

impl<F: Read> Reader<F> {
    /// Whether an ordinary value may reach over the end of the window.
    #[inline(always)]
    fn sees_little(&self) -> bool {
        self.bytes.len() - self.at < self.window / 8 && !self.ended
    }

    /// Moves the window to [`Self::at`]. Places in it mean nothing any more.
    #[cold]
    fn see_on(&mut self) -> Option<()> {
        if self.kept <= self.at {
            self.keep();
            self.kept = 0;
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        let mut end = self.bytes.len();
        self.bytes.resize(self.window, 0);
        while end < self.window && !self.ended {
            let count = self.file.read(&mut self.bytes[end..]).ok()?;
            self.left = self.left.saturating_sub(count);
            end += count;
            self.ended = count == 0;
        }
        self.bytes.truncate(end);
        Some(())
    }

    /// Adds what was passed to what the general reader gets.
    fn keep(&mut self) {
        self.rest.extend_from_slice(&self.bytes[self.kept..self.at]);
        self.kept = self.at;
    }

    /// Passes a table, for which the general reader gets `instead`.
    fn table<T>(&mut self, instead: &[u8], table: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.keep();
        self.rest.extend_from_slice(instead);
        self.kept = usize::MAX;
        let found = table(self)?;
        self.kept = self.at;
        Some(found)
    }

    /// Bytes from here to the end of the file, as far as its size is known.
    fn ahead(&self) -> usize {
        self.bytes.len() - self.at + self.left
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes the byte that has to come next.
    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes white space.
    #[inline(always)]
    fn space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte > b' ' {
                return;
            }
            match byte {
                b' ' => self.at += self.spaces(),
                b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return,
            }
        }
    }

    /// How many spaces come next, up to eight; at least one.
    #[inline(always)]
    fn spaces(&self) -> usize {
        match self.bytes[self.at..].first_chunk() {
            Some(chunk) => (u64::from_le_bytes(*chunk) ^ repeat(b' ')).trailing_zeros() as usize / 8,
            None => 1,
        }
    }

    /// The place of the next byte that ends a plain stretch of a string: a quote, a backslash, a control character and, if
    /// asked for, a space.
    #[inline(always)]
    fn stop<const SPACE: bool>(&self) -> Option<usize> {
        let mut at = self.at;
        while let Some(chunk) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*chunk);
            // Exact for the first byte that is found, which is all that counts.
            let low = word.wrapping_sub(repeat(if SPACE { b' ' + 1 } else { b' ' })) & !word;
            let marks = (low | zeros(word ^ repeat(b'"')) | zeros(word ^ repeat(b'\\'))) & repeat(0x80);
            if marks != 0 {
                return Some(at + marks.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        let rest = self.bytes.get(at..)?;
        let ends = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < b' ' || SPACE && byte == b' ';
        rest.iter().position(ends).map(|found| at + found)
    }

    /// Passes a string, and says where its text is.
    #[inline(always)]
    fn string(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let (start, end) = (self.at, self.stop::<false>()?);
        if self.bytes[end] == b'"' {
            self.at = end + 1;
            return Some(start..end);
        }
        self.escaped(start)
    }

    /// Passes the rest of a string that has escapes, from behind its quote.
    #[cold]
    fn escaped(&mut self, start: usize) -> Option<Range<usize>> {
        let begin = self.text.len();
        self.at = start;
        loop {
            let end = self.stop::<false>()?;
            self.text.extend_from_slice(&self.bytes[self.at..end]);
            self.at = end + 1;
            if self.bytes[end] == b'"' {
                return Some(self.bytes.len() + begin..self.bytes.len() + self.text.len());
            }
            if self.bytes[end] != b'\\' {
                return None;
            }
            let escape = self.peek()?;
            self.at += 1;
            self.text.push(match escape {
                b'"' | b'\\' | b'/' => escape,
                b'b' => 0x08,
                b'f' => 0x0C,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let digits = std::str::from_utf8(self.bytes.get(self.at..self.at + 4)?).ok()?;
                    let known = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    let code = u32::from_str_radix(digits, 16).ok().filter(|_| known)?;
                    // Halves of a character are left to the general reader.
                    let character = char::from_u32(code)?;
                    self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    self.at += 4;
                    continue;
                }
                _ => return None,
            });
        }
    }

    /// The bytes at a place that [`Self::string`] gave.
    #[inline(always)]
    fn part(&self, place: &Range<usize>) -> &[u8] {
        match place.start.checked_sub(self.bytes.len()) {
            None => &self.bytes[place.clone()],
            Some(start) => &self.text[start..place.end - self.bytes.len()],
        }
    }

    /// The token at a place that [`Self::string`] gave.
    #[inline(always)]
    fn spelled(&self, place: &Range<usize>) -> Spelled<'_> {
        match place.start.checked_sub(self.bytes.len()) {
            None => Spelled::within(&self.bytes, place.clone()),
            Some(start) => Spelled::within(&self.text, start..place.end - self.bytes.len()),
        }
    }

    /// Passes what stands behind a value of an object or a list: a comma, or its end.
    #[inline(always)]
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.space();
        let next = self.peek()?;
        self.at += 1;
        (next == b',' || next == end).then_some(next == b',')
    }

    /// Passes an object; `member` gets each key and has to pass its value.
    fn members(&mut self, mut member: impl FnMut(&mut Self, Key) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'{')?;
        loop {
            if self.sees_little() {
                self.see_on()?;
            }
            self.space();
            self.expect(b'"')?;
            let (start, end) = (self.at, self.stop::<false>()?);
            self.at = end;
            self.expect(b'"')?;
            let key = Key::of(&self.bytes[start..end]);
            self.space();
            self.expect(b':')?;
            self.space();
            member(self, key)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    /// Passes a value of any kind, of which nothing is checked but where it ends.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            if self.sees_little() {
                self.see_on()?;
            }
            self.space();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    let mut end = self.stop::<false>()?;
                    while self.bytes[end] != b'"' {
                        self.at = end + 2;
                        end = self.stop::<false>()?;
                    }
                    self.at = end + 1;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                    let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                    self.at += self.bytes[self.at..].iter().take_while(|byte| scalar(byte)).count();
                }
                _ => return None,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn model(&mut self) -> Option<Tables> {
        let mut tables = Tables::default();
        let (mut is_bpe, mut prefix_is_known) = (true, false);
        self.members(|reader, key| {
            match key {
                Key::Vocab => {
                    let vocab = reader.table(b"{}", Self::vocab)?;
                    return tables.vocab.replace(vocab).is_none().then_some(());
                }
                Key::Merges if is_bpe => {
                    let vocab = tables.vocab.as_ref().filter(|_| prefix_is_known)?;
                    let merges = reader.table(b"[]", |reader| reader.merges(vocab))?;
                    return tables.merges.replace(merges).is_none().then_some(());
                }
                Key::Type => is_bpe = reader.is_next(br#""BPE""#),
                // Any other prefix is cut out of the merges' results.
                Key::Prefix => prefix_is_known = reader.is_next(b"null") || reader.is_next(br#""""#),
                _ => {}
            }
            reader.skip()
        })?;
        Some(tables)
    }

    fn is_next(&self, value: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(value)
    }

    /// Passes an object of tokens and ids.
    fn vocab(&mut self) -> Option<Vocab> {
        // A third of a file without merges, less of one with them.
        let guess = self.ahead() / 32;
        let (mut text, mut starts) = (Vec::with_capacity(guess * 4), Vec::with_capacity(guess));
        // Nearly always they are 0, 1, 2 and so on.
        let mut ids: Option<Vec<TokenId>> = None;
        self.expect(b'{')?;
        loop {
            if self.sees_little() {
                self.see_on()?;
            }
            self.space();
            let token = self.string()?;
            starts.push(u32::try_from(text.len()).ok()?);
            text.extend_from_slice(self.part(&token));
            self.text.clear();
            self.space();
            self.expect(b':')?;
            self.space();
            let (id, number) = (self.id()?, starts.len() - 1);
            if ids.is_some() || id as usize != number {
                ids.get_or_insert_with(|| (0..number as TokenId).collect()).push(id);
            }
            if !self.goes_on(b'}')? {
                break;
            }
        }
        starts.push(u32::try_from(text.len()).ok()?);
        text.shrink_to_fit();
        starts.shrink_to_fit();
        Vocab::from_listed(text, starts, ids)
    }

    /// Passes a number of at most seven digits, which no limit of ids exceeds.
    #[inline(always)]
    fn id(&mut self) -> Option<TokenId> {
        let (start, mut id) = (self.at, 0);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            id = id * 10 + TokenId::from(digit - b'0');
            self.at += 1;
            if self.at - start > 7 {
                return None;
            }
        }
        let leading_zero = self.at - start > 1 && self.bytes[start] == b'0';
        (self.at > start && !leading_zero).then_some(id)
    }

    /// Passes a list of merges.
    fn merges(&mut self, vocab: &Vocab) -> Option<Vec<Merge>> {
        // Nearly every merge takes more bytes; what is not used is given back.
        let mut merges = Vec::with_capacity((self.ahead() / 20).min(MAX_MERGES));
        advise_huge(merges.spare_capacity_mut());
        let mut batch: [Pair; BATCH] = std::array::from_fn(|_| [0..0, 0..0]);
        let (mut count, mut form, mut recent) = (0, None, Recent::new());
        self.text.clear();
        self.expect(b'[')?;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(merges);
        }
        loop {
            if self.sees_little() {
                self.resolve(vocab, &mut recent, &batch[..count], &mut merges)?;
                self.text.clear();
                count = 0;
                self.see_on()?;
            }
            self.space();
            let (pair, found) = match self.peek()? {
                b'"' => (self.text_merge()?, Form::Text),
                b'[' => (self.pair_merge()?, Form::Pair),
                _ => return None,
            };
            if *form.get_or_insert(found) != found {
                return None;
            }
            batch[count] = pair;
            count += 1;
            if count == BATCH {
                self.resolve(vocab, &mut recent, &batch, &mut merges)?;
                self.text.clear();
                count = 0;
            }
            if !self.goes_on(b']')? {
                break;
            }
        }
        self.resolve(vocab, &mut recent, &batch[..count], &mut merges)?;
        self.text.clear();
        merges.shrink_to_fit();
        Some(merges)
    }

    /// Passes `"left right"`.
    #[inline(always)]
    fn text_merge(&mut self) -> Option<Pair> {
        let start = self.at + 1;
        self.at = start;
        let middle = self.stop::<true>()?;
        if self.bytes[middle] == b' ' {
            self.at = middle + 1;
            let end = self.stop::<true>()?;
            if self.bytes[end] == b'"' {
                self.at = end + 1;
                // `#version: 0.2`, which is no merge.
                return (self.bytes[start] != b'#' || !self.bytes[start..].starts_with(b"#version"))
                    .then_some([start..middle, middle + 1..end]);
            }
        }
        let whole = self.escaped(start)?;
        let text = self.part(&whole);
        let mut spaces = memchr::memchr_iter(b' ', text);
        let (Some(space), None) = (spaces.next(), spaces.next()) else { return None };
        let middle = whole.start + space;
        (!text.starts_with(b"#version")).then_some([whole.start..middle, middle + 1..whole.end])
    }

    /// Passes `["left", "right"]`.
    #[inline(always)]
    fn pair_merge(&mut self) -> Option<Pair> {
        self.at += 1;
        self.space();
        let left = self.string()?;
        self.space();
        self.expect(b',')?;
        self.space();
        let right = self.string()?;
        self.space();
        self.expect(b']')?;
        Some([left, right])
    }

    /// Turns merges into ids.
    fn resolve(&self, vocab: &Vocab, recent: &mut Recent, batch: &[Pair], merges: &mut Vec<Merge>) -> Option<()> {
        let mut parts = [Spelled::new(&[]); 2 * BATCH];
        for (two, [left, right]) in parts.chunks_exact_mut(2).zip(batch) {
            two[0] = self.spelled(left);
            two[1] = self.spelled(right);
        }
        let parts = &parts[..2 * batch.len()];
        let ids = recent.ids(vocab, parts)?;
        // Lists are usually sorted by result, and may hold one result several times.
        let mut result = merges.last().map_or(0, |last| last.result);
        for (two, ids) in parts.chunks_exact(2).zip(ids.chunks_exact(2)) {
            let joined = Joined::new(&two[0], &two[1]);
            if !vocab.is_joined(result, &joined) {
                result += 1;
                if !vocab.is_joined(result, &joined) {
                    result = vocab.id(std::str::from_utf8(&joined.text()).ok()?)?;
                }
            }
            merges.push(Merge { left: ids[0], right: ids[1], result });
        }
        Some(())
    }
}

/// The ids of short tokens that were looked up last: of two parts of merges more than one is among them.
struct Recent(Vec<(u64, TokenId)>);

impl Recent {
    const BITS: u32 = 13;
    /// What no token is.
    const NONE: u64 = u64::MAX;

    fn new() -> Self {
        Self(vec![(Self::NONE, 0); 1 << Self::BITS])
    }

    /// The ids of tokens; None if one has none.
    fn ids(&mut self, vocab: &Vocab, tokens: &[Spelled<'_>]) -> Option<[TokenId; 2 * BATCH]> {
        let place = |key: u64| (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - Self::BITS)) as usize;
        let mut ids = [0; 2 * BATCH];
        // Without a branch on what no one can foresee.
        let (mut unknown, mut count) = ([0u8; 2 * BATCH], 0);
        for (index, token) in tokens.iter().enumerate() {
            let key = token.short().unwrap_or(Self::NONE - 1);
            let (known, id) = self.0[place(key)];
            ids[index] = id;
            unknown[count] = index as u8;
            count += usize::from(known != key);
        }
        let mut wanted = [Spelled::new(&[]); 2 * BATCH];
        for (wanted, &index) in wanted.iter_mut().zip(&unknown[..count]) {
            *wanted = tokens[usize::from(index)];
        }
        let found = vocab.ids::<{ 2 * BATCH }>(&wanted[..count]);
        for (&index, found) in unknown[..count].iter().zip(found) {
            let (index, id) = (usize::from(index), found?);
            ids[index] = id;
            if let Some(key) = tokens[index].short() {
                self.0[place(key)] = (key, id);
            }
        }
        Some(ids)
    }
}

/// A word of one byte, eight times.
#[inline(always)]
const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The upper bit of each byte that is zero; above the first one, of others too.
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeat(1)) & !word
}
