//! The beginning of a long text, where only its first tokens are wanted.
//!
//! Truncation on the right, without the parts that it cuts off, looks at nothing behind the first `max_length` tokens but
//! whether there is more. A text is then encoded in pieces, cut where the parts encode to what the whole encodes to, until
//! there are more tokens than that.

use super::{
    Tokenizer,
    chars::CharIndex,
    encode::{Input, Scratch, settle_odd_spans},
};
use crate::{
    Result,
    encoding::{SPANS, Tokens},
};

/// Bytes of a piece for each token that is wanted: most tokens have fewer, so that one piece is mostly enough.
const BYTES_PER_TOKEN: usize = 6;
/// Pieces are no shorter, or finding where to cut them would show.
const SHORTEST_PIECE: usize = 1 << 10;

impl Tokenizer {
    /// Encodes at least the first `enough` tokens of an input, or all of it: no token of these depends on what is left out,
    /// and if something is left out there are more than `enough`. Returns whether something is.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub(super) fn encode_beginning<const LEVEL: u8>(
        &self,
        input: &Input<'_>,
        enough: usize,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<bool> {
        if let Input::Text(text) = input
            && let Some(piece) = self.piece(text, enough)
        {
            return self.encode_pieces_of::<LEVEL>(text, enough, piece, scratch, out);
        }
        self.encode_tokens::<LEVEL>(input, scratch, out).map(|()| false)
    }

    /// Bytes of the pieces in which a text is encoded where its first tokens are `enough`, if it is not encoded as a whole.
    pub(super) fn piece(&self, text: &str, enough: usize) -> Option<usize> {
        let piece = enough.saturating_mul(BYTES_PER_TOKEN).max(SHORTEST_PIECE);
        (text.len() / 2 > piece && self.has_beginnings()).then_some(piece)
    }

    /// Whether texts can be cut, and what is left out can neither fail nor use up random numbers.
    fn has_beginnings(&self) -> bool {
        (self.inner.scanner.is_some() || self.raw_words().is_some()) && self.inner.model.encodes_anything()
    }

    fn encode_pieces_of<const LEVEL: u8>(
        &self,
        text: &str,
        enough: usize,
        piece: usize,
        scratch: &mut Scratch,
        out: &mut Tokens,
    ) -> Result<bool> {
        let start = out.len();
        let mut segments = Vec::new();
        self.segments_to_encode::<LEVEL>(text, &mut segments)?;
        let index = if LEVEL >= SPANS { CharIndex::new(text) } else { None };
        let mut is_cut = false;
        'segments: for segment in &segments {
            for (at, part) in self.parts_of::<LEVEL>(segment, piece)? {
                if out.len() - start > enough {
                    is_cut = true;
                    break 'segments;
                }
                self.encode_part::<LEVEL>(segment, part, at, index.as_ref(), scratch, out)?;
            }
        }
        if LEVEL >= SPANS {
            settle_odd_spans(text, &mut out.odd_spans, &mut out.spans);
        }
        Ok(is_cut)
    }
}
