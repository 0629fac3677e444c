//! Byte-level BPE as its definition reads: split by the pattern, then join the pair of lowest rank until none is left.

use std::collections::HashMap;

use onig::Regex;
use penstock::TokenId;
use serde_json::Value;

/// The pattern of `ByteLevel`'s `use_regex`.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// A slow tokenizer for text without added tokens; it knows no normalizer.
pub struct Naive {
    patterns: Vec<Regex>,
    vocab: HashMap<String, TokenId>,
    tokens: HashMap<TokenId, String>,
    ranks: HashMap<(String, String), usize>,
    ignore_merges: bool,
    alphabet: Vec<char>,
}

impl Naive {
    /// Reads the parts of a tokenizer.json that matter here.
    pub fn new(json: &Value) -> Self {
        let model = &json["model"];
        let vocab: HashMap<String, TokenId> = serde_json::from_value(model["vocab"].clone()).expect("a vocabulary");
        let merges = model["merges"].as_array().expect("merges");
        Self {
            patterns: patterns(&json["pre_tokenizer"]).iter().map(|p| Regex::new(p).expect("a pattern")).collect(),
            tokens: vocab.iter().map(|(token, &id)| (id, token.clone())).collect(),
            vocab,
            // The first of two equal pairs counts.
            ranks: merges.iter().enumerate().rev().map(|(rank, merge)| (pair(merge), rank)).collect(),
            ignore_merges: model["ignore_merges"].as_bool().unwrap_or(false),
            alphabet: alphabet(),
        }
    }

    /// Ids of a text.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut pieces = vec![text];
        for pattern in &self.patterns {
            pieces = pieces.into_iter().flat_map(|piece| isolated(pattern, piece)).collect();
        }
        pieces.into_iter().flat_map(|piece| self.encode_piece(piece)).collect()
    }

    /// Text of ids.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        let byte = |c| self.alphabet.iter().position(|&each| each == c).expect("a byte") as u8;
        let bytes: Vec<u8> = ids.iter().flat_map(|id| self.tokens[id].chars().map(byte)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn encode_piece(&self, piece: &str) -> Vec<TokenId> {
        let mut symbols: Vec<String> = piece.bytes().map(|b| self.alphabet[usize::from(b)].to_string()).collect();
        if self.ignore_merges
            && let Some(&id) = self.vocab.get(&symbols.concat())
        {
            return vec![id];
        }
        while let Some((_, i)) = (1..symbols.len()).filter_map(|i| Some((self.rank(&symbols, i)?, i))).min() {
            let right = symbols.remove(i);
            symbols[i - 1].push_str(&right);
        }
        symbols.iter().map(|symbol| self.vocab[symbol]).collect()
    }

    fn rank(&self, symbols: &[String], i: usize) -> Option<usize> {
        self.ranks.get(&(symbols[i - 1].clone(), symbols[i].clone())).copied()
    }
}

/// The split patterns of a pre-tokenizer, in order.
fn patterns(pre_tokenizer: &Value) -> Vec<String> {
    match pre_tokenizer["type"].as_str() {
        Some("Sequence") => {
            pre_tokenizer["pretokenizers"].as_array().expect("a list").iter().flat_map(patterns).collect()
        }
        Some("Split") => vec![pre_tokenizer["pattern"]["Regex"].as_str().expect("a pattern").to_owned()],
        Some("ByteLevel") if pre_tokenizer["use_regex"].as_bool().unwrap_or(true) => vec![GPT2.to_owned()],
        _ => Vec::new(),
    }
}

/// Matches and what lies between them.
fn isolated<'t>(pattern: &Regex, text: &'t str) -> Vec<&'t str> {
    let mut ends = Vec::new();
    for (start, end) in pattern.find_iter(text) {
        ends.extend([start, end]);
    }
    ends.push(text.len());
    let mut last = 0;
    let spans = ends.into_iter().map(|end| &text[std::mem::replace(&mut last, end)..end]);
    spans.filter(|piece| !piece.is_empty()).collect()
}

/// A merge, written as a pair or as a string.
fn pair(merge: &Value) -> (String, String) {
    let parts: Vec<&str> = match merge {
        Value::String(text) => text.split(' ').collect(),
        other => other.as_array().expect("a pair").iter().filter_map(Value::as_str).collect(),
    };
    (parts[0].to_owned(), parts[1].to_owned())
}

/// GPT-2's printable stand-in for each byte.
fn alphabet() -> Vec<char> {
    let printable = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    let mut stand_in = |b: u32| {
        if printable(b) {
            b
        } else {
            next += 1;
            next - 1
        }
    };
    (0..256).map(|b| char::from_u32(stand_in(b)).expect("a character")).collect()
}
