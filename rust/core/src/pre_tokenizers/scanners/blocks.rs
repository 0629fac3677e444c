//! The patterns as bit algebra over a block of 64 characters; `kernels/generic.rs` runs it.
//!
//! Bit `i` of a mask speaks of character `i`, and character 0 starts a piece. `x << 1` moves a property to the next
//! character, `x >> 1` to the one before. Blocks with what the algebra leaves to the scalar scanner are cut before it.

use super::Scanner;
use crate::{
    kernels::{self, Block, Boundaries, Grammar, Isa, Starts},
    unicode::{self, LETTER, LOWER, MARK, NEWLINE, NUMBER, SPACE, UPPER},
};

/// Most characters that a piece start looks ahead: an apostrophe and two letters, and one for the run that follows.
const LOOKAHEAD: u32 = 4;

/// Starts that no character behind the block can change: those far enough from its end and, because the cut in a blank
/// run depends on all of it, none inside a run that touches the end.
fn settle<B: Block>(block: &B, starts: u64, spaces: u64) -> Starts {
    if block.is_last() {
        return Starts { bits: starts, settled: true };
    }
    let len = block.len();
    let run = (spaces << (64 - len)).leading_ones();
    let sure = (len.saturating_sub(LOOKAHEAD)).min(len - run.min(len));
    Starts { bits: starts & (u64::MAX >> (63 - sure.min(63))), settled: false }
}

/// Starts of the pieces of a blank run under `\s*[\r\n]+|\s+(?!\S)|\s+`: its first character, the one after its last
/// newline, and the last one if it is blank and something follows.
fn blank_starts(valid: u64, spaces: u64, newlines: u64, taken: u64) -> u64 {
    let run = spaces & !taken;
    let newlines = newlines & run;
    let blank = run & !newlines;
    let first = run & !(run << 1);
    let last = blank & !(spaces >> 1) & (valid >> 1);
    let mut after = blank & (newlines << 1);
    // An addition carries each candidate to the end of its blanks; a newline there means it was not the last one.
    if blank.wrapping_add(after) & !blank & newlines != 0 {
        let mut todo = after;
        while todo != 0 {
            let i = todo.trailing_zeros();
            todo &= todo - 1;
            let end = i + (blank >> i).trailing_ones();
            if end < 64 && newlines >> end & 1 == 1 {
                after &= !(1 << i);
            }
        }
    }
    first | last | after
}

/// Starts of the pieces of number runs under `\p{N}{1,3}`: every third character from the run's first.
fn groups_of_three(numbers: u64) -> u64 {
    let mut starts = numbers & !(numbers << 1);
    let mut inside = numbers & (numbers << 1) & (numbers << 2) & (numbers << 3);
    let mut step = 3;
    while inside != 0 && step < 64 {
        starts |= (starts << step) & inside;
        inside &= inside << step;
        step *= 2;
    }
    starts
}

/// Number of letters of the contraction behind an apostrophe: `s t m d` or `re ve ll`; 0 for none. Without regard to
/// case, U+017F counts as an s.
fn contraction(after: &[u8], ignore_case: bool) -> u32 {
    let lower = |i: usize| after.get(i).map_or(0, |b| if ignore_case { b.to_ascii_lowercase() } else { *b });
    match (lower(0), lower(1)) {
        (b's' | b't' | b'm' | b'd', _) => 1,
        (b'r' | b'v', b'e') | (b'l', b'l') => 2,
        (0xC5, 0xBF) if ignore_case => 1,
        _ => 0,
    }
}

#[inline(always)]
fn bit(i: u32) -> u64 {
    1u64.checked_shl(i).unwrap_or(0)
}

/// Calls `f` with every set bit, in order.
#[inline(always)]
fn for_each_bit(mut bits: u64, mut f: impl FnMut(u32)) {
    while bits != 0 {
        f(bits.trailing_zeros());
        bits &= bits - 1;
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
#[inline(always)]
fn gpt2<B: Block>(block: &B) -> Starts {
    let valid = block.valid();
    let (letters, numbers, spaces) = (block.has(LETTER), block.has(NUMBER), block.has(SPACE));
    let others = valid & !(letters | numbers | spaces);
    // A run starts where its class does, unless a plain space in front belongs to it.
    let changes = (letters & !(letters << 1)) | (numbers & !(numbers << 1)) | (others & !(others << 1));
    let runs = changes & !(block.is(b' ') << 1);
    let blanks = (spaces & !(spaces << 1)) | (spaces & !(spaces >> 1) & (valid >> 1));
    let mut starts = runs | blanks;
    for_each_bit(block.is(b'\'') & starts & (letters >> 1), |i| {
        let count = contraction(&block.bytes_from(i)[1..], false);
        if count > 0 {
            starts = starts & !bit(i + 1) | letters & bit(i + 1 + count);
        }
    });
    settle(block, starts, 0)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
/// with `\p{N}` in place of `\p{N}{1,3}` unless `three`.
#[inline(always)]
fn cl100k<B: Block>(block: &B, three: bool) -> Starts {
    let valid = block.valid();
    let (letters, numbers, spaces) = (block.has(LETTER), block.has(NUMBER), block.has(SPACE));
    let newlines = block.has(NEWLINE);
    let others = valid & !(letters | numbers | spaces);
    let taken = flood(newlines, (others << 1) & newlines);
    let blank = spaces & !newlines;
    let runs = others & !(others << 1) & !(block.is(b' ') << 1);
    // A letter run takes the one character in front: a blank, or punctuation that stands alone.
    let alone = runs & !(others >> 1);
    let words = letters & !(letters << 1) & !((blank | alone) << 1);
    let numbers = if three { groups_of_three(numbers) } else { numbers };
    let mut starts = runs | words | numbers | blank_starts(valid, spaces, newlines, taken);
    for_each_bit(block.is(b'\'') & runs & (letters >> 1), |i| {
        let count = contraction(&block.bytes_from(i)[1..], true);
        if count > 0 {
            starts |= letters & bit(i + 1 + count);
        }
    });
    settle(block, starts, spaces)
}

/// Words of `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`
/// and its all-upper-case sister, ` ?[^\s\p{L}\p{N}]+[\r\n/]*`, the rest as cl100k.
#[inline(always)]
fn o200k<B: Block>(block: &B) -> Starts {
    let valid = block.valid();
    let (letters, marks, numbers) = (block.has(LETTER), block.has(MARK), block.has(NUMBER));
    let (upper, lower) = (block.has(UPPER), block.has(LOWER));
    let (spaces, newlines) = (block.has(SPACE), block.has(NEWLINE));
    let words = letters | marks;
    let others = valid & !(words | numbers | spaces);
    let slashes = block.is(b'/');
    let tail = newlines | slashes;
    let taken = if slashes & (newlines << 1) == 0 {
        flood(newlines, (others << 1) & newlines)
    } else {
        // Slashes behind newlines: they may be taken too, and then their own newlines.
        let mut taken = 0;
        for_each_bit((others << 1) & newlines, |i| {
            let len = (tail >> i).trailing_ones();
            taken |= (u64::MAX >> (64 - len)) << i;
        });
        taken
    };
    let free = others & !taken;
    let blank = spaces & !newlines;
    let runs = free & !(free << 1) & !(block.is(b' ') << 1);
    let alone = runs & !(free >> 1);
    // Inside a word the cut is where upper case follows lower.
    let mut starts = words & !(words << 1) & !((blank | alone) << 1) | (upper & (lower << 1));
    starts |= runs | groups_of_three(numbers) | blank_starts(valid, spaces, newlines, taken);
    let mut resumed = 0;
    for_each_bit(block.is(b'\'') & (words << 1) & (letters >> 1), |i| {
        let count = contraction(&block.bytes_from(i)[1..], true);
        // Right behind another contraction it starts a word of its own.
        if count > 0 && resumed != i {
            resumed = i + 1 + count;
            starts = starts & !(bit(resumed).wrapping_sub(bit(i))) | words & bit(resumed);
        }
    });
    // Marks that a punctuation run swallows, and upper case behind a letter without case, need the whole rule.
    let whole_rule = (marks & (others << 1)) | (upper & ((words & !(upper | lower)) << 1));
    if whole_rule != 0 {
        return Starts { bits: starts & (bit(whole_rule.trailing_zeros()) - 1), settled: false };
    }
    settle(block, starts, spaces)
}

/// The seeds and everything behind them in runs of `mask`; at most one seed a run.
#[inline(always)]
fn flood(mask: u64, seeds: u64) -> u64 {
    // The addition carries from a seed to the end of its run and clears the bits on the way.
    if seeds == 0 { 0 } else { mask & !mask.wrapping_add(seeds) }
}

/// Makes a type that ties a pattern's algebra to its scalar scanner.
macro_rules! grammar {
    ($name:ident, $starts:expr, $piece_end:expr) => {
        struct $name;

        impl Grammar for $name {
            const ASCII: &'static [u8; 128] = &unicode::ASCII;

            #[inline(always)]
            fn class_of(code_point: u32) -> u8 {
                unicode::class_of(code_point)
            }

            #[inline(always)]
            fn starts<B: Block>(block: &B) -> Starts {
                $starts(block)
            }

            #[inline(never)]
            fn piece_end(text: &str, start: usize) -> usize {
                $piece_end(text, start)
            }
        }
    };
}

grammar!(Gpt2, gpt2, super::gpt2::token_end);
grammar!(Cl100k, |block| cl100k(block, true), super::cl100k::token_end::<3>);
grammar!(Qwen2, |block| cl100k(block, false), super::cl100k::token_end::<1>);
grammar!(O200k, o200k, super::o200k::token_end);
// No algebra: its nested splits look at the end of the outer piece. Always run scalar.
grammar!(DeepSeekV3, |_| Starts { bits: 1, settled: false }, super::deepseek::token_end);

impl Scanner {
    /// Harvests the ends of pieces from the piece start `from` on; see [`kernels::scan`].
    pub fn harvest(self, isa: Isa, text: &str, from: usize, out: &mut Boundaries) -> usize {
        match self {
            Self::Gpt2 => kernels::scan::<Gpt2>(isa, text, from, out),
            Self::Cl100k => kernels::scan::<Cl100k>(isa, text, from, out),
            Self::Qwen2 => kernels::scan::<Qwen2>(isa, text, from, out),
            Self::O200k => kernels::scan::<O200k>(isa, text, from, out),
            Self::DeepSeekV3 => kernels::scan::<DeepSeekV3>(Isa::Scalar, text, from, out),
        }
    }
}
