#![no_main]

use std::sync::OnceLock;

use penstock::Tokenizer;

#[path = "../../core/tests/targets/mod.rs"]
#[allow(dead_code)]
mod targets;

const FILES: [&[u8]; 6] = [
    include_bytes!("../../../tests/data/mutations/byte_level.json"),
    include_bytes!("../../../tests/data/mutations/marked_bpe.json"),
    include_bytes!("../../../tests/data/mutations/sentencepiece_bpe.json"),
    include_bytes!("../../../tests/data/mutations/unigram.json"),
    include_bytes!("../../../tests/data/mutations/wordlevel.json"),
    include_bytes!("../../../tests/data/mutations/wordpiece.json"),
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TOKENIZERS: OnceLock<Vec<Tokenizer>> = OnceLock::new();
    let load = || FILES.iter().map(|file| Tokenizer::from_bytes(file).expect("a valid file")).collect();
    targets::text(TOKENIZERS.get_or_init(load), data);
});
