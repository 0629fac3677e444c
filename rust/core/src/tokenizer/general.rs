//! The general path: any pre-tokenizer and any model, exactly as the reference does it.

use std::borrow::Cow;

use super::{Tokenizer, encode::Scratch};
use crate::{
    Result,
    added_vocabulary::Segment,
    encoding::{SPANS, Tokens},
    models::{Model, ModelScratch},
    pre_tokenizers::{CutScratch, Pieces, Steps},
};

impl Tokenizer {
    /// Encodes a segment that is no added token.
    pub(super) fn encode_any<const LEVEL: u8>(
        &self,
        segment: &Segment<'_>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let Scratch { cut, model, .. } = scratch;
        encode_with::<LEVEL>(&self.inner.steps, &self.inner.model, segment, cut, model, out)
    }

    /// A segment cut and rewritten by the pre-tokenizers.
    pub(super) fn pieces<'s, const LEVEL: u8>(
        &self,
        segment: &'s Segment<'_>,
        scratch: &mut Scratch,
    ) -> Result<Pieces<'s>> {
        pieces::<LEVEL>(&self.inner.steps, segment, &mut scratch.cut)
    }
}

fn pieces<'s, const LEVEL: u8>(
    steps: &Steps,
    segment: &'s Segment<'_>,
    scratch: &mut CutScratch,
) -> Result<Pieces<'s>> {
    let track = LEVEL >= SPANS || steps.need_originals() || segment.starts_inserted();
    let text = Cow::Borrowed(segment.text.as_ref());
    let mut pieces = Pieces::new(text, segment.original, segment.alignment.clone(), track);
    steps.run(&mut pieces, scratch)?;
    Ok(pieces)
}

/// Pre-tokenizers cut and rewrite a segment, the model sees piece by piece, and the alignment says where in the input its
/// tokens lie.
pub(super) fn encode_with<const LEVEL: u8>(
    steps: &Steps,
    model: &Model,
    segment: &Segment<'_>,
    cut: &mut CutScratch,
    scratch: &mut ModelScratch,
    out: &mut Tokens,
) -> Result<()> {
    let pieces = pieces::<LEVEL>(steps, segment, cut)?;
    let mut cursor = 0;
    for &piece in pieces.pieces() {
        let first = out.spans.len();
        model.encode_piece::<LEVEL>(&pieces.text()[piece.text.range()], 0, scratch, out)?;
        if LEVEL >= SPANS {
            let Tokens { spans, odd_spans, .. } = out;
            for (index, span) in spans.iter_mut().enumerate().skip(first) {
                *span = pieces.original(piece, *span, &mut cursor).unwrap_or_else(|odd| {
                    odd_spans.push((index as u32, odd));
                    [0, 0]
                });
            }
        }
    }
    Ok(())
}
