use serde::{Deserialize, Serialize};

use crate::encoding::Encoding;
use crate::ids::TokenId;

/// Byte-level BPE keeps the blank before a word inside the token; this takes it out of the offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ByteLevel {
    /// The pre-tokenizer may have put a blank before the first word, which is no part of the text.
    pub add_prefix_space: bool,
    /// Whether to do anything at all.
    pub trim_offsets: bool,
    /// Of no effect here; the component is the same as the pre-tokenizer in the file format.
    #[serde(default = "yes")]
    pub use_regex: bool,
}

fn yes() -> bool {
    true
}

impl ByteLevel {
    pub(super) fn process<'v>(
        self,
        mut encodings: Vec<Encoding>,
        token: &dyn Fn(TokenId) -> Option<&'v str>,
    ) -> Vec<Encoding> {
        for (index, encoding) in encodings.iter_mut().enumerate() {
            if self.trim_offsets {
                trim_offsets(encoding, self.add_prefix_space, token);
            }
            encoding.set_sequence_id(index);
        }
        encodings
    }
}

/// Takes the blanks that tokens begin and end with out of their offsets, also in the parts that were cut off.
pub(super) fn trim_offsets<'v>(
    encoding: &mut Encoding,
    add_prefix_space: bool,
    token: &dyn Fn(TokenId) -> Option<&'v str>,
) {
    let mut texts = encoding.token_texts.iter().peekable();
    for (index, (&id, offsets)) in encoding.ids.iter().zip(&mut encoding.offsets).enumerate() {
        let text = match texts.next_if(|(position, _)| *position as usize == index) {
            Some((_, text)) => Some(&**text),
            None => token(id),
        };
        trim_blanks(offsets, blanks(text.unwrap_or_default()), index == 0, add_prefix_space);
    }
    for part in &mut encoding.overflowing {
        trim_offsets(part, add_prefix_space, token);
    }
}

/// How many blanks a token begins and ends with, in the byte-level alphabet (where the space is `Ġ`) or as they are.
pub fn blanks(token: &str) -> (u32, u32) {
    // Nearly every token begins with `Ġ` or a visible ASCII character and ends with the latter.
    let visible = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let is_blank = |character: &char| *character == 'Ġ' || character.is_whitespace();
    let bytes = token.as_bytes();
    let leading = if visible(bytes.first()) { 0 } else { token.chars().take_while(is_blank).count() };
    let trailing = if visible(bytes.last()) { 0 } else { token.chars().rev().take_while(is_blank).count() };
    (leading as u32, trailing as u32)
}

/// Takes `(leading, trailing)` blanks out of the offsets of a token. `is_first`: it is the first token of its encoding.
pub fn trim_blanks(offsets: &mut (u32, u32), (leading, trailing): (u32, u32), is_first: bool, add_prefix_space: bool) {
    // A single blank before the first word was added by the pre-tokenizer and never had a place in the text. With
    // pre-tokenized input every word starts at 0, so the reference tests for that as well.
    let added = add_prefix_space && leading == 1 && (is_first || offsets.0 == 0);
    if leading > 0 && !added {
        offsets.0 = (offsets.0 + leading).min(offsets.1);
    }
    if trailing > 0 && offsets.1 >= trailing {
        offsets.1 = (offsets.1 - trailing).max(offsets.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_blanks_at_both_ends() {
        for (token, expected) in [
            ("", (0, 0)),
            ("Ġ", (1, 1)),
            ("ĠĠthe", (2, 0)),
            ("the", (0, 0)),
            (" <mask>\u{3000}", (1, 1)),
            ("éĠ", (0, 1)),
            ("Ċ", (0, 0)),
        ] {
            assert_eq!(blanks(token), expected, "{token:?}");
        }
    }

    #[test]
    fn keeps_the_blank_that_was_never_in_the_text() {
        for (offsets, token, first, add, expected) in [
            ((0, 3), "Ġthe", true, true, (0, 3)),
            ((0, 4), "Ġthe", true, false, (1, 4)),
            ((0, 4), "Ġthe", false, true, (0, 4)),
            ((3, 7), "Ġthe", false, true, (4, 7)),
            ((0, 5), "ĠĠthe", true, true, (2, 5)),
            ((2, 4), "ĠĠ", false, false, (4, 4)),
            ((0, 1), "ĠĠ", true, true, (1, 1)),
        ] {
            let mut found = offsets;
            trim_blanks(&mut found, blanks(token), first, add);
            assert_eq!(found, expected, "{token:?} at {offsets:?}");
        }
    }
}
