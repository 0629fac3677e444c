//! Each scanner against the regexes it stands for, on the regex engine that the reference uses.

use std::sync::LazyLock;

use penstock::Span;
use penstock::kernels::{Boundaries, Isa};
use penstock::pre_tokenizers::scanners::{cl100k, clip, deepseek, gpt2, o200k};
use penstock::pre_tokenizers::{Behavior, Pattern, PreTokenizer, Scanner, Split, Splitter};
use proptest::prelude::*;

const ALL: [(Scanner, &[&str]); 6] = [
    (Scanner::Gpt2, &[gpt2::PATTERN]),
    (Scanner::Gpt2, &[gpt2::PATTERN_GROUPED]),
    (Scanner::Cl100k, &[cl100k::PATTERN]),
    (Scanner::Qwen2, &[cl100k::PATTERN_SINGLE_DIGITS]),
    (Scanner::O200k, &[o200k::PATTERN]),
    (Scanner::DeepSeekV3, &deepseek::PATTERNS),
];

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(Pair::all);

/// The matches of CLIP's pattern, by hand and by the regex engine.
static CLIP: LazyLock<[Splitter; 2]> = LazyLock::new(|| {
    [clip::PATTERN.to_owned(), format!("(?:{})", clip::PATTERN)].map(|pattern| {
        let split = Split { pattern: Pattern::Regex(pattern), behavior: Behavior::Removed, invert: true };
        Splitter::compile(Some(&PreTokenizer::Split(split))).unwrap().unwrap()
    })
});

/// All that is compared on a text.
#[track_caller]
fn check(text: &str) {
    PAIRS.iter().for_each(|pair| pair.check(text));
    let [found, expected] = CLIP.each_ref().map(|splitter| {
        let mut pieces = Vec::new();
        splitter.split(text, &mut pieces).unwrap();
        pieces
    });
    assert_eq!(found, expected, "CLIP on {text:?}: {:?}", texts(text, &found));
}

/// The splits of a scanner, and the scanner.
struct Pair {
    scanner: Scanner,
    regexes: Splitter,
}

impl Pair {
    fn all() -> Vec<Self> {
        ALL.iter().map(|&(scanner, patterns)| Self { scanner, regexes: regexes(patterns) }).collect()
    }

    #[track_caller]
    fn check(&self, text: &str) {
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        self.regexes.split(text, &mut expected).unwrap();
        self.scanner.split(text, &mut found);
        assert_eq!(found, expected, "{:?} on {text:?}: {:?}", self.scanner, texts(text, &found));
        self.check_blocks(text);
    }

    /// Every instruction set against the scalar scanner; on the text again and again too, so that it meets the edges of
    /// blocks at every place.
    #[track_caller]
    fn check_blocks(&self, text: &str) {
        for text in [text, &text.repeat(130 / text.len().max(1) + 2)] {
            let mut expected = Vec::new();
            self.scanner.split(text, &mut expected);
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
                let (mut found, mut at, mut boundaries) = (Vec::new(), 0, Boundaries::new());
                while at < text.len() {
                    let mut start = at;
                    at = self.scanner.harvest(isa, text, at, &mut boundaries);
                    for &end in boundaries.ends() {
                        found.push(Span::new(start, end as usize));
                        start = end as usize;
                    }
                }
                assert_eq!(found, expected, "{:?} by {isa:?} on {text:?}", self.scanner);
            }
        }
    }
}

fn splits(patterns: &[impl AsRef<str>]) -> PreTokenizer {
    let split = |pattern: &str| Split {
        pattern: Pattern::Regex(pattern.to_owned()),
        behavior: Behavior::Isolated,
        invert: false,
    };
    PreTokenizer::Sequence(patterns.iter().map(|pattern| PreTokenizer::Split(split(pattern.as_ref()))).collect())
}

/// The splits on the regex engine: a group around each pattern keeps it from being recognised.
fn regexes(patterns: &[&str]) -> Splitter {
    let grouped: Vec<String> = patterns.iter().map(|pattern| format!("(?:{pattern})")).collect();
    let splitter = Splitter::compile(Some(&splits(&grouped))).unwrap().unwrap();
    assert_eq!(splitter.scanner(), None);
    splitter
}

fn texts<'t>(text: &'t str, spans: &[Span]) -> Vec<&'t str> {
    spans.iter().map(|span| &text[span.range()]).collect()
}

#[test]
fn patterns_are_recognised() {
    for (scanner, patterns) in ALL {
        assert_eq!(Splitter::compile(Some(&splits(patterns))).unwrap().unwrap().scanner(), Some(scanner));
    }
}

/// Where a character is put, at `@`.
const CONTEXTS: [&str; 8] = [
    "@ @\n@",
    "a@b A@B@ a",
    "  @  @@.@a",
    "!@A@ \n@/\n",
    "'@ 'l@ 'r@ 'v@ '@e '@l",
    "a'@b@'S",
    "1@2@3@4中@ア@",
    "\u{301}@A\u{301}\t@\u{2B0}@\u{1}@\u{1}",
];

/// Every code point in every context with `PENSTOCK_EXHAUSTIVE`; else the scripts of the first planes and a sample of the
/// others, whose classes `unicode.rs` compares one by one.
#[test]
fn every_code_point() {
    let exhaustive = std::env::var_os("PENSTOCK_EXHAUSTIVE").is_some();
    let interesting = |cp: u32| {
        exhaustive || cp < 0x3200 || cp % 64 == 7 || (0xA000..0xAC00).contains(&cp) || (0xF900..0x1_0000).contains(&cp)
    };
    for c in (0..0x11_0000).filter(|&cp| interesting(cp)).filter_map(char::from_u32) {
        for context in CONTEXTS {
            let text = context.replace('@', c.encode_utf8(&mut [0; 4]));
            check(&text);
        }
    }
}

#[test]
fn known_pieces() {
    let cases: [(Scanner, &str, &[&str]); 12] = [
        (Scanner::Gpt2, "I'll don't  x", &["I", "'ll", " don", "'t", " ", " x"]),
        (Scanner::Gpt2, "a1 23!? \n\n b", &["a", "1", " 23", "!?", " \n\n", " b"]),
        (Scanner::Cl100k, "IT'S 12345\u{a0}é!\r\n\n x", &["IT", "'S", " ", "123", "45", "\u{a0}é", "!\r\n\n", " x"]),
        (Scanner::Cl100k, "it'\u{17f}a", &["it", "'\u{17f}", "a"]),
        (Scanner::Cl100k, "a \n \n  b", &["a", " \n \n", " ", " b"]),
        (Scanner::Qwen2, "12 3", &["1", "2", " ", "3"]),
        (Scanner::O200k, "HTMLParser'S /\n/x", &["HTMLParser'S", " /\n/", "x"]),
        (Scanner::O200k, "helloWorld ABʰCD", &["hello", "World", " ABʰ", "CD"]),
        (Scanner::O200k, "\u{301}ABC", &["\u{301}", "ABC"]),
        (Scanner::DeepSeekV3, "a12345中文・b  7", &["a", "123", "45", "中文", "・", "b", "  ", "7"]),
        (Scanner::DeepSeekV3, "!aé !!b", &["!a", "é", " !!", "b"]),
        (Scanner::DeepSeekV3, "\u{1}\u{2}\u{3}a\u{4}", &["\u{1}\u{2}", "\u{3}a", "\u{4}"]),
    ];
    for (scanner, text, pieces) in cases {
        let mut found = Vec::new();
        scanner.split(text, &mut found);
        assert_eq!(texts(text, &found), pieces, "{scanner:?}");
    }
}

/// Text in which the alternatives of the patterns meet often.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "s", "t", "re", "ll", "z", "é", "ß", "ſ", "ж", "ａ"]),
        5 => prop::sample::select(vec!["A", "B", "S", "T", "LL", "Re", "É", "Ж", "ǅ", "ᾈ", "Ａ"]),
        3 => prop::sample::select(vec!["ʰ", "ー", "ª", "あ", "ア", "中", "龥", "龦", "문", "ا", "ไ", "々", "〇", "ゝ", "・", "゠", "゛", "\u{3097}"]),
        3 => prop::sample::select(vec!["\u{301}", "\u{903}", "\u{20dd}", "\u{3099}", "\u{fe0f}", "\u{e0100}"]),
        4 => prop::sample::select(vec!["0", "1", "23", "4567", "٣", "५", "²", "Ⅷ", "½", "㊿", "〡", "𝟘"]),
        6 => prop::sample::select(vec![" ", " ", "  ", "\t", "\u{a0}", "\u{3000}", "\u{85}", "\u{180e}", "\u{2028}", "\u{b}", "\u{200b}", "\u{feff}"]),
        4 => prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n", " \n", "\n "]),
        4 => prop::sample::select(vec!["'", "'s", "<|startoftext|>", "<|endoftext|>", "<|endoftext|", "'T", "'Re", "'VE", "'lL", "'m", "'D", "'ſ", "’s", "'l", "'v"]),
        4 => prop::sample::select(vec!["/", "//", ".", "!", "_", "-", "$", "€", "—", "(", "\"", "，", "。", "^", "`", "~"]),
        2 => prop::sample::select(vec!["\0", "\u{1}", "\u{1b}", "\u{7f}", "\u{ad}", "\u{200d}", "\u{378}", "\u{e000}", "\u{10ffff}"]),
        2 => prop::sample::select(vec!["👍", "👨\u{200d}👩\u{200d}👧", "❤\u{fe0f}", "🇩🇪", "👋🏽"]),
    ];
    prop_oneof![
        4 => prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat()),
        1 => prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(4000)) })]

    #[test]
    fn generated_text(text in text()) {
        check(&text);
    }
}

/// `PROPTEST_CASES` if set.
fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}
