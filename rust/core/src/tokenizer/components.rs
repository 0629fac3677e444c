//! A component run by itself, as a person does who wants to see what it does.

use std::borrow::Cow;

use super::encode::to_characters;
use crate::{
    PreTokenizer, Result, Span,
    pre_tokenizers::{CutScratch, Pieces, Steps},
};

/// The pieces into which a pre-tokenizer cuts a text, with the characters that each stands for.
///
/// # Errors
/// [`crate::Error::Regex`] for a pattern that does not compile, [`crate::Error::RegexSearch`] when the engine gives up.
pub fn pre_tokenize(pre_tokenizer: &PreTokenizer, text: &str) -> Result<Vec<(String, [u32; 2])>> {
    let steps = Steps::compile(Some(pre_tokenizer))?;
    let mut pieces = Pieces::new(Cow::Borrowed(text), Span::new(0, text.len()), None, true);
    steps.run(&mut pieces, &mut CutScratch::default())?;
    let mut spans: Vec<_> = pieces.pieces().iter().map(|piece| [piece.original.start, piece.original.end]).collect();
    to_characters(text, &mut spans);
    let texts = pieces.pieces().iter().map(|piece| pieces.text()[piece.text.range()].to_owned());
    Ok(texts.zip(spans).collect())
}
