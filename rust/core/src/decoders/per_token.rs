//! Decoders that turn each token into text by itself: their output is a table of the vocabulary, put together.

use std::borrow::Cow;

use super::byte_fallback::byte_of;
use super::{Decoder, Strip};
use crate::error::Result;

/// Where a token stands; some decoders treat the first or the last differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// No token before it.
    pub is_first: bool,
    /// No token behind it.
    pub is_last: bool,
}

/// A decoder taken apart: what happens to each token, then to bytes in a row, then to the whole text.
#[derive(Debug, Default)]
pub struct PerToken<'d> {
    tokens: Vec<&'d Decoder>,
    /// Tokens like `<0x0A>` are bytes of characters that several of them make up.
    byte_fallback: bool,
    fused: bool,
    /// What is stripped off the whole text.
    pub strips: Vec<&'d Strip>,
}

impl Decoder {
    /// This decoder taken apart. None: tokens depend on each other in other ways.
    pub fn per_token(&self) -> Option<PerToken<'_>> {
        let mut parts = PerToken::default();
        parts.add(self)?;
        Some(parts)
    }
}

impl<'d> PerToken<'d> {
    fn add(&mut self, decoder: &'d Decoder) -> Option<()> {
        match decoder {
            Decoder::Sequence { decoders } => return decoders.iter().try_for_each(|decoder| self.add(decoder)),
            Decoder::Fuse => self.fused = true,
            Decoder::Strip(strip) if self.fused => self.strips.push(strip),
            Decoder::ByteFallback if !self.fused && !self.byte_fallback => self.byte_fallback = true,
            Decoder::Bpe(_)
            | Decoder::WordPiece(_)
            | Decoder::Metaspace(_)
            | Decoder::Replace(_)
            | Decoder::Strip(_)
                if !self.fused && !self.byte_fallback =>
            {
                self.tokens.push(decoder);
            }
            _ => return None,
        }
        Some(())
    }

    /// The text of a token.
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn text<'t>(&self, token: &'t str, place: Place) -> Result<Cow<'t, str>> {
        self.tokens.iter().try_fold(Cow::Borrowed(token), |token, decoder| match decoder {
            Decoder::Bpe(bpe) => Ok(bpe.decode(token, place.is_last)),
            Decoder::WordPiece(wordpiece) => Ok(wordpiece.decode(token, place.is_first)),
            Decoder::Metaspace(metaspace) => Ok(metaspace.decode(token, place.is_first)),
            Decoder::Replace(replace) => replace.decode(token),
            Decoder::Strip(strip) => Ok(strip.decode(token)),
            _ => Ok(token),
        })
    }

    /// The byte that a token's text stands for, if bytes are made of such texts.
    pub fn byte(&self, text: &str) -> Option<u8> {
        if self.byte_fallback { byte_of(text) } else { None }
    }
}
