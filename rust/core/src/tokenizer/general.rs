//! The general path: any pre-tokenizer and any model, exactly as the reference does it.

use std::borrow::Cow;

use super::{Tokenizer, encode::Scratch};
use crate::{
    Result,
    added_vocabulary::Segment,
    encoding::{SPANS, Tokens},
    pre_tokenizers::Pieces,
};

impl Tokenizer {
    /// Encodes a segment that is no added token: pre-tokenizers cut and rewrite it, the model sees piece by piece, and the
    /// alignment says where in the input its tokens lie.
    pub(super) fn encode_any<const LEVEL: u8>(
        &self,
        segment: &Segment<'_>,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let pieces = self.pieces::<LEVEL>(segment, scratch)?;
        let mut cursor = 0;
        for &piece in pieces.pieces() {
            let first = out.spans.len();
            self.inner.model.encode_piece::<LEVEL>(&pieces.text()[piece.text.range()], 0, &mut scratch.model, out)?;
            if LEVEL >= SPANS {
                for span in &mut out.spans[first..] {
                    *span = pieces.original(piece, *span, &mut cursor);
                }
            }
        }
        Ok(())
    }

    /// A segment cut and rewritten by the pre-tokenizers.
    pub(super) fn pieces<'s, const LEVEL: u8>(
        &self,
        segment: &'s Segment<'_>,
        scratch: &mut Scratch,
    ) -> Result<Pieces<'s>> {
        let track = LEVEL >= SPANS || self.inner.steps.need_originals() || segment.starts_inserted();
        let text = Cow::Borrowed(segment.text.as_ref());
        let mut pieces = Pieces::new(text, segment.original, segment.alignment.clone(), track);
        self.inner.steps.run(&mut pieces, &mut scratch.cut)?;
        Ok(pieces)
    }
}
