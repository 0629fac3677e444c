//! The words of a text as the model would see them, for training.

use super::{Scratch, Tokenizer};
use crate::{
    Result, added_vocabulary::Segment, encoding::IDS, kernels, pre_tokenizers::Splitter,
    unicode::byte_chars::BYTE_CHARS,
};

/// A word on its way to a trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'t> {
    /// Still to be spelled by [`Tokenizer::spell`], once for all its occurrences.
    Raw(&'t str),
    /// As the vocabulary would have it.
    Spelled(&'t str),
}

impl Tokenizer {
    /// Hands the words of a text to `take`, in order: normalized and split as for the model. An added token is a word like
    /// any other, as in the reference.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn for_each_word(&self, text: &str, mut take: impl FnMut(Word<'_>)) -> Result<()> {
        Scratch::with(|scratch| {
            let mut segments = Vec::new();
            self.segments::<IDS>(text, &mut segments)?;
            segments.iter().try_for_each(|segment| self.words_of_segment(segment, scratch, &mut take))
        })
    }

    /// Appends a raw word to `out` as the vocabulary spells it.
    pub fn spell(&self, word: &str, out: &mut String) {
        if self.splitter().is_some_and(|splitter| splitter.byte_level) {
            out.extend(word.bytes().map(|byte| BYTE_CHARS[usize::from(byte)]));
        } else {
            out.push_str(word);
        }
    }

    fn words_of_segment(
        &self,
        segment: &Segment<'_>,
        scratch: &mut Scratch,
        take: &mut impl FnMut(Word<'_>),
    ) -> Result<()> {
        let text = segment.text.as_ref();
        if segment.token.is_some() {
            take(Word::Spelled(text));
            return Ok(());
        }
        let Some(splitter) = self.splitter().filter(|_| !segment.starts_inserted()) else {
            let pieces = self.pieces::<IDS>(segment, scratch)?;
            pieces.pieces().iter().for_each(|piece| take(Word::Spelled(&pieces.text()[piece.text.range()])));
            return Ok(());
        };
        let Some(each) = &splitter.each else {
            return words_of_run(splitter, text, splitter.add_prefix_space, scratch, take);
        };
        let mut pieces = Vec::new();
        splitter.split(text, &mut pieces)?;
        pieces.into_iter().try_for_each(|piece| words_of_run(each, &text[piece.range()], true, scratch, take))
    }
}

/// The words of a text, which first gets a space in front if it has none and `prefix` says so.
fn words_of_run(
    splitter: &Splitter,
    text: &str,
    prefix: bool,
    scratch: &mut Scratch,
    take: &mut impl FnMut(Word<'_>),
) -> Result<()> {
    let Scratch { boundaries, pieces, prefixed, .. } = scratch;
    let text = if prefix && !text.starts_with(' ') {
        prefixed.clear();
        prefixed.push(' ');
        prefixed.push_str(text);
        prefixed.as_str()
    } else {
        text
    };
    if let Some(scanner) = splitter.scanner() {
        let isa = kernels::isa();
        let mut at = 0;
        while at < text.len() {
            let mut start = at;
            at = scanner.harvest(isa, text, start, boundaries);
            for &end in boundaries.ends() {
                take(Word::Raw(&text[start..end as usize]));
                start = end as usize;
            }
        }
    } else {
        splitter.split(text, pieces)?;
        for piece in pieces {
            take(Word::Raw(&text[piece.range()]));
        }
    }
    Ok(())
}
