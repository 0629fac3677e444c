//! The stream of torch's CPU generator: a Mersenne Twister, two words for each token of a row.
//!
//! `torch.multinomial(p, 1)` gives each token an exponential waiting time `q`, drawn in double precision and rounded to
//! `f32`, and returns the first token with the largest `p / q`. Token `i` of row `b` takes words `2 (b V + i)` and the
//! one after it, so tokens without a probability need no time: their words are stepped over.

use crate::kernels::{
    Isa,
    floats::Race,
    mersenne::{WORDS, next_block, temper},
};

use super::TWO_POW_MINUS_53;
use crate::sampling::error::{Error, Result};

/// Bytes of a generator state.
pub const STATE_BYTES: usize = 5056;
const LEFT: usize = 8;
const SEEDED: usize = 12;
const NEXT: usize = 16;
const STATE: usize = 24;

/// A position in the stream.
#[derive(Clone, Debug)]
pub struct TorchStream {
    isa: Isa,
    words: Box<[u32; WORDS]>,
    /// Words of the block that are used up.
    position: usize,
    /// Whether the words are still those that were read.
    is_first_block: bool,
}

impl TorchStream {
    /// The stream of `torch.Generator().manual_seed(seed)`.
    pub fn from_seed(seed: u64) -> Self {
        let mut words = Box::new([0u32; WORDS]);
        words[0] = seed as u32;
        for i in 1..WORDS {
            let before = words[i - 1];
            words[i] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { isa: crate::kernels::isa(), words, position: WORDS, is_first_block: false }
    }

    /// The stream at the state that `torch.Generator.get_state` gave.
    ///
    /// # Errors
    /// [`Error::State`] for bytes that torch would not take either.
    pub fn from_state(state: &[u8]) -> Result<Self> {
        if state.len() != STATE_BYTES {
            return Err(Error::State("it has 5056 bytes"));
        }
        let word = |at: usize| u32::from_le_bytes(state[at..at + 4].try_into().expect("four bytes"));
        let (left, next) = (word(LEFT) as usize, word(NEXT) as usize);
        if word(SEEDED) == 0 || left == 0 || left > WORDS || next > WORDS {
            return Err(Error::State("its position is out of range"));
        }
        let mut words = Box::new([0; WORDS]);
        for (to, from) in words.iter_mut().zip(state[STATE..].as_chunks::<8>().0) {
            *to = u64::from_le_bytes(*from) as u32;
        }
        let position = if left == 1 { WORDS } else { next };
        Ok(Self { isa: crate::kernels::isa(), words, position, is_first_block: true })
    }

    /// Runs on another instruction set; the stream is the same.
    #[must_use]
    pub fn with_isa(mut self, isa: Isa) -> Self {
        self.isa = isa;
        self
    }

    /// A state for torch, as of a generator with this seed that never drew a normal number.
    pub fn to_state(&self, seed: u64) -> Vec<u8> {
        let mut state = vec![0; STATE_BYTES];
        state[..LEFT].copy_from_slice(&seed.to_le_bytes());
        state[SEEDED] = 1;
        self.write_state(&mut state).expect("the size is right");
        state
    }

    /// Writes the position into a state that came from torch; seed and cached normals stay.
    ///
    /// # Errors
    /// [`Error::State`] if the state has another size.
    pub fn write_state(&self, state: &mut [u8]) -> Result<()> {
        if state.len() != STATE_BYTES {
            return Err(Error::State("it has 5056 bytes"));
        }
        self.write_position(state);
        for (to, &word) in state[STATE..].as_chunks_mut::<8>().0.iter_mut().zip(self.words.iter()) {
            *to = u64::from(word).to_le_bytes();
        }
        Ok(())
    }

    /// Writes the position into the state that the stream was read from: no more than has changed.
    ///
    /// # Errors
    /// [`Error::State`] if the state has another size.
    pub fn update_state(&self, state: &mut [u8]) -> Result<()> {
        if state.len() == STATE_BYTES && self.is_first_block {
            self.write_position(state);
            return Ok(());
        }
        self.write_state(state)
    }

    fn write_position(&self, state: &mut [u8]) {
        state[LEFT..LEFT + 4].copy_from_slice(&((WORDS + 1 - self.position) as u32).to_le_bytes());
        state[NEXT..NEXT + 8].copy_from_slice(&(self.position as u64).to_le_bytes());
    }

    /// One tempered word.
    pub fn next_word(&mut self) -> u32 {
        if self.position == WORDS {
            self.next_block();
        }
        self.position += 1;
        temper(self.words[self.position - 1])
    }

    /// A uniform in `[0, 1)` with 24 bits: `torch.rand` in `float32`.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_word() & 0xff_ffff) as f32 / (1u32 << 24) as f32
    }

    fn next_block(&mut self) {
        next_block(self.isa, &mut self.words);
        self.position = 0;
        self.is_first_block = false;
    }

    /// Steps over `count` words.
    pub fn skip(&mut self, count: usize) {
        let mut end = self.position + count;
        while end > WORDS {
            self.next_block();
            end -= WORDS;
        }
        self.position = end;
    }

    /// Calls `visit(index, waiting time)` for each of the ascending `ids`, and steps over a row of `vocabulary` tokens.
    pub fn waiting_times(&mut self, ids: &[u32], vocabulary: usize, mut visit: impl FnMut(usize, f64)) {
        // The number of the block's first word, counted from the first word of the row.
        let mut base = -(self.position as i64);
        let mut word = |stream: &mut Self, at: i64| {
            while at - base >= WORDS as i64 {
                stream.next_block();
                base += WORDS as i64;
            }
            temper(stream.words[(at - base) as usize])
        };
        for (i, &id) in ids.iter().enumerate() {
            let at = 2 * i64::from(id);
            let (high, low) = (word(self, at), word(self, at + 1));
            visit(i, waiting_time(high, low));
        }
        let end = 2 * vocabulary as i64;
        while end - base > WORDS as i64 {
            self.next_block();
            base += WORDS as i64;
        }
        self.position = (end - base) as usize;
    }

    /// Draws from a few tokens of a row: ascending ids and their probabilities. Returns an index into both.
    pub fn draw(&mut self, ids: &[u32], p: &[f32], vocabulary: usize) -> usize {
        let (mut best, mut winner) = (-1.0f32, 0);
        self.waiting_times(ids, vocabulary, |i, time| {
            let speed = p[i] / time as f32;
            if speed > best {
                (best, winner) = (speed, i);
            }
        });
        winner
    }

    /// Draws from a whole row of probabilities; those of removed tokens are zero. Returns the token.
    pub fn draw_row(&mut self, p: &[f32]) -> usize {
        let (mut best, mut winner) = (-1.0f32, 0);
        self.race(p, &mut |token, time| {
            let speed = p[token] / time as f32;
            if speed > best {
                (best, winner) = (speed, token);
            }
            best
        });
        winner
    }

    /// Calls `visit(token, waiting time)` for tokens that may matter, and steps over the row; `visit` returns the speed
    /// below which a token does not.
    ///
    /// A waiting time is never shorter than its uniform, so `p / u` from the uniform's upper bits is a bound: the
    /// logarithm is taken only for tokens that may beat the best so far, some twenty in a row.
    pub fn race(&mut self, p: &[f32], visit: &mut dyn FnMut(usize, f64) -> f32) {
        let mut best = -1.0f32;
        let mut token = 0;
        // The upper word of a pair whose lower word is the first of the next block.
        let mut carried = None;
        while token < p.len() {
            if self.position == WORDS {
                self.next_block();
            }
            if let Some(high) = carried.take() {
                if p[token] > 0.0 {
                    best = visit(token, waiting_time(temper(high), temper(self.words[0])));
                }
                self.position = 1;
                token += 1;
                continue;
            }
            let pairs = ((WORDS - self.position) / 2).min(p.len() - token);
            if pairs == 0 {
                carried = Some(self.words[self.position]);
                self.position = WORDS;
                continue;
            }
            let words = &self.words[self.position..self.position + 2 * pairs];
            best = Race::new(self.isa).run(words, &p[token..token + pairs], best, &mut |pair| {
                visit(token + pair, waiting_time(temper(words[2 * pair]), temper(words[2 * pair + 1])))
            });
            self.position += 2 * pairs;
            token += pairs;
        }
    }
}

/// The exponential of torch for two words: 53 bits, the first word above the second.
fn waiting_time(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 32 | u64::from(low)) & ((1 << 53) - 1);
    -(-(bits as f64 * TWO_POW_MINUS_53)).ln_1p()
}
