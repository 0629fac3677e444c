use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::models::bpe::BpeConfig;

fn file() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [
            {"id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": true}
        ],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "a", "continuing_subword_prefix": null, "end_of_word_suffix": "",
            "fuse_unk": null, "byte_fallback": true, "ignore_merges": false,
            "vocab": {"a": 0, "b": 1, "ab": 2, "\"é\\": 3, "ab\"é\\": 4}, "merges": ["a b", "ab \"é\\"]
        }
    })
}

fn with(key: &str, value: &Value) -> Value {
    let mut file = file();
    let (parent, key) = match key.split_once('.') {
        Some((parent, key)) => (&mut file[parent], key),
        None => (&mut file, key),
    };
    parent[key] = value.clone();
    file
}

fn read_text(text: &str) -> Result<File> {
    super::read(text.as_bytes(), Numbers::AsReference)
}

fn config(text: &str) -> Result<BpeConfig> {
    read_text(text)?.model.ok_or_else(missing_model)?.into_bpe()
}

fn merges(text: &str) -> Vec<(TokenId, TokenId, TokenId)> {
    config(text).unwrap().merges.iter().map(|merge| (merge.left, merge.right, merge.result)).collect()
}

/// `message` of the error that the text gives.
fn refusal(text: &str) -> String {
    match read_text(text).and_then(|file| file.model.ok_or_else(missing_model)?.into_bpe()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn reads_every_field() {
    let text = file().to_string();
    let config = config(&text).unwrap();
    assert_eq!((config.vocab.len(), config.vocab.token(4)), (5, Some("ab\"é\\")));
    assert_eq!((config.unk_token.as_deref(), config.end_of_word_suffix.as_deref()), (Some("a"), Some("")));
    assert_eq!((config.fuse_unk, config.byte_fallback, config.ignore_merges), (false, true, false));
    assert_eq!((config.continuing_subword_prefix, config.dropout), (None, None));
    let added: Vec<_> = read_text(&text).unwrap().added_tokens.into_iter().map(AddedTokenFields::into_token).collect();
    assert_eq!((added.len(), added[0].0, added[0].1.content.as_str(), added[0].1.rstrip), (1, None, "<s>", true));
}

#[test]
fn merges_may_be_strings_or_pairs() {
    let expected = [(0, 1, 2), (2, 3, 4)];
    assert_eq!(merges(&file().to_string()), expected);
    assert_eq!(merges(&with("model.merges", &json!([["a", "b"], ["ab", "\"é\\"]])).to_string()), expected);
    assert_eq!(merges(&with("model.merges", &json!(["#version: 0.2", "a b"])).to_string()), expected[..1]);
    assert_eq!(merges(&with("model.merges", &json!([])).to_string()), []);
    // More than are resolved together.
    let many = vec![json!(["a", "b"]); 100];
    assert_eq!(merges(&with("model.merges", &json!(many)).to_string()), [(0, 1, 2); 100]);
}

#[test]
fn keys_may_come_in_any_order() {
    let vocab = r###""vocab": {"a": 0, "##b": 1, "ab": 2}"###;
    let merges_field = r#""merges": ["a ##b"]"#;
    let prefix = r###""continuing_subword_prefix": "##""###;
    for fields in [
        [vocab, merges_field, prefix],
        [vocab, prefix, merges_field],
        [merges_field, vocab, prefix],
        [merges_field, prefix, vocab],
        [prefix, vocab, merges_field],
        [prefix, merges_field, vocab],
    ] {
        let text =
            format!(r#"{{"model": {{{}, "type": "BPE", "other": [[1]]}}, "version": "1.0"}}"#, fields.join(", "));
        assert_eq!(merges(&text), [(0, 1, 2)], "{text}");
    }
}

#[test]
fn of_repeated_keys_the_last_one_counts() {
    let text = r#"{"model": {"vocab": {"a": 5, "b": 1, "ab": 2, "a": 0}, "merges": [], "merges": ["a b"]}}"#;
    let config = config(text).unwrap();
    assert_eq!((config.vocab.id("a"), config.vocab.token(5), config.vocab.len()), (Some(0), None, 3));
    assert_eq!(merges(text), [(0, 1, 2)]);
}

#[test]
fn the_limit_on_ids_is_exact() {
    let text = |id: u64| format!(r#"{{"model": {{"vocab": {{"a": {id}}}, "merges": []}}}}"#);
    assert_eq!(config(&text(2_097_151)).unwrap().vocab.id("a"), Some(2_097_151));
    assert_eq!(refusal(&text(2_097_152)), "token id in model.vocab is 2097152, the limit is 2097151");
    assert_eq!(refusal(&text(u64::MAX)), format!("token id in model.vocab is {}, the limit is 2097151", u64::MAX));
}

#[test]
fn bad_values_are_refused_with_their_path() {
    for (key, value, expected) in [
        ("version", json!("2.0"), "version: expected \"1.0\", found \"2.0\""),
        ("version", json!(null), "version: invalid type: null, expected a string"),
        ("padding_side", json!(1), "padding_side: unknown key"),
        ("added_tokens", json!(null), "added_tokens: invalid type: null"),
        ("added_tokens", json!([{"id": 1, "content": "x"}]), "added_tokens: missing field `single_word`"),
        ("model", json!(null), "model: invalid type: null, expected the object of a model"),
        ("model.type", json!("Foo"), "unsupported model: Foo"),
        ("model.type", json!(3), "model.type: invalid type: integer `3`"),
        ("model.vocab", json!([["a", 0.5]]), "model.vocab: invalid type: sequence"),
        ("model.vocab", json!(null), "model.vocab: invalid type: null"),
        ("model.vocab", json!({"a": -1}), "model.vocab[\"a\"]: invalid type: integer `-1`, expected a token id"),
        ("model.vocab", json!({"a": 0.5}), "model.vocab[\"a\"]: invalid type: floating point"),
        ("model.vocab", json!({"a": "0"}), "model.vocab[\"a\"]: invalid type: string"),
        (
            "model.vocab",
            json!({"a": 0, "b": 1, "ab": 2, "\"é\\": 3, "ab\"é\\": 4, "c": 0}),
            "model.vocab: tokens \"a\" and \"c\" have the same id 0",
        ),
        ("model.merges", json!(null), "model.merges: invalid type: null"),
        ("model.merges", json!(["a b", "ab"]), "model.merges[1]: invalid value: string \"ab\", expected a merge"),
        ("model.merges", json!(["a b c"]), "model.merges[0]: invalid value: string \"a b c\", expected a merge"),
        ("model.merges", json!([["a", "b", "c"]]), "model.merges[0]: invalid length 3, expected a merge"),
        ("model.merges", json!([["a"]]), "model.merges[0]: invalid length 1, expected a merge"),
        ("model.merges", json!([["a", 1]]), "model.merges[0]: invalid type: integer `1`"),
        ("model.merges", json!(["a b", ["a", "b"]]), "model.merges[1]: strings and pairs are mixed"),
        ("model.merges", json!(["a b", "a zz"]), "model.merges[1] names token \"zz\""),
        ("model.merges", json!(["b a"]), "model.merges[0] names token \"ba\""),
        ("model.merges", json!([" a"]), "model.merges[0] names token \"\""),
        ("model.continuing_subword_prefix", json!("##"), "model.merges[0]: \"b\" does not begin with"),
        ("model.dropout", json!(1.5), "model.dropout: expected a number from 0 to 1, found 1.5"),
        ("model.dropout", json!("x"), "model.dropout: invalid type: string"),
        ("model.unk_token", json!(1), "model.unk_token: invalid type: integer"),
        ("model.fuse_unk", json!(1), "model.fuse_unk: invalid type: integer"),
    ] {
        // `type` goes first, as in every file that the reference writes.
        let text = with(key, &value).to_string().replace(r#""model":{"#, r#""model":{"type":"BPE","#);
        let found = refusal(&text);
        assert!(found.starts_with(expected), "{key} = {value}: {found}");
    }
}

#[test]
fn a_model_without_type_is_taken_for_what_its_fields_allow() {
    for (model, expected) in [
        (json!({"vocab": {"a": 0}, "merges": []}), "BPE"),
        (
            json!({"vocab": {"a": 0}, "merges": [], "unk_token": "a", "max_input_chars_per_word": 1, "continuing_subword_prefix": ""}),
            "BPE",
        ),
        (
            json!({"vocab": {"a": 0}, "unk_token": "a", "max_input_chars_per_word": 1, "continuing_subword_prefix": ""}),
            "WordPiece",
        ),
        (json!({"vocab": {"a": 0}, "unk_token": "a"}), "WordLevel"),
        (json!({"vocab": [["a", 0]]}), "Unigram"),
        (json!({"vocab": {"a": 0}}), "model.merges: missing"),
        (json!({"type": "WordPiece", "vocab": {"a": 0}, "merges": 3, "dropout": "x"}), "model.unk_token: missing"),
        (
            json!({"type": "WordPiece", "vocab": {}, "unk_token": "a", "max_input_chars_per_word": -1}),
            "model.max_input_chars_per_word: invalid value: integer `-1`, expected usize",
        ),
        (
            json!({"type": "WordLevel", "vocab": {"a": 0, "b": 0}, "unk_token": ""}),
            "model.vocab: tokens \"a\" and \"b\" have the same id 0",
        ),
        (
            json!({"type": "WordLevel", "vocab": [["a", 0]], "unk_token": ""}),
            "model.vocab: invalid type: sequence, expected an object of token to id",
        ),
        (
            json!({"type": "Unigram", "vocab": {"a": 0}}),
            "model.vocab: invalid type: map, expected a list of tokens and scores",
        ),
        (json!({"type": "Unigram"}), "model.vocab: missing"),
        (
            json!({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1}),
            "model.unk_id: 1 is not the position of one of 1 tokens",
        ),
        (
            json!({"type": "Unigram", "vocab": [], "unk_id": 0}),
            "model.unk_id: 0 is not the position of one of 0 tokens",
        ),
        (json!({"type": "Unigram", "vocab": []}), "Unigram"),
        (json!({"type": "Unigram", "vocab": [["a", 0], ["b"]]}), "model.vocab[1]: invalid length 1"),
        (
            json!({"type": "Unigram", "vocab": [["a", 0], ["b", null]]}),
            "model.vocab[1]: invalid type: null, expected f64",
        ),
        (json!({"type": "Unigram", "vocab": [["a", 0, 0]]}), "invalid JSON at line 1, column 61: trailing characters"),
        (
            json!({"type": "Unigram", "vocab": [[3, 0.5]]}),
            "model.vocab[0]: invalid type: integer `3`, expected a string",
        ),
        (json!({"type": "BPE", "vocab": {"a": 0}}), "model.merges: missing"),
        (json!({"type": "BPE", "merges": []}), "model.vocab: missing"),
    ] {
        // As in every file that the reference writes, `type` goes first.
        let text = json!({"model": model}).to_string();
        let text = match model.get("type") {
            Some(name) => text.replacen("\"model\":{", &format!("\"model\":{{\"type\":{name},"), 1),
            None => text,
        };
        let found = match read_text(&text).and_then(|file| file.model.ok_or_else(missing_model)?.into_model()) {
            Ok(model) => model.name().to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }
    assert_eq!(refusal("{}"), "model: missing");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let deep = "[".repeat(100_000);
    for (text, expected) in [
        ("", "invalid JSON at line 1, column 0: EOF while parsing a value"),
        ("[]", "tokenizer.json: invalid type: sequence, expected the object of a tokenizer at line 1 column 0"),
        ("{\n \"version\": \"1.0\",\n}", "invalid JSON at line 3, column 1: trailing comma"),
        ("{\"model\": {\"vocab\": {}, \"merges\": []}} x", "invalid JSON at line 1, column 40: trailing characters"),
        ("{\"normalizer\": 1e999}", "invalid JSON at line 1, column 20: number out of range"),
        (r#"{"model": {"vocab": {"\ud800": 0}}}"#, "invalid JSON at line 1, column 29: unexpected end of hex escape"),
        (&format!("{{\"normalizer\": {deep}"), "invalid JSON at line 1, column 142: recursion limit exceeded"),
        (&format!("{{\"model\": {{\"vocab\": {{\"a\": {deep}"), "model.vocab[\"a\"]: invalid type: sequence"),
        (
            &format!("{{\"model\": {{\"other\": {deep}"),
            "invalid JSON at line 1, column 100020: EOF while parsing a list",
        ),
    ] {
        let found = refusal(text);
        assert!(found.starts_with(expected), "{found}");
    }
    let mut bytes = file().to_string().replacen(':', ":\n", 1).into_bytes();
    bytes[19] = 0xff;
    assert_eq!(
        super::read(&bytes, Numbers::AsReference).err().unwrap().to_string(),
        "invalid JSON at line 2, column 3: invalid UTF-8"
    );
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let text = file().to_string();
    for end in 0..text.len() {
        match super::read(&text.as_bytes()[..end], Numbers::AsReference) {
            Err(Error::Json { .. }) => {}
            Err(error) => panic!("cut at {end}: {error}"),
            Ok(_) => panic!("cut at {end}: accepted"),
        }
    }
}

#[test]
fn unknown_components_are_refused_by_name() {
    for (key, value, expected) in [
        ("post_processor", json!({"type": "Foo"}), "unsupported post_processor: Foo"),
        ("decoder", json!({"type": "Foo"}), "unsupported decoder: Foo"),
    ] {
        assert_eq!(parse(with(key, &value).to_string().as_bytes()).err().unwrap().to_string(), expected);
    }
}

#[test]
fn own_scores_are_read_to_the_last_bit() {
    // serde_json's default reading, which is the reference's, is one off for some of these.
    let score = -13.538_961_410_522_461_f64;
    for step in 0..2000 {
        let score = f64::from_bits(score.to_bits() + step * 0x0000_0001_2345_6789);
        let text = format!(r#"{{"model":{{"type":"Unigram","unk_id":0,"vocab":[["a",{score:?}]]}}}}"#);
        let file = super::read(text.as_bytes(), Numbers::Exact).unwrap();
        let Model::Unigram(unigram) = file.model.unwrap().into_model().unwrap() else { panic!("not Unigram") };
        assert_eq!(unigram.scores()[0].to_bits(), score.to_bits());
    }
}

/// A file with the keys of its model in the usual order, in one of the usual layouts.
fn written(names: &[String], merges: &[(usize, usize)], pairs: bool, pretty: bool, ascii: bool) -> String {
    let (gap, colon) = if pretty { ("\n      ", ": ") } else { ("", ":") };
    let quoted = |text: &str| {
        let text = Value::from(text).to_string();
        let escaped = |c: char| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) };
        if ascii { text.chars().map(escaped).collect() } else { text }
    };
    let vocab: Vec<_> =
        names.iter().enumerate().map(|(id, name)| format!("{gap}{}{colon}{id}", quoted(name))).collect();
    let merge = |&(left, right): &(usize, usize)| {
        let (left, right) = (&names[left], &names[right]);
        if pairs {
            format!("{gap}[{gap}{},{gap}{}{gap}]", quoted(left), quoted(right))
        } else {
            format!("{gap}{}", quoted(&format!("{left} {right}")))
        }
    };
    let merges: Vec<_> = merges.iter().map(merge).collect();
    format!(
        r#"{{"version":"1.0","added_tokens":[],"normalizer":{{"type":"Replace","pattern":{{"String":"\"a\\"}},"content":"}}"}},
        "model":{{"type":"BPE","dropout":0.1,"continuing_subword_prefix":null,"vocab":{{{}{gap}}},"merges":[{}{gap}]}}}}"#,
        vocab.join(","),
        merges.join(",")
    )
}

proptest! {
    #[test]
    fn the_quick_reader_reads_what_the_general_one_does(
        letters in prop::collection::vec("[a-zé世\"\\\\\n\u{7f}/]{1,12}", 1..60),
        pairs in prop::collection::vec((0..1000usize, 0..1000usize), 0..80),
        (as_pairs, pretty, ascii) in any::<(bool, bool, bool)>(),
    ) {
        let mut names: Vec<String> = Vec::new();
        names.extend(letters.into_iter().collect::<std::collections::BTreeSet<_>>());
        let mut merges = Vec::new();
        for (left, right) in pairs {
            let (left, right) = (left % names.len(), right % names.len());
            let joined = format!("{}{}", names[left], names[right]);
            if !names.contains(&joined) {
                names.push(joined);
            }
            merges.push((left, right));
        }
        let text = written(&names, &merges, as_pairs, pretty, ascii);
        let quick = quick::read(text.as_bytes(), text.len()).expect("an ordinary file");
        // A window that is too small for a token leaves the file to the general reader; another one changes nothing.
        let through = |window| quick::read_within(window, text.as_bytes(), 0);
        for narrow in [64, 300, 1000, 1 << 12].into_iter().filter_map(through) {
            prop_assert_eq!(&narrow.merges, &quick.merges);
            prop_assert_eq!(narrow.vocab.iter().collect::<Vec<_>>(), quick.vocab.iter().collect::<Vec<_>>());
            prop_assert_eq!(&narrow.rest, &quick.rest);
        }
        let general = read_all(text.as_bytes(), Numbers::Exact).unwrap().model.unwrap().into_bpe().unwrap();
        prop_assert_eq!(quick.merges.as_ref(), Some(&general.merges));
        prop_assert_eq!(quick.vocab.iter().collect::<Vec<_>>(), general.vocab.iter().collect::<Vec<_>>());
        for (token, id) in general.vocab.iter() {
            prop_assert_eq!((quick.vocab.id(token), quick.vocab.token(id)), (Some(id), Some(token)));
        }
        let rest = read_all(&quick.rest, Numbers::Exact).unwrap();
        prop_assert_eq!(rest.normalizer, read_all(text.as_bytes(), Numbers::Exact).unwrap().normalizer);
        // Whatever is damaged, both readers together say what the general one says.
        let mut bytes = text.into_bytes();
        let place = merges.len() * 7919 % bytes.len();
        for damage in [b'"', b'\\', b' ', b',', b'}', b'0', 0x1F, 0xFF, b'a'] {
            let before = std::mem::replace(&mut bytes[place], damage);
            let show = |file: Result<File>| match file.and_then(|file| file.model.ok_or_else(missing_model)?.into_bpe()) {
                Ok(config) => format!("{:?} {:?}", config.merges, config.vocab.iter().collect::<Vec<_>>()),
                Err(error) => error.to_string(),
            };
            prop_assert_eq!(show(super::read(&bytes, Numbers::Exact)), show(read_all(&bytes, Numbers::Exact)));
            bytes[place] = before;
        }
    }
}

#[test]
fn the_quick_reader_leaves_what_is_out_of_the_ordinary() {
    let file = |vocab: &str, prefix: &str, merges: &str| {
        format!(r#"{{"model":{{"continuing_subword_prefix":{prefix},"vocab":{vocab},"merges":{merges}}}}}"#)
    };
    let read = |text: String| quick::read(text.as_bytes(), text.len()).is_some();
    let plain = r#"{"a":0,"b":1,"ab":2}"#;
    assert!(read(file(plain, "null", r#"["a b"]"#)) && read(file(plain, r#""""#, r#"[["a","b"]]"#)));
    for merges in [
        r#"["a b",["a","b"]]"#,
        r#"["a  b"]"#,
        r##"["#version: 0.2"]"##,
        r#"["b a"]"#,
        r#"["a c"]"#,
        r#"["a"]"#,
        "[1]",
        "{}",
    ] {
        assert!(!read(file(plain, "null", merges)), "{merges}");
    }
    for vocab in [r#"{"a":0,"a":1}"#, r#"{"a":0,"b":0}"#, r#"{"a":01}"#, r#"{"a":1.0}"#, r#"{"a":9999999}"#, "{}", "[]"]
    {
        assert!(!read(file(vocab, "null", "[]")), "{vocab}");
    }
    assert!(!read(file(r#"{"\ud83d\ude00":0}"#, "null", "[]")));
    assert!(!read(file(plain, r###""##""###, r#"["a b"]"#)));
    assert!(!read(format!("{} ,", file(plain, "null", "[]"))));
}
