//! Piece boundaries by bit algebra, 64 bytes at a time.
//!
//! ```text
//! at a piece start, load 64 bytes and classify them (one flag byte per character)
//! squeeze continuation bytes out, so that bit i of every mask is character i
//! starts = the grammar's algebra on the masks; keep the starts that nothing behind the block can change
//! spread the starts back over the bytes, append them, and continue at the last one
//! ```
//!
//! 1. A block always begins at a piece start, so the algebra has no state to carry from block to block. The price is
//!    to classify the last piece of a block twice (about 5 of 64 bytes).
//! 2. A piece that fills the whole block (a long run) is handed to the scalar [`Grammar::piece_end`].
//! 3. Non-ASCII characters are classified one by one from the Unicode table; the algebra is the same for them.

/// Piece boundaries of a stretch of text, as the end of each piece.
pub struct Boundaries {
    ends: Box<[u32; Boundaries::CAPACITY + 64]>,
    len: usize,
}

impl Boundaries {
    /// Pieces harvested at a time: enough to make the probe loop long, few enough to stay in the first-level cache.
    const CAPACITY: usize = 512;

    /// An empty buffer.
    pub fn new() -> Self {
        Self { ends: Box::new([0; Self::CAPACITY + 64]), len: 0 }
    }

    /// The ends harvested.
    pub fn ends(&self) -> &[u32] {
        &self.ends[..self.len]
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.len < Self::CAPACITY
    }

    #[inline(always)]
    fn push(&mut self, end: usize) {
        self.ends[self.len] = end as u32;
        self.len += 1;
    }

    /// Appends `base + i` for every set bit `i`.
    ///
    /// # Safety
    /// The processor must run the instruction set of `L`.
    #[inline(always)]
    unsafe fn push_bits<L: Lanes>(&mut self, base: usize, bits: u64) {
        let room = (&mut self.ends[self.len..self.len + 64]).try_into().expect("room for a block");
        // SAFETY: the caller's duty.
        unsafe { L::positions(bits, base as u32, room) };
        self.len += bits.count_ones() as usize;
    }
}

impl Default for Boundaries {
    fn default() -> Self {
        Self::new()
    }
}

/// Up to 64 characters as masks: bit `i` speaks of character `i`.
pub trait Block {
    /// Characters that have any of the class flags.
    fn has(&self, flags: u8) -> u64;
    /// Characters equal to one ASCII byte.
    fn is(&self, byte: u8) -> u64;
    /// Number of characters; bits from there on are zero in every mask.
    fn count(&self) -> u32;
    /// Whether the text ends with this block.
    fn is_last(&self) -> bool;
    /// The text from character `i` on, as bytes.
    fn bytes_from(&self, i: u32) -> &[u8];

    /// A mask of the characters that exist.
    #[inline(always)]
    fn valid(&self) -> u64 {
        low_bits(self.count())
    }
}

/// What the algebra found in a block.
#[derive(Clone, Copy)]
pub struct Starts {
    /// Characters that start a piece.
    pub bits: u64,
    /// Whether these are all. If not, those from some point on were left out: characters behind the block could change
    /// them, or the algebra does not cover what it saw there.
    pub settled: bool,
}

/// A split pattern as bit algebra over a block, with its scalar equal.
pub trait Grammar {
    /// Class flags of the ASCII bytes.
    const ASCII: &'static [u8; 128];
    /// Class flags of a code point.
    fn class_of(code_point: u32) -> u8;
    /// Starts of pieces, given that character 0 is one.
    fn starts<B: Block>(block: &B) -> Starts;
    /// End of the piece that starts at byte `start`.
    fn piece_end(text: &str, start: usize) -> usize;
}

/// 64 bytes in vector registers.
pub(super) trait Lanes: Sized {
    type Table: Copy;
    /// The ASCII class table, in registers.
    unsafe fn table(ascii: &'static [u8; 128]) -> Self::Table;
    unsafe fn load(bytes: &[u8; 64]) -> Self;
    /// Bytes from 0x80 on.
    unsafe fn non_ascii(&self) -> u64;
    /// Bytes 0x80 to 0xBF, which continue a character.
    unsafe fn continuation(&self) -> u64;
    /// The class of every ASCII byte; lanes of other bytes hold anything.
    unsafe fn classes(&self, table: Self::Table) -> Self;
    unsafe fn store(&self, to: &mut [u8; 64]);
    unsafe fn any(&self, flags: u8) -> u64;
    unsafe fn equal(&self, byte: u8) -> u64;
    /// Bits of `mask` where `select` is set, moved together.
    unsafe fn extract(mask: u64, select: u64) -> u64;
    /// The reverse: low bits of `bits` spread over the set bits of `select`.
    unsafe fn deposit(bits: u64, select: u64) -> u64;
    /// Stores `base + i` for every set bit `i`, in order; behind them, anything.
    unsafe fn positions(bits: u64, base: u32, to: &mut [u32; 64]);
}

/// A block of ASCII bytes: character and byte index agree.
struct AsciiBlock<'t, L> {
    bytes: L,
    classes: L,
    len: u32,
    last: bool,
    text: &'t [u8],
}

impl<L: Lanes> Block for AsciiBlock<'_, L> {
    #[inline(always)]
    fn has(&self, flags: u8) -> u64 {
        // SAFETY: blocks are made inside a shell of their instruction set only.
        unsafe { self.classes.any(flags) & self.valid() }
    }
    #[inline(always)]
    fn is(&self, byte: u8) -> u64 {
        // SAFETY: as above.
        unsafe { self.bytes.equal(byte) & self.valid() }
    }
    #[inline(always)]
    fn count(&self) -> u32 {
        self.len
    }
    #[inline(always)]
    fn is_last(&self) -> bool {
        self.last
    }
    #[inline(always)]
    fn bytes_from(&self, i: u32) -> &[u8] {
        &self.text[i as usize..]
    }
}

/// A block with other characters: `lead` has the first byte of each.
struct WideBlock<'t, L> {
    bytes: L,
    classes: L,
    lead: u64,
    last: bool,
    text: &'t [u8],
}

impl<L: Lanes> Block for WideBlock<'_, L> {
    #[inline(always)]
    fn has(&self, flags: u8) -> u64 {
        // SAFETY: as for `AsciiBlock`.
        unsafe { L::extract(self.classes.any(flags), self.lead) }
    }
    #[inline(always)]
    fn is(&self, byte: u8) -> u64 {
        // SAFETY: as for `AsciiBlock`.
        unsafe { L::extract(self.bytes.equal(byte), self.lead) }
    }
    #[inline(always)]
    fn count(&self) -> u32 {
        self.lead.count_ones()
    }
    #[inline(always)]
    fn is_last(&self) -> bool {
        self.last
    }
    #[inline(always)]
    fn bytes_from(&self, i: u32) -> &[u8] {
        // SAFETY: as for `AsciiBlock`.
        let byte = unsafe { L::deposit(1 << i, self.lead) }.trailing_zeros();
        &self.text[byte as usize..]
    }
}

#[inline(always)]
pub(super) fn low_bits(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// The loop of the module's first lines.
///
/// # Safety
/// The processor must run the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn scan<L: Lanes, G: Grammar>(text: &str, from: usize, out: &mut Boundaries) -> usize {
    // SAFETY: the caller's duty is that of every function of `L`.
    let table = unsafe { L::table(G::ASCII) };
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() && out.has_room() {
        let rest = &bytes[at..];
        let mut tail = [0; 64];
        let window: &[u8; 64] = if let Some(window) = rest.first_chunk() {
            window
        } else {
            tail[..rest.len()].copy_from_slice(rest);
            &tail
        };
        let last = rest.len() <= 64;
        // SAFETY: the caller's duty is that of every function of `L`.
        let (starts, settled) = unsafe {
            let lanes = L::load(window);
            let classes = lanes.classes(table);
            if lanes.non_ascii() == 0 {
                let len = rest.len().min(64) as u32;
                let starts = G::starts(&AsciiBlock { bytes: lanes, classes, len, last, text: rest });
                (starts.bits & !1, starts.settled)
            } else {
                let block = wide_block::<L, G>(lanes, &classes, rest, last);
                let starts = G::starts(&block);
                (L::deposit(starts.bits & !1, block.lead), starts.settled)
            }
        };
        if settled {
            // SAFETY: the caller's duty.
            unsafe { out.push_bits::<L>(at, starts) };
            out.push(bytes.len());
            at = bytes.len();
        } else if starts == 0 {
            at = G::piece_end(text, at);
            out.push(at);
        } else {
            // SAFETY: the caller's duty.
            unsafe { out.push_bits::<L>(at, starts) };
            at += starts.ilog2() as usize;
        }
    }
    at
}

/// Classifies the non-ASCII characters of a block; one that the block's end cuts is left out.
#[inline(always)]
unsafe fn wide_block<'t, L: Lanes, G: Grammar>(bytes: L, ascii: &L, rest: &'t [u8], last: bool) -> WideBlock<'t, L> {
    let mut class = [0; 64];
    // SAFETY: the caller's duty, as in `scan`.
    let (mut lead, non_ascii) = unsafe {
        ascii.store(&mut class);
        (!bytes.continuation(), bytes.non_ascii())
    };
    lead &= low_bits(rest.len().min(64) as u32);
    if rest.get(64).is_some_and(|&b| b & 0xC0 == 0x80) {
        lead &= !(1 << (lead.ilog2()));
    }
    let mut todo = lead & non_ascii;
    while todo != 0 {
        let i = todo.trailing_zeros() as usize;
        todo &= todo - 1;
        class[i & 63] = G::class_of(decode(&rest[i..]));
    }
    // SAFETY: the caller's duty, as in `scan`.
    let classes = unsafe { L::load(&class) };
    WideBlock { bytes, classes, lead, last, text: rest }
}

/// The code point that a well-formed multi-byte sequence at the start of `bytes` encodes.
#[inline(always)]
fn decode(bytes: &[u8]) -> u32 {
    let low = |b: u8| u32::from(b & 0x3F);
    match *bytes {
        [a @ 0..0xE0, b, ..] => u32::from(a & 0x1F) << 6 | low(b),
        [a @ 0xE0..0xF0, b, c, ..] => u32::from(a & 0x0F) << 12 | low(b) << 6 | low(c),
        [a, b, c, d, ..] => u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d),
        _ => 0,
    }
}

/// The scalar equal of [`scan`].
pub(super) fn scan_scalar<G: Grammar>(text: &str, from: usize, out: &mut Boundaries) -> usize {
    let mut at = from;
    while at < text.len() && out.has_room() {
        at = G::piece_end(text, at);
        out.push(at);
    }
    at
}

/// [`Lanes::positions`] without an instruction for it: groups of eight whatever the number of bits, so that the only branch
/// is on the number of groups.
#[inline(always)]
pub(super) fn positions_scalar(mut bits: u64, base: u32, to: &mut [u32; 64]) {
    for group in to.as_chunks_mut::<8>().0 {
        for slot in group {
            *slot = base + bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
}

/// Which bytes of each 64 start a character.
///
/// # Safety
/// The processor must run the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn character_starts<L: Lanes>(bytes: &[u8], mut block: impl FnMut(u64)) {
    let (blocks, rest) = bytes.as_chunks();
    for bytes in blocks {
        // SAFETY: the caller's duty.
        block(unsafe { !L::load(bytes).continuation() });
    }
    if !rest.is_empty() {
        block(starts_scalar(rest));
    }
}

/// Bit `i` is set when byte `i` starts a character; at most 64 bytes.
pub(super) fn starts_scalar(bytes: &[u8]) -> u64 {
    let starts = bytes.iter().enumerate().map(|(i, byte)| u64::from(byte & 0xC0 != 0x80) << i);
    starts.fold(0, |mask, bit| mask | bit)
}
