//! Rank files of tiktoken: one token per line, in base64, and its rank.
//!
//! A rank file has no list of merges: any two neighbours merge when their join is a token, the lowest rank first. Written as
//! merges that is every way to cut a token in two tokens, ordered by the token's rank and then by the ranks of the parts, as
//! transformers' `TikTokenConverter` writes them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::added_vocabulary::AddedToken;
use crate::decoders::{self, Decoder};
use crate::error::{Error, Result};
use crate::ids::TokenId;
use crate::models::Model;
use crate::models::bpe::{Bpe, BpeConfig, Merge};
use crate::post_processors::{ByteLevel, PostProcessor};
use crate::pre_tokenizers::PreTokenizer;
use crate::tokenizer::{Configs, TokenizerParts};
use crate::unicode::byte_chars::BYTE_CHARS;
use crate::vocab::{MAX_TOKEN_ID, Vocab};

/// What a rank file does not say: how text is split, and the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Name, as in tiktoken.
    pub name: &'static str,
    /// The pattern whose matches are the pieces of a text.
    pub pattern: &'static str,
    /// Special tokens and their ids.
    pub special_tokens: &'static [(&'static str, TokenId)],
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
);
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// The public encodings, with patterns written as their conversions to tokenizer.json have them.
pub const ENCODINGS: [Encoding; 4] = [
    Encoding { name: "r50k_base", pattern: GPT2, special_tokens: &[("<|endoftext|>", 50256)] },
    Encoding { name: "p50k_base", pattern: GPT2, special_tokens: &[("<|endoftext|>", 50256)] },
    Encoding {
        name: "cl100k_base",
        pattern: CL100K,
        special_tokens: &[
            ("<|endoftext|>", 100_257),
            ("<|fim_prefix|>", 100_258),
            ("<|fim_middle|>", 100_259),
            ("<|fim_suffix|>", 100_260),
            ("<|endofprompt|>", 100_276),
        ],
    },
    Encoding {
        name: "o200k_base",
        pattern: O200K,
        special_tokens: &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
    },
];

/// The public encoding of a name.
pub fn encoding(name: &str) -> Option<&'static Encoding> {
    ENCODINGS.iter().find(|encoding| encoding.name == name)
}

/// Reads the content of a rank file, for the given pattern and special tokens.
///
/// Unlike the added tokens of a tokenizer.json, special tokens keep the ids given, also behind a gap.
///
/// # Errors
/// [`Error::Schema`] with the line for a line that is not a token and a rank, for a token or rank that comes twice, for a
/// special token that collides with another token, and for a byte that is no token; [`Error::Limit`] for a rank or id beyond
/// [`MAX_TOKEN_ID`]; [`Error::Regex`] for the pattern.
pub fn parse(bytes: &[u8], pattern: &str, special_tokens: &[(String, TokenId)]) -> Result<TokenizerParts> {
    let config = read(bytes)?;
    let added_tokens = numbered(&config.vocab, special_tokens)?;
    let pre_tokenizer = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": atomic_intervals(pattern)}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    let byte_level = ByteLevel { add_prefix_space: true, trim_offsets: false, use_regex: true };
    Ok(TokenizerParts {
        normalizer: None,
        pre_tokenizer: Some(PreTokenizer::from_config(&pre_tokenizer, "pre_tokenizer")?),
        model: Arc::new(Model::Bpe(Box::new(Bpe::new(config)?))),
        post_processor: Some(PostProcessor::ByteLevel(byte_level)),
        decoder: Some(Decoder::ByteLevel(decoders::ByteLevel::default())),
        added_tokens,
        truncation: None,
        padding: None,
        configs: Configs { normalizer: Value::Null, pre_tokenizer },
    })
}

/// A pattern in tiktoken's dialect for an engine with Ruby's: there `{1,3}+` is no possessive interval but a repeated one,
/// so `X{1,3}+` becomes `(?>X{1,3})`. What else tiktoken's own patterns use means the same in both.
fn atomic_intervals(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    // Where the last atom and the groups around it begin in `out`.
    let (mut atom, mut groups) = (0, Vec::new());
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let interval = interval_len(rest);
        let len = match first {
            '\\' => escape_len(rest),
            '[' => class_len(rest),
            _ if interval > 0 => interval,
            other => other.len_utf8(),
        };
        match first {
            '(' => groups.push(out.len()),
            ')' => atom = groups.pop().unwrap_or(atom),
            '*' | '+' | '?' => {}
            _ if interval > 0 => {}
            _ => atom = out.len(),
        }
        out.push_str(&rest[..len]);
        rest = &rest[len..];
        if interval > 0 && rest.starts_with('+') {
            out.insert_str(atom, "(?>");
            out.push(')');
            rest = &rest[1..];
        }
    }
    out
}

/// Length of the `{1,3}` that the pattern begins with, or 0.
fn interval_len(pattern: &str) -> usize {
    let Some((inside, _)) = pattern.strip_prefix('{').and_then(|inside| inside.split_once('}')) else { return 0 };
    let is_interval =
        inside.starts_with(|c: char| c.is_ascii_digit()) && !inside.contains(|c| !matches!(c, '0'..='9' | ','));
    if is_interval { inside.len() + 2 } else { 0 }
}

/// Length of the escape that the pattern begins with: `\n`, `\p{Lu}`, `\x{2028}`.
fn escape_len(pattern: &str) -> usize {
    let mut chars = pattern.char_indices().skip(1);
    let Some((at, kind)) = chars.next() else { return pattern.len() };
    let end = at + kind.len_utf8();
    if matches!(kind, 'p' | 'P' | 'x' | 'u') && pattern[end..].starts_with('{') {
        return pattern[end..].find('}').map_or(pattern.len(), |close| end + close + 1);
    }
    end
}

/// Length of the class that the pattern begins with, classes within it included.
fn class_len(pattern: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while let Some(c) = pattern[at..].chars().next() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        at += if c == '\\' { escape_len(&pattern[at..]) } else { c.len_utf8() };
        if depth == 0 {
            break;
        }
    }
    at
}

fn read(bytes: &[u8]) -> Result<BpeConfig> {
    let vocab = read_ranks(bytes)?;
    Ok(BpeConfig {
        merges: merges(&vocab),
        vocab,
        unk_token: None,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: true,
        continuing_subword_prefix: None,
        end_of_word_suffix: None,
        dropout: None,
    })
}

/// Special tokens keep the ids they are given, behind a gap or not, and stay out of the model: only a rank is merged into.
fn numbered(vocab: &Vocab, special_tokens: &[(String, TokenId)]) -> Result<Vec<(Option<TokenId>, AddedToken)>> {
    let mut numbered = Vec::with_capacity(special_tokens.len());
    for (index, (content, id)) in special_tokens.iter().enumerate() {
        let fail = |message: String| Err(Error::Schema { path: format!("special token {content:?}"), message });
        check_id(*id)?;
        if content.is_empty() {
            return fail("is empty".to_owned());
        }
        let before = special_tokens[..index].iter().find(|(other, other_id)| other == content || other_id == id);
        if let Some(other) =
            before.map(|(other, _)| other.as_str()).or_else(|| vocab.token(*id).filter(|other| other != content))
        {
            return fail(format!("its id {id} or its text is that of {other:?}"));
        }
        if let Some(other) = vocab.id(content).filter(|other| other != id) {
            return fail(format!("is a token already, with the id {other}"));
        }
        numbered.push((Some(*id), AddedToken::new(content, true)));
    }
    Ok(numbered)
}

fn check_id(id: TokenId) -> Result<()> {
    if id > MAX_TOKEN_ID {
        return Err(Error::Limit { what: "token id", found: id as usize, limit: MAX_TOKEN_ID as usize });
    }
    Ok(())
}

/// The tokens, in the byte-level alphabet, and their ranks.
fn read_ranks(bytes: &[u8]) -> Result<Vocab> {
    // A line takes some 17 bytes, 5 to 7 of them for the rank.
    let mut vocab = Vocab::with_capacity(bytes.len() / 16, bytes.len() / 2);
    let (mut decoded, mut token) = (Vec::new(), String::new());
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let fail = |message: String| Error::Schema { path: format!("line {}", index + 1), message };
        let space =
            memchr::memchr(b' ', line).ok_or_else(|| fail("expected a token, a space and a rank".to_owned()))?;
        decoded.clear();
        STANDARD.decode_vec(&line[..space], &mut decoded).map_err(|error| fail(format!("base64: {error}")))?;
        let rank = std::str::from_utf8(&line[space + 1..]).ok().and_then(|rank| rank.parse().ok());
        let rank: TokenId = rank.ok_or_else(|| fail("the rank is not a number from 0 to 4294967295".to_owned()))?;
        check_id(rank)?;
        token.clear();
        token.extend(decoded.iter().map(|&byte| BYTE_CHARS[byte as usize]));
        if token.is_empty() {
            return Err(fail("the token is empty".to_owned()));
        }
        if let Some(other) = vocab.token(rank) {
            return Err(fail(format!("rank {rank} is that of {other:?} already")));
        }
        if let Some(other) = vocab.insert(&token, rank) {
            return Err(fail(format!("token {token:?} has rank {other} already")));
        }
    }
    let missing = (0..=255u8).find(|&byte| vocab.id(BYTE_CHARS[byte as usize].encode_utf8(&mut [0; 4])).is_none());
    match missing {
        None => Ok(vocab),
        Some(byte) => {
            let message = format!("the byte 0x{byte:02x} is no token, so not every text can be encoded");
            Err(Error::Schema { path: "ranks".to_owned(), message })
        }
    }
}

/// Every way to cut a token in two, by the rank of the token and then of the parts.
fn merges(vocab: &Vocab) -> Vec<Merge> {
    let mut merges = Vec::with_capacity(vocab.len() * 2);
    for result in 0..vocab.id_bound() as TokenId {
        let Some(token) = vocab.token(result) else { continue };
        let first = merges.len();
        for (middle, _) in token.char_indices().skip(1) {
            // The shorter part is the likelier token, so the longer one decides and is looked up first.
            let (left, right) = token.split_at(middle);
            let (longer, shorter) = if left.len() < right.len() { (right, left) } else { (left, right) };
            let Some(longer_id) = vocab.id(longer) else { continue };
            let Some(shorter_id) = vocab.id(shorter) else { continue };
            let (left, right) =
                if left.len() < right.len() { (shorter_id, longer_id) } else { (longer_id, shorter_id) };
            merges.push(Merge { left, right, result });
        }
        merges[first..].sort_unstable_by_key(|merge| (merge.left, merge.right));
    }
    merges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;

    /// A rank file of all bytes, in byte order, and the given tokens after them.
    fn ranks(tokens: &[&str]) -> String {
        let bytes = (0..=255u8).map(|byte| vec![byte]);
        let all = bytes.chain(tokens.iter().map(|token| token.as_bytes().to_vec()));
        all.enumerate().map(|(rank, token)| STANDARD.encode(token) + &format!(" {rank}\n")).collect()
    }

    #[test]
    fn cuts_every_token_in_all_ways() {
        let file = ranks(&["aa", " a", "aaa", " aa"]).replace('\n', "\r\n\r\n");
        let config = read(file.as_bytes()).unwrap();
        assert_eq!((config.vocab.len(), config.vocab.id("Ġaa"), config.vocab.token(0)), (260, Some(259), Some("Ā")));
        let merges: Vec<_> = config.merges.iter().map(|merge| (merge.left, merge.right, merge.result)).collect();
        assert_eq!(
            merges,
            [(97, 97, 256), (32, 97, 257), (97, 256, 258), (256, 97, 258), (32, 256, 259), (257, 97, 259)]
        );
        assert!(config.ignore_merges);
    }

    #[test]
    fn possessive_intervals_stay_possessive() {
        for (pattern, expected) in [
            (r"\p{N}{1,3}+| ?\p{L}++", r"(?>\p{N}{1,3})| ?\p{L}++"),
            (r"a[^\]\p{L}[x]]{2}+b", r"a(?>[^\]\p{L}[x]]{2})b"),
            (r"(a(b|c){1,}+){2,3}+", r"(?>(a(?>(b|c){1,})){2,3})"),
            (r"x\{1,3}+é{2}+", r"x\{1,3}+(?>é{2})"),
            (r"\x{41}{2}+{x}+", r"(?>\x{41}{2}){x}+"),
            (CL100K, CL100K),
            (r"\", r"\"),
            ("[a", "[a"),
            (")a{1}+", ")(?>a{1})"),
        ] {
            assert_eq!(atomic_intervals(pattern), expected);
        }
    }

    #[test]
    fn bad_files_say_where() {
        let all = ranks(&[]);
        for (file, expected) in [
            ("YQ== 1\nYg==\n".to_owned(), "line 2: expected a token, a space and a rank"),
            ("YQ= 1".to_owned(), "line 1: base64: "),
            ("YQ== -1".to_owned(), "line 1: the rank is not a number"),
            ("YQ== 1 2".to_owned(), "line 1: the rank is not a number"),
            ("YQ== 4000000".to_owned(), "token id is 4000000, the limit is 2097151"),
            (format!("{all}YQ== 300"), "line 257: token \"a\" has rank 97 already"),
            (format!("{all}YWI= 97"), "line 257: rank 97 is that of \"a\" already"),
            (format!("{all} 300"), "line 257: expected a token"),
            (all.replacen("YQ== 97\n", "", 1), "ranks: the byte 0x61 is no token"),
            (String::new(), "ranks: the byte 0x00 is no token"),
        ] {
            let error = read(file.as_bytes()).err().unwrap().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn special_tokens_keep_their_ids() {
        let special = |content: &str, id| (content.to_owned(), id);
        let file = ranks(&["ab"]);
        let parts = parse(file.as_bytes(), "[a-z]+", &[special("<|end|>", 300), special("<|pad|>", 290)]).unwrap();
        let tokenizer = Tokenizer::new(parts).unwrap();
        assert_eq!(tokenizer.encode_ids("ab<|end|>ba<|pad|>", true).unwrap(), [256, 300, 98, 97, 290]);
        assert_eq!(tokenizer.decode(&[256, 300], false).unwrap(), "ab<|end|>");
        for (tokens, expected) in [
            ([special("x1", 97), special("<x>", 500)], "special token \"x1\": its id 97 or its text is that of \"a\""),
            (
                [special("<x>", 500), special("<y>", 500)],
                "special token \"<y>\": its id 500 or its text is that of \"<x>\"",
            ),
            ([special("x1", 500), special("ab", 501)], "special token \"ab\": is a token already, with the id 256"),
            ([special("", 301), special("<x>", 500)], "special token \"\": is empty"),
            ([special("<x>", MAX_TOKEN_ID + 1), special("<y>", 1)], "token id is 2097152, the limit is 2097151"),
        ] {
            let error = parse(file.as_bytes(), "[a-z]+", &tokens).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }
}
