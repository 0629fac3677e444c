//! What any bytes may go into: each function takes them and must neither panic nor run away.
//!
//! `tests/mutations.rs` feeds them broken versions of the files in `tests/data/mutations`; the targets in `rust/fuzz` feed
//! them what a coverage-guided fuzzer comes up with.

use penstock::{
    Encoding, Input, Normalizer, Tokenizer,
    formats::{sentencepiece, tiktoken},
    normalizers::Precompiled,
    tokenizer::EncodeOptions,
};

/// A tokenizer.json. One that loads encodes and decodes, and what it is written as loads, too.
pub fn tokenizer_json(data: &[u8]) {
    let Ok(tokenizer) = Tokenizer::from_bytes(data) else { return };
    // With dropout no two calls need agree.
    let steady = !data.windows(7).any(|window| window == b"dropout");
    run(&tokenizer, "a ab  abc\u{e9} \u{65e5}\u{672c} <unk>12-3 x\u{301}\n", steady);
    // The file itself is text that it may never have met.
    let text = String::from_utf8_lossy(&data[..data.len().min(600)]);
    run(&tokenizer, &text, steady);
    if let Ok(json) = tokenizer.to_json(false) {
        assert!(Tokenizer::from_bytes(json.as_bytes()).is_ok(), "what was written does not load:\n{json}");
    }
}

/// Text, for one of several tokenizers. The first byte says which.
pub fn text(tokenizers: &[Tokenizer], data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    run(&tokenizers[usize::from(*first) % tokenizers.len()], &String::from_utf8_lossy(rest), false);
}

/// The charsmap of a `Precompiled` normalizer, and a text behind its last zero byte.
pub fn charsmap(data: &[u8]) {
    let Ok(charsmap) = Precompiled::new(data) else { return };
    let text = data.rsplit(|&byte| byte == 0).next().unwrap_or_default();
    for text in [String::from_utf8_lossy(text).as_ref(), "\u{ff21}\u{301}a \u{fb01}\u{1100}\u{1161}\u{ad}\n"] {
        let normalizer = Normalizer::Precompiled(charsmap.clone());
        let plain = normalizer.normalize(text).map(std::borrow::Cow::into_owned);
        let aligned = normalizer.normalize_aligned(text).map(|aligned| aligned.text);
        assert_eq!(plain.ok(), aligned.ok());
    }
}

/// A rank file of tiktoken.
pub fn rank_file(data: &[u8]) {
    let Ok(parts) = tiktoken::parse(data, r"\p{L}+|\s+|[^\p{L}\s]+", &[("<s>".to_owned(), 300)]) else { return };
    if let Ok(tokenizer) = Tokenizer::new(parts) {
        run(&tokenizer, "abc ab <s>\u{e9}", true);
    }
}

/// The `.model` file of `SentencePiece`. One that loads is written and read again, too.
pub fn sentencepiece_model(data: &[u8]) {
    let Ok(parts) = sentencepiece::parse(data) else { return };
    let Ok(tokenizer) = Tokenizer::new(parts) else { return };
    run(&tokenizer, "a ab\u{2581}abc <s>\u{e9} \u{65e5} \u{ff21}\u{301}", true);
    run(&tokenizer, &String::from_utf8_lossy(&data[..data.len().min(600)]), true);
    if let Ok(json) = tokenizer.to_json(false) {
        assert!(Tokenizer::from_bytes(json.as_bytes()).is_ok(), "what was written does not load:\n{json}");
    }
}

/// Encodes in several ways, decodes, and checks what holds for every tokenizer.
fn run(tokenizer: &Tokenizer, text: &str, steady: bool) {
    let characters = text.chars().count() as u32;
    let split: Vec<&str> = text.split(' ').collect();
    let (whole, words) = (Input::Text(text), Input::Words(split));
    for options in [EncodeOptions::plain(false), tokenizer.default_options(true)] {
        for (input, pair) in [(&whole, None), (&words, None), (&whole, Some(&words))] {
            let Ok(encoding) = tokenizer.encode(input, pair, &options) else { continue };
            check(&encoding, characters);
            encoding.overflowing.iter().for_each(|encoding| check(encoding, characters));
            let _ = tokenizer.decode(&encoding.ids, true);
            let _ = tokenizer.decode(&encoding.ids, false);
        }
    }
    if let (Ok(ids), Ok(ragged)) =
        (tokenizer.encode_ids(text, true), tokenizer.encode_ragged(&[text, ""], true, true, &|| false))
    {
        assert!(!steady || ids[..] == ragged.values[..ragged.row_offsets[1] as usize]);
    }
}

fn check(encoding: &Encoding, characters: u32) {
    let len = encoding.ids.len();
    assert_eq!([encoding.type_ids.len(), encoding.offsets.len(), encoding.words.len()], [len; 3]);
    assert_eq!([encoding.special_tokens_mask.len(), encoding.attention_mask.len()], [len; 2]);
    assert!(encoding.offsets.iter().all(|&(_, end)| end <= characters), "an offset lies behind the text");
}
