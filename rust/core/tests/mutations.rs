//! Broken versions of small valid files: whatever is in them, loading and running them ends, with a result or an error.
//!
//! `PENSTOCK_MUTATIONS` is how many versions of each file are made (default 400), `PENSTOCK_SEED` where they start. A
//! version that fails is printed as a seed; the same seed makes it again.

#[allow(dead_code, reason = "shared with the fuzz targets, which use one function each")]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use penstock::Tokenizer;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/mutations");

/// Files of the folder with an extension, by name.
fn files(extension: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(DATA).expect("the folder is part of the repository");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// `SplitMix64`, a generator of numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What takes the place of a value in JSON: of every type, at the edges of every range, some of it nested.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "1e308",
    "-0.0",
    "0.5",
    "1e-320",
    "\"\"",
    "\" \"",
    "\"a\"",
    "\"ab\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"<0x41>\"",
    "\"[\"",
    "\"(?<=a)*\"",
    "\"(a*)*b\"",
    "\"\\\\p{L}|\"",
    "[]",
    "[[]]",
    "{}",
    "[\"a\",\"b\"]",
    "[\"a\",1]",
    "{\"a\":0}",
    "{\"String\":\"\"}",
    "{\"Regex\":\"\"}",
    "{\"Regex\":\"$\"}",
    "{\"type\":\"Sequence\"}",
    "\"MergedWithNext\"",
    "\"Right\"",
    "\"OnlySecond\"",
    "\"BatchLongest\"",
    "{\"Fixed\":3}",
];

/// A version of a file with one to four changes.
fn mutate(file: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = file.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(9) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 => drop(data.drain(at..(at + random.below(40)).min(data.len()))),
            4 => {
                let other = random.pick(others);
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                drop(data.splice(at..(at + random.below(60)).min(data.len()), other[from..to].iter().copied()));
            }
            5 => {
                let copy = data[at..(at + random.below(80)).min(data.len())].to_vec();
                drop(data.splice(at..at, copy));
            }
            _ => {
                if let Some((start, end)) = value_at(&data, at) {
                    drop(data.splice(start..end, random.pick(VALUES).bytes()));
                }
            }
        }
    }
    data
}

/// The scalar of a JSON text that lies at or behind a position.
fn value_at(data: &[u8], at: usize) -> Option<(usize, usize)> {
    let starts = |byte: &u8| matches!(byte, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
    let start = at + data[at..].iter().position(starts)?;
    let rest = &data[start..];
    let len = if rest[0] == b'"' {
        rest[1..].iter().position(|&byte| byte == b'"')? + 2
    } else {
        rest.iter().position(|&byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))).unwrap_or(rest.len())
    };
    Some((start, start + len))
}

/// Runs a target on every file as it is, and on versions of it.
fn run(extension: &str, target: impl Fn(&[u8])) {
    let (files, versions, seed) = (files(extension), number("PENSTOCK_MUTATIONS", 400), number("PENSTOCK_SEED", 1));
    let others: Vec<Vec<u8>> = files.iter().map(|(_, file)| file.clone()).collect();
    for (path, file) in &files {
        target(file);
        for version in seed..seed + versions {
            let data = mutate(file, &others, &mut Random(version));
            let ended = catch_unwind(AssertUnwindSafe(|| target(&data))).is_ok();
            assert!(ended, "version {version} of {}:\n{}", path.display(), String::from_utf8_lossy(&data));
        }
    }
}

#[test]
fn the_files_are_valid() {
    for (path, file) in files("json") {
        assert!(Tokenizer::from_bytes(&file).is_ok(), "{}: {:?}", path.display(), Tokenizer::from_bytes(&file).err());
    }
}

#[test]
fn broken_tokenizer_files() {
    run("json", targets::tokenizer_json);
}

#[test]
fn broken_charsmaps() {
    run("bin", targets::charsmap);
}

#[test]
fn broken_rank_files() {
    run("tiktoken", targets::rank_file);
}

#[test]
fn broken_sentencepiece_models() {
    for (path, file) in files("model") {
        assert!(penstock::formats::sentencepiece::parse(&file).is_ok(), "{}", path.display());
    }
    run("model", targets::sentencepiece_model);
}

#[test]
fn any_text() {
    let tokenizers: Vec<Tokenizer> =
        files("json").iter().map(|(_, file)| Tokenizer::from_bytes(file).expect("a valid file")).collect();
    let runs = number("PENSTOCK_MUTATIONS", 400) * 2;
    let pieces: Vec<String> = VALUES.iter().map(|&value| value.to_owned()).collect();
    for version in 0..runs {
        let mut random = Random(version);
        let mut data = vec![random.next() as u8];
        for _ in 0..random.below(30) {
            match random.below(4) {
                0 => data.push(random.next() as u8),
                1 => data.extend(char::from_u32(random.below(0x11_0000) as u32).unwrap_or('a').to_string().bytes()),
                2 => data.extend(random.pick(&pieces).bytes()),
                _ => data.extend(std::iter::repeat_n(*random.pick(b"ab c<\xe6"), random.below(50))),
            }
        }
        targets::text(&tokenizers, &data);
    }
}
