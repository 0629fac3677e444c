//! Texts: files of the shared corpora, or words drawn from a seed.

use std::fs;

use super::{SIZES, fixtures};

/// A text of the largest size, from which shorter ones are cut.
pub struct Text {
    /// Name in the report.
    pub name: &'static str,
    /// The text.
    pub text: String,
}

impl Text {
    /// The first `size` bytes, or a few fewer to end on a whole character.
    pub fn prefix(&self, size: usize) -> &str {
        prefix(&self.text, size)
    }
}

/// The longest prefix of whole characters within `size` bytes.
pub fn prefix(text: &str, size: usize) -> &str {
    &text[..text.floor_char_boundary(size)]
}

/// English, code and many scripts, and the two kinds of hostile text: no breaks, nothing but breaks.
pub fn texts() -> Vec<Text> {
    let size = SIZES[SIZES.len() - 1];
    let mut texts: Vec<Text> = [
        ("english", "the of water mill and wheel turns in stone it's running, down hill.\n"),
        ("code_mixed", "    if (x_1 != 0) { return foo[i + 1]; } // done\n\tlet mut n: u32 = 42;\n"),
        ("multilingual", "река течёт вниз. 河从山上流下来 नदी पहाड़ियों से 강은 언덕에서 النهر من التلال 川は丘から "),
    ]
    .into_iter()
    .map(|(name, words)| Text { name, text: corpus(name, size).unwrap_or_else(|| shuffled(words, size)) })
    .collect();
    texts.push(Text { name: "one letter", text: "a".repeat(size) });
    texts.push(Text { name: "spaces", text: " ".repeat(size) });
    texts
}

/// The beginning of a file of the corpora, literal special tokens broken up.
fn corpus(name: &str, size: usize) -> Option<String> {
    let bytes = fs::read(fixtures()?.join("corpora").join(format!("{name}.txt"))).ok()?;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2 * size)]).replace("<|", "< |");
    Some(prefix(&text, size).to_owned())
}

/// Words of a sentence in random order, with a suffix now and then, so that not every word is the same few.
fn shuffled(words: &str, size: usize) -> String {
    let words: Vec<&str> = words.split_inclusive(' ').collect();
    let mut text = String::with_capacity(size + 64);
    let mut state = 1_u64;
    while text.len() < size {
        // A linear congruential generator (Knuth's constants): any stream will do, as long as it is the same one.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as usize;
        text.push_str(words[draw % words.len()]);
        if draw.is_multiple_of(16) {
            text.extend([char::from(b'a' + (draw / 16 % 26) as u8), char::from(b'a' + (draw / 416 % 26) as u8), ' ']);
        }
    }
    prefix(&text, size).to_owned()
}
