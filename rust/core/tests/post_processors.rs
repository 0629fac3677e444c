//! The post-processors against recorded answers of `tokenizers` 0.23.3, and what they refuse.

use penstock::encoding::{Encoding, NO_WORD};
use penstock::post_processors::{PostProcessor, without_processor};
use serde_json::{Value, json};

fn numbers<T: TryFrom<u64>>(value: &Value) -> Vec<T> {
    let number = |value: &Value| T::try_from(value.as_u64().unwrap()).ok().unwrap();
    value.as_array().unwrap().iter().map(number).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// An encoding as it comes out of the model, where no token has a text that follows from its id.
fn encoding(fields: &Value) -> Encoding {
    let offset = |pair: &Value| (pair[0].as_u64().unwrap() as u32, pair[1].as_u64().unwrap() as u32);
    Encoding {
        ids: numbers(&fields["ids"]),
        type_ids: numbers(&fields["type_ids"]),
        offsets: fields["offsets"].as_array().unwrap().iter().map(offset).collect(),
        words: fields["word_ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().map_or(NO_WORD, |id| id as u32))
            .collect(),
        special_tokens_mask: numbers(&fields["special_tokens_mask"]),
        attention_mask: numbers(&fields["attention_mask"]),
        token_texts: texts(&fields["tokens"]).iter().zip(0..).map(|(&text, index)| (index, text.into())).collect(),
        ..Encoding::default()
    }
}

/// Each line holds a configuration, one or two encodings, whether special tokens are added, and the fields of the result.
#[test]
fn recorded_answers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/post_processors.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let mut encodings = case["encodings"].as_array().unwrap().iter().map(encoding);
        let (first, pair) = (encodings.next().unwrap(), encodings.next());
        let is_pair = pair.is_some();
        let before: Vec<u32> = first.ids.clone();
        let expected = &case["result"];
        let result = if case["post_processor"].is_null() {
            without_processor(first, pair)
        } else {
            let processor = PostProcessor::from_config(&case["post_processor"], "post_processor").unwrap();
            let add_special_tokens = case["add_special_tokens"].as_bool().unwrap();
            let len = first.len() + pair.as_ref().map_or(0, Encoding::len);
            let result = processor.process(first, pair, add_special_tokens, &|_| None);
            if let Some((head, tail)) = processor.single_affixes(add_special_tokens)
                && !is_pair
            {
                assert_eq!([head, before, tail].concat(), result.ids, "{line}");
                let added = if add_special_tokens { processor.added_tokens(false) } else { 0 };
                assert_eq!(len + added, result.len(), "{line}");
            }
            result
        };
        let sequence_ids: Vec<Value> = result.sequence_ids().into_iter().map(|id| json!(id)).collect();
        assert_eq!(json!(sequence_ids), expected["sequence_ids"], "{line}");
        let tokens: Vec<&str> = (0..result.len()).map(|index| result.token_text(index).unwrap()).collect();
        assert_eq!(tokens, texts(&expected["tokens"]), "{line}");
        let expected = encoding(expected);
        let found = Encoding { sequence_ranges: Vec::new(), ..result };
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn what_cannot_be_filled_is_refused() {
    let a = json!({"Sequence": {"id": "A", "type_id": 0}});
    let b = json!({"Sequence": {"id": "B", "type_id": 0}});
    let x = json!({"SpecialToken": {"id": "x", "type_id": 0}});
    let template = |single: &[&Value], special: Value| json!({"type": "TemplateProcessing", "single": single, "pair": [a, b], "special_tokens": special});
    let good = template(&[&a], json!({}));
    for (config, expected) in [
        (template(&[&x, &a], json!({})), "pp.single: special token \"x\" is missing in `special_tokens`"),
        (template(&[&b], json!({})), "pp.single: a single text has no sequence B"),
        (
            template(&[&a], json!({"x": {"id": "x", "ids": [1, 2], "tokens": ["x"]}})),
            "pp.special_tokens: \"x\" has 2 ids and 1 tokens",
        ),
        (
            json!({"type": "TemplateProcessing", "single": "$A", "pair": [], "special_tokens": {}}),
            "pp: invalid type: string",
        ),
        (
            json!({"type": "Sequence", "processors": [good, good]}),
            "unsupported post_processor: TemplateProcessing after",
        ),
        (json!({"type": "Sequence", "processors": [{"type": "Foo"}]}), "unsupported post_processor: Foo"),
        (json!({"type": "Sequence"}), "pp.processors: expected an array"),
        (json!({"type": "ByteLevel"}), "pp: missing field `add_prefix_space`"),
        (json!({"type": "BertProcessing", "sep": ["a", -1], "cls": ["b", 1]}), "pp: invalid value: integer `-1`"),
        (json!([]), "pp: expected an object with a `type`"),
    ] {
        let found = PostProcessor::from_config(&config, "pp").unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    }
    // Types that are missing or wrong do not matter where the fields are enough.
    let untyped = json!({"type": "Foo", "single": [a], "pair": [a, b], "special_tokens": {}});
    assert_eq!(PostProcessor::from_config(&untyped, "pp").unwrap(), PostProcessor::from_config(&good, "pp").unwrap());
}
