//! The class table against the regex engine, over every code point.

use onig::{Regex, SearchOptions};
use penstock::unicode::{self, ASCII, LETTER, LOWER, MARK, NEWLINE, NUMBER, PUNCT, SPACE, UPPER};

#[test]
fn every_code_point_has_the_classes_of_the_engine() {
    let classes = [
        (LETTER, r"\p{L}"),
        (UPPER, r"[\p{Lu}\p{Lt}]"),
        (LOWER, r"\p{Ll}"),
        (NUMBER, r"\p{N}"),
        (SPACE, r"\s"),
        (NEWLINE, r"[\r\n]"),
        (PUNCT, r"[\p{P}\p{S}]"),
        (MARK, r"\p{M}"),
    ];
    for (flag, pattern) in classes {
        let regex = Regex::new(pattern).unwrap();
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let expected = regex
                .match_with_options(c.encode_utf8(&mut [0; 4]), 0, SearchOptions::SEARCH_OPTION_NONE, None)
                .is_some();
            assert_eq!(unicode::class(c) & flag != 0, expected, "U+{:04X} {pattern}", c as u32);
        }
    }
}

#[test]
fn ascii_is_the_start_of_the_table() {
    for (cp, &flags) in ASCII.iter().enumerate() {
        assert_eq!(flags, unicode::class_of(cp as u32));
    }
}

#[test]
fn what_is_no_character_has_no_class() {
    for cp in [0xD800, 0xDFFF, 0x11_0000, u32::MAX] {
        assert_eq!(unicode::class_of(cp), 0);
    }
}
