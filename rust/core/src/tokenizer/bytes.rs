//! The byte-level path: a text that is cut but not rewritten, and a model that looks at its bytes.

use super::encode::Scratch;
use crate::{
    Result, Span,
    added_vocabulary::Segment,
    encoding::{IDS, SPANS, Tokens},
    kernels::{self, Boundaries},
    models::{
        Bpe,
        words::{CacheHandle, Open},
    },
    pre_tokenizers::Splitter,
};

/// Encodes a part of a segment's text that begins at byte `skipped` of it.
pub(super) fn encode_bytes<const LEVEL: u8>(
    bpe: &Bpe,
    splitter: &Splitter,
    segment: &Segment<'_>,
    text: &str,
    skipped: usize,
    scratch: &mut Scratch,
    out: &mut Tokens,
) -> Result<()> {
    let Some(each) = &splitter.each else {
        let prefix = splitter.add_prefix_space && skipped == 0 && !text.starts_with(' ');
        return encode_run::<LEVEL>(bpe, splitter, segment, text, skipped, prefix, scratch, out);
    };
    let mut pieces = Vec::new();
    splitter.split(text, &mut pieces)?;
    for piece in pieces {
        let (text, skipped) = (&text[piece.range()], skipped + piece.start as usize);
        encode_run::<LEVEL>(bpe, each, segment, text, skipped, !text.starts_with(' '), scratch, out)?;
    }
    Ok(())
}

/// As [`encode_bytes`], by one splitter, with a space in front if `prefix`.
#[expect(clippy::too_many_arguments, reason = "the state of one text on its way")]
fn encode_run<const LEVEL: u8>(
    bpe: &Bpe,
    splitter: &Splitter,
    segment: &Segment<'_>,
    text: &str,
    skipped: usize,
    prefix: bool,
    scratch: &mut Scratch,
    out: &mut Tokens,
) -> Result<()> {
    let Scratch { boundaries, pieces, prefixed, cache, .. } = scratch;
    let text = if prefix {
        prefixed.clear();
        prefixed.push(' ');
        prefixed.push_str(text);
        prefixed.as_str()
    } else {
        text
    };
    let (first, first_span) = (out.len(), out.spans.len());
    if LEVEL == SPANS && bpe.is_seamless() && splitter.scanner().is_some() {
        // Spans follow from the ids alone: the hot loop, which waits for memory, need not know of them.
        encode_plain::<IDS>(bpe, splitter, text, boundaries, pieces, cache, out)?;
        if segment.alignment.is_none() && !prefix {
            out.append_spans(first, segment.original.start + skipped as u32, |id| bpe.byte_len(id) as u32);
            return Ok(());
        }
        out.append_spans(first, 0, |id| bpe.byte_len(id) as u32);
    } else {
        encode_plain::<LEVEL>(bpe, splitter, text, boundaries, pieces, cache, out)?;
    }
    if LEVEL >= SPANS {
        to_original(segment, skipped, prefix, &mut out.spans[first_span..]);
    }
    Ok(())
}

/// The hot loop's frame: pieces by a scanner, some hundred at a time, or by the generic splitter.
#[inline(always)]
fn encode_plain<const LEVEL: u8>(
    bpe: &Bpe,
    splitter: &Splitter,
    text: &str,
    boundaries: &mut Boundaries,
    pieces: &mut Vec<Span>,
    cache: &mut CacheHandle,
    out: &mut Tokens,
) -> Result<()> {
    if splitter.scanner().is_none() {
        splitter.split(text, pieces)?;
    }
    // The new words of several stretches together, unless the caller takes those of several texts.
    let fills = LEVEL == IDS && cache.leaves_open() == Open::No;
    if fills {
        cache.leave_open(Open::Stretches);
    }
    if let Some(scanner) = splitter.scanner() {
        let isa = kernels::isa();
        let mut at = 0;
        while at < text.len() {
            let start = at;
            at = scanner.harvest(isa, text, start, boundaries);
            bpe.encode_pieces::<LEVEL>(text.as_bytes(), start, boundaries.ends(), cache, out);
        }
    } else {
        for piece in pieces {
            bpe.encode_pieces::<LEVEL>(text.as_bytes(), piece.start as usize, &[piece.end], cache, out);
        }
    }
    if fills {
        bpe.fill(cache, out, &mut []);
        cache.leave_open(Open::No);
    }
    Ok(())
}

/// Spans of a segment's text, in bytes, to spans of the input, in bytes.
fn to_original(segment: &Segment<'_>, skipped: usize, prefix: bool, spans: &mut [[u32; 2]]) {
    let (skipped, prefix) = (skipped as u32, u32::from(prefix));
    let base = segment.original.start + skipped;
    if base == 0 && prefix == 0 && segment.alignment.is_none() {
        return;
    }
    let first_char = segment.text[skipped as usize..].chars().next().map_or(0, |c| c.len_utf8() as u32);
    let mut cursor = 0;
    for span in spans {
        // The prefixed space takes the place of the first character, as when the reference inserts it.
        let [start, end] = match *span {
            [0, 1] if prefix == 1 => [0, first_char],
            other => other.map(|at| at.saturating_sub(prefix)),
        };
        *span = match &segment.alignment {
            None => [base + start, base + end],
            Some(alignment) if start < end => {
                let (start, end) = ((skipped + start) as usize, (skipped + end) as usize);
                let Span { start, end } = alignment.original(&segment.text, start, end, &mut cursor);
                [start, end]
            }
            Some(alignment) => {
                let at = (skipped + start) as usize;
                let next = segment.text[at..].chars().next().map_or(0, char::len_utf8);
                let at = match next {
                    0 => segment.original.end,
                    next => alignment.original(&segment.text, at, at + next, &mut cursor).start,
                };
                [at, at]
            }
        };
    }
}
