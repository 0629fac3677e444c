//! Normalizers against the values of tokenizers 0.23.3, and Unicode forms against the whole-text algorithm.

use std::borrow::Cow;

use penstock::Error;
use penstock::normalizers::{Normalizer, Precompiled};
use proptest::prelude::*;
use serde_json::{Value, json};
use unicode_normalization_alignments::UnicodeNormalization;

fn normalizer(config: &Value) -> Normalizer {
    Normalizer::from_config(config, "normalizer").expect("a valid configuration")
}

/// The normalized text and, for each of its characters, the bytes of the original.
fn aligned(config: &Value, text: &str) -> (String, Vec<(u32, u32)>) {
    let aligned = normalizer(config).normalize_aligned(text).expect("no failing pattern");
    let spans = aligned.text.char_indices().map(|(i, _)| aligned.alignments[i]);
    let spans = spans.map(|span| (span.start, span.end)).collect();
    (aligned.text, spans)
}

#[test]
fn alignments_are_those_of_the_reference() {
    let cases = [
        (json!({"type": "NFD"}), "éa", "e\u{301}a", vec![(0, 2), (0, 2), (2, 3)]),
        (json!({"type": "NFC"}), "e\u{301}a", "éa", vec![(0, 1), (3, 4)]),
        (json!({"type": "NFKC"}), "\u{fb01}x", "fix", vec![(0, 3), (0, 3), (3, 4)]),
        (json!({"type": "Lowercase"}), "İB", "i\u{307}b", vec![(0, 2), (0, 2), (2, 3)]),
        (json!({"type": "StripAccents"}), "e\u{301}a", "ea", vec![(0, 1), (3, 4)]),
        (json!({"type": "Strip", "strip_left": true, "strip_right": true}), " ab\n", "ab", vec![(1, 2), (2, 3)]),
        (json!({"type": "Prepend", "prepend": "▁"}), "ab", "▁ab", vec![(0, 1), (0, 1), (1, 2)]),
        (json!({"type": "Replace", "pattern": {"String": "ab"}, "content": "xyz"}), "ab", "xyz", vec![(1, 2); 3]),
        (
            json!({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": "_"}),
            "a \nb",
            "a_b",
            vec![(0, 1), (2, 3), (3, 4)],
        ),
        (json!({"prepend": "_"}), "", "", vec![]),
        (
            json!({"clean_text": true, "handle_chinese_chars": true, "lowercase": true}),
            "É中\u{1}\t",
            "e 中  ",
            vec![(0, 2), (2, 5), (2, 5), (2, 5), (6, 7)],
        ),
        (json!({"type": "Nmt"}), "a\u{1}\u{200b}", "a ", vec![(0, 1), (2, 5)]),
        (json!({"type": "ByteLevel"}), "é ", "Ã©Ġ", vec![(0, 2), (0, 2), (2, 3)]),
    ];
    for (config, text, expected, spans) in cases {
        assert_eq!(aligned(&config, text), (expected.to_owned(), spans), "{config} {text:?}");
    }
}

#[test]
fn unchanged_text_is_borrowed() {
    let config =
        json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}, {"type": "StripAccents"}]});
    for text in ["plain ascii", "naïve – “x”", "ไทย", "한국어 漢字かな", "नमक"] {
        assert!(matches!(normalizer(&config).normalize(text), Ok(Cow::Borrowed(_))), "{text:?}");
    }
}

#[test]
fn a_rewrite_behind_inserted_text_is_refused_like_in_the_reference() {
    let insert = json!({"type": "Replace", "pattern": {"Regex": "^"}, "content": "_"});
    assert_eq!(aligned(&insert, "ab").1, [(0, 0), (0, 1), (1, 2)]);
    let config = json!({"type": "Sequence", "normalizers": [insert, {"type": "Lowercase"}]});
    assert!(matches!(normalizer(&config).normalize("ab"), Err(Error::NormalizerOrder { .. })));
}

#[test]
fn bad_configurations_are_named() {
    let error = |config| Normalizer::from_config(&config, "normalizer").expect_err("refused").to_string();
    assert_eq!(error(json!({"type": "Nfc"})), "unsupported normalizer: Nfc");
    assert_eq!(
        error(json!({"precompiled_charsmap": ""})),
        "normalizer.precompiled_charsmap: the charsmap ends before the length of its trie"
    );
    assert!(error(json!({"precompiled_charsmap": "%"})).starts_with("normalizer.precompiled_charsmap: "));
    assert_eq!(
        error(json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Prepend"}]})),
        "normalizer.normalizers[1].prepend: expected a string"
    );
    assert!(error(json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})).contains("does not compile"));
    assert_eq!(error(json!([])), "normalizer: expected an object");
}

/// Texts in which characters compose, reorder and decompose.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range(' ', '~'),
        2 => prop::char::range('\u{c0}', '\u{24f}'),
        3 => prop::char::range('\u{300}', '\u{36f}'),
        2 => prop::char::range('\u{900}', '\u{e7f}'),
        2 => prop::char::range('\u{1100}', '\u{11ff}'),
        1 => prop::char::range('\u{ac00}', '\u{ac7f}'),
        1 => prop::char::range('\u{3040}', '\u{30ff}'),
        1 => prop::char::range('\u{f900}', '\u{ffef}'),
        1 => prop::char::range('\u{1d15e}', '\u{1d1ad}'),
        1 => any::<char>(),
    ];
    prop::collection::vec(character, 0..60).prop_map(String::from_iter)
}

/// A charsmap of these units and replacements.
fn charsmap(units: &[u32], replacements: &[u8]) -> Vec<u8> {
    let mut bytes = ((units.len() * 4) as u32).to_le_bytes().to_vec();
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.extend_from_slice(replacements);
    bytes
}

proptest! {
    #[test]
    fn damaged_charsmaps_are_refused_or_applied(bytes in prop::collection::vec(any::<u8>(), 0..200), text in text()) {
        if let Ok(precompiled) = Precompiled::new(&bytes) {
            let _ = Normalizer::Precompiled(precompiled).normalize_aligned(&text);
        }
    }

    #[test]
    fn any_trie_is_walked_to_an_end(
        units in prop::collection::vec(
            prop_oneof![any::<u32>(), (0u32..200, 0u32..256, any::<bool>()).prop_map(|(offset, label, leaf)| {
                offset << 10 | u32::from(leaf) << 8 | label
            }), (0u32..60).prop_map(|value| value | 1 << 31)],
            0..300,
        ),
        replacements in "[a-cé\\x00]{0,60}",
        text in text(),
    ) {
        let precompiled = Precompiled::new(&charsmap(&units, replacements.as_bytes())).expect("lengths agree");
        let normalizer = Normalizer::Precompiled(precompiled);
        let aligned = normalizer.normalize_aligned(&text).expect("total");
        prop_assert_eq!(normalizer.normalize(&text).expect("total").into_owned(), aligned.text.clone());
        prop_assert_eq!(aligned.alignments.len(), aligned.text.len());
        prop_assert!(aligned.alignments.iter().all(|span| span.end as usize <= text.len()));
    }

    #[test]
    fn forms_equal_the_whole_text_algorithm(text in text()) {
        let check = |form: Normalizer, expected: String| {
            let aligned = form.normalize_aligned(&text).expect("total");
            assert_eq!(form.normalize(&text).expect("total"), expected.as_str());
            assert_eq!(aligned.text, expected);
            assert_eq!(aligned.alignments.len(), expected.len());
        };
        check(Normalizer::Nfc, text.nfc().map(|(c, _)| c).collect());
        check(Normalizer::Nfd, text.nfd().map(|(c, _)| c).collect());
        check(Normalizer::Nfkc, text.nfkc().map(|(c, _)| c).collect());
        check(Normalizer::Nfkd, text.nfkd().map(|(c, _)| c).collect());
        check(Normalizer::Lowercase, text.chars().flat_map(char::to_lowercase).collect());
    }
}
