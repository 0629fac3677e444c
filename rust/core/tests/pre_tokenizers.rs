//! The generic pre-tokenizers against recorded answers of `tokenizers` 0.23.3, and what they refuse.

use penstock::pre_tokenizers::{CutScratch, Piece, Pieces, PreTokenizer, Scanner, Splitter, Steps};
use penstock::unicode::byte_chars::{BYTE_CHARS, char_byte};
use penstock::{Error, Span};
use serde_json::{Value, json};

fn compile(config: &Value) -> Result<Splitter, Error> {
    Ok(Splitter::compile(Some(&PreTokenizer::from_config(config, "pre_tokenizer")?))?.expect("only cuts"))
}

fn pieces<'t>(splitter: &Splitter, text: &'t str) -> Vec<&'t str> {
    let mut spans = vec![Span::new(7, 9)];
    splitter.split(text, &mut spans).unwrap();
    spans.iter().map(|span| &text[span.range()]).collect()
}

/// Each line holds a configuration, a text and the pieces as character ranges. `PENSTOCK_PRE_TOKENIZER_CASES` names another
/// file of the same form.
#[test]
fn recorded_answers() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pre_tokenizers.jsonl");
    let path = std::env::var("PENSTOCK_PRE_TOKENIZER_CASES").unwrap_or_else(|_| committed.to_owned());
    let lines = std::fs::read_to_string(path).unwrap();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = case["text"].as_str().unwrap();
        let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let expected: Vec<&str> = case["pieces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|piece| {
                let at = |i: usize| bytes[piece[i].as_u64().unwrap() as usize];
                &text[at(0)..at(1)]
            })
            .collect();
        assert_eq!(pieces(&compile(&case["pre_tokenizer"]).unwrap(), text), expected, "{line}");
        if !line.contains("ByteLevel") {
            let general = general(&case["pre_tokenizer"], text);
            assert_eq!(general.iter().map(|(piece, _)| piece).collect::<Vec<_>>(), expected, "{line}");
        }
    }
}

#[test]
fn without_a_pre_tokenizer_a_text_is_one_piece() {
    let splitter = Splitter::compile(None).unwrap().unwrap();
    assert_eq!(pieces(&splitter, "a b"), ["a b"]);
    assert!(pieces(&splitter, "").is_empty());
    assert!(!splitter.byte_level && !splitter.add_prefix_space && splitter.scanner().is_none());
}

#[test]
fn byte_level_reports_its_flags() {
    let splitter = compile(&json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true})).unwrap();
    assert!(splitter.byte_level && splitter.add_prefix_space);
    assert_eq!(splitter.scanner(), Some(Scanner::Gpt2));
}

#[test]
fn a_known_split_is_scanned_inside_a_longer_sequence() {
    let config = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
    ]});
    let splitter = compile(&config).unwrap();
    assert_eq!(splitter.scanner(), None);
    assert_eq!(pieces(&splitter, "ab  12 c"), ["ab", "  ", "1", "2", " c"]);
}

#[test]
fn unknown_components_are_named() {
    match PreTokenizer::from_config(&json!({"type": "Delimiter", "delimiter": "x"}), "pre_tokenizer") {
        Err(Error::UnsupportedComponent { stage: "pre_tokenizer", name }) => assert_eq!(name, "Delimiter"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn steps_that_rewrite_the_text_are_no_splitter() {
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
    let digits = json!({"type": "Digits", "individual_digits": true});
    let sequence = |parts: &[&Value]| json!({"type": "Sequence", "pretokenizers": parts});
    for config in [json!({"type": "Metaspace", "replacement": "_"}), sequence(&[&byte_level, &digits])] {
        let pre_tokenizer = PreTokenizer::from_config(&config, "pre_tokenizer").unwrap();
        assert!(Splitter::compile(Some(&pre_tokenizer)).unwrap().is_none(), "{config}");
    }
}

/// The pieces of a text and the bytes of the input that each is cut from.
fn general(config: &Value, text: &str) -> Vec<(String, (u32, u32))> {
    let steps = Steps::compile(Some(&PreTokenizer::from_config(config, "pre_tokenizer").unwrap())).unwrap();
    let mut pieces = Pieces::new(text.into(), Span::new(0, text.len()), None, true);
    steps.run(&mut pieces, &mut CutScratch::default()).unwrap();
    let piece =
        |piece: &Piece| (pieces.text()[piece.text.range()].to_owned(), (piece.original.start, piece.original.end));
    pieces.pieces().iter().map(piece).collect()
}

#[test]
fn pieces_and_offsets_are_those_of_the_reference() {
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": scheme, "split": split});
    let byte_level = |regex: bool, prefix: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex});
    let sequence = |parts: &[Value]| json!({"type": "Sequence", "pretokenizers": parts});
    let whitespace_split = json!({"type": "WhitespaceSplit"});
    let cases = [
        (metaspace("always", true), " a  b", vec![("▁a", (0, 2)), ("▁", (2, 3)), ("▁b", (3, 5))]),
        (metaspace("always", true), "a b", vec![("▁a", (0, 1)), ("▁b", (1, 3))]),
        (metaspace("never", false), "a b", vec![("a▁b", (0, 3))]),
        (sequence(&[whitespace_split.clone(), metaspace("first", true)]), "a b", vec![("▁a", (0, 1)), ("b", (2, 3))]),
        (byte_level(true, true), "é é", vec![("ĠÃ©", (0, 2)), ("ĠÃ©", (2, 5))]),
        (
            sequence(&[byte_level(false, false), json!({"type": "FixedLength", "length": 1})]),
            "é ",
            vec![("Ã", (0, 2)), ("©", (0, 2)), ("Ġ", (2, 3))],
        ),
        (json!({"type": "FixedLength"}), "abcdefg", vec![("abcde", (0, 5)), ("fg", (5, 7))]),
        (
            json!({"type": "UnicodeScripts"}),
            " どこで。Yes",
            vec![("どこで", (1, 10)), ("。", (10, 13)), ("Yes", (13, 16))],
        ),
        (json!({"type": "UnicodeScripts"}), "  ", vec![]),
        (
            json!({"type": "BertPreTokenizer"}),
            "a--b c",
            vec![("a", (0, 1)), ("-", (1, 2)), ("-", (2, 3)), ("b", (3, 4)), ("c", (5, 6))],
        ),
        (
            json!({"type": "Whitespace"}),
            "a--b_c d",
            vec![("a", (0, 1)), ("--", (1, 3)), ("b_c", (3, 6)), ("d", (7, 8))],
        ),
        (
            json!({"type": "Punctuation", "behavior": "Contiguous"}),
            "a--b",
            vec![("a", (0, 1)), ("--", (1, 3)), ("b", (3, 4))],
        ),
    ];
    for (config, text, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|(piece, span)| (piece.to_owned(), span)).collect();
        assert_eq!(general(&config, text), expected, "{config} {text:?}");
    }
}

#[test]
fn malformed_configurations_are_located() {
    let cases = [
        (json!(3), "pre_tokenizer"),
        (json!({}), "pre_tokenizer"),
        (json!({"type": "Digits"}), "pre_tokenizer"),
        (json!({"type": "CharDelimiterSplit", "delimiter": "ab"}), "pre_tokenizer"),
        (json!({"type": "Split", "pattern": "a", "behavior": "Isolated", "invert": false}), "pre_tokenizer"),
        (
            json!({"type": "Split", "pattern": {"String": "a"}, "behavior": "isolated", "invert": false}),
            "pre_tokenizer",
        ),
        (
            json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {}]}),
            "pre_tokenizer.pretokenizers[1]",
        ),
    ];
    for (config, expected) in cases {
        match compile(&config) {
            Err(Error::Schema { path, .. }) => assert_eq!(path, expected),
            other => panic!("{config}: {other:?}"),
        }
    }
}

fn regex(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

#[test]
fn regex_errors_are_returned() {
    assert!(matches!(compile(&regex("(")), Err(Error::Regex { pattern, .. }) if pattern == "("));
    // The engine gives up on catastrophic backtracking.
    let splitter = compile(&regex("(a|a|aa)*\\d")).unwrap();
    let found = splitter.split(&"a".repeat(60), &mut Vec::new());
    assert!(matches!(found, Err(Error::RegexSearch { .. })), "{found:?}");
}

/// `\K` in a look-behind moves the start of a match in front of the end of the one before; the reference panics.
#[test]
fn overlapping_matches_are_an_error() {
    let splitter = compile(&regex(r"a|(?<=\Ka)b")).unwrap();
    let found = splitter.split("xab", &mut Vec::new());
    assert!(matches!(found, Err(Error::RegexSearch { .. })), "{found:?}");
}

#[test]
fn bytes_and_characters_are_inverse() {
    assert_eq!((BYTE_CHARS[b' ' as usize], BYTE_CHARS[b'\n' as usize], BYTE_CHARS[0xAD]), ('Ġ', 'Ċ', 'Ń'));
    for (byte, &c) in BYTE_CHARS.iter().enumerate() {
        assert_eq!(char_byte(c), Some(byte as u8));
    }
    let spelled = (0..0x11_0000).filter_map(char::from_u32).filter(|&c| char_byte(c).is_some());
    assert_eq!(spelled.count(), 256);
}
