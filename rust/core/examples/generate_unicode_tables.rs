//! Prints `rust/core/src/unicode/tables.rs`: asks the bundled Oniguruma for the class of every code point.
//!
//! ```text
//! cargo run -p penstock-core --example generate_unicode_tables > rust/core/src/unicode/tables.rs
//! ```

use std::collections::HashMap;

use onig::Regex;

/// `UNICODE_PROPERTY_VERSION` in `unicode_property_data.c` of the Oniguruma that `onig_sys` 69.9.3 bundles. Oniguruma does
/// not report it at run time: after an update of `onig`, look it up again.
const UNICODE_VERSION: &str = "16.0.0";

/// The class behind each bit, from bit 0 (the constants of `unicode/mod.rs`).
const CLASSES: [&str; 8] =
    [r"\p{L}", r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"\p{N}", r"\s", r"[\r\n]", r"[\p{P}\p{S}]", r"\p{M}"];

/// Code points a block, as in `unicode/mod.rs`.
const BLOCK: usize = 128;

fn main() {
    let flags = flags();
    let last = flags.iter().rposition(|&f| f != 0).expect("some code point has a class");
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut index = Vec::new();
    for block in flags.chunks(BLOCK).take(last / BLOCK + 1) {
        let number = *numbers.entry(block).or_insert_with(|| {
            blocks.push(block);
            blocks.len() - 1
        });
        index.push(u8::try_from(number).expect("at most 256 different blocks"));
    }

    println!(
        "// Written by examples/generate_unicode_tables.rs from Oniguruma 6.9 with Unicode {UNICODE_VERSION}. Do not edit."
    );
    println!("//! Flags of every code point, in blocks that occur once each.\n");
    println!("/// Unicode version of the classes.\npub const UNICODE_VERSION: &str = \"{UNICODE_VERSION}\";\n");
    println!("/// Block of the code points `{BLOCK} * i ..`; what lies behind the end has no flag.\n#[rustfmt::skip]");
    println!("pub static INDEX: [u8; {}] = [", index.len());
    print_rows(&index);
    println!("];\n\n/// Flags of the code points of a block.\n#[rustfmt::skip]");
    println!("pub static BLOCKS: [[u8; {BLOCK}]; {}] = [", blocks.len());
    for block in blocks {
        println!("[");
        print_rows(block);
        println!("],");
    }
    println!("];");
}

/// The flags of all code points, surrogates 0.
fn flags() -> Vec<u8> {
    let mut flags = vec![0; 0x11_0000];
    let text: String = (0..0x11_0000).filter_map(char::from_u32).collect();
    for (bit, class) in CLASSES.iter().enumerate() {
        let regex = Regex::new(class).expect("a valid class");
        for (start, _) in regex.find_iter(&text) {
            let c = text[start..].chars().next().expect("a match has one character");
            flags[c as usize] |= 1 << bit;
        }
    }
    flags
}

fn print_rows(values: &[u8]) {
    for row in values.chunks(32) {
        let row: Vec<String> = row.iter().map(u8::to_string).collect();
        println!("{},", row.join(","));
    }
}
