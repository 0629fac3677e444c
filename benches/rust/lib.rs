//! Inputs of the benchmarks, and a naive tokenizer that the answers are checked against before anything is timed.
//!
//! Without `PENSTOCK_FIXTURES` the tokenizer that ships with the package runs on generated text; with it, real tokenizers
//! run on real text. Criterion repeats one input, so these figures are warm: every word is in the cache. What a text
//! costs the first time is measured by `benches/python/bench_encode.py`.

mod naive;
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
};

use penstock::Tokenizer;

pub use naive::Naive;
pub use texts::{Text, texts};

/// Sizes in bytes: a short string, a page, a document that is split over the cores.
pub const SIZES: [usize; 3] = [50, 4_000, 1_000_000];

/// Real tokenizers that run when the fixtures are there.
const REAL: [&str; 4] = ["gpt2", "llama-3", "gpt-oss-o200k", "deepseek-v3"];

/// The unpacked shared data, if `PENSTOCK_FIXTURES` names it.
fn fixtures() -> Option<PathBuf> {
    std::env::var_os("PENSTOCK_FIXTURES").map(PathBuf::from).filter(|path| path.is_dir())
}

/// A tokenizer with its name.
pub struct Subject {
    /// Name in the report.
    pub name: String,
    /// What is measured.
    pub tokenizer: Tokenizer,
    /// What it is checked against.
    pub naive: Naive,
}

impl Subject {
    fn load(name: &str, path: &Path) -> Self {
        let json = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            name: name.to_owned(),
            tokenizer: Tokenizer::from_bytes(&json).expect("a tokenizer that this release runs"),
            naive: Naive::new(&serde_json::from_slice(&json).expect("JSON")),
        }
    }

    /// Panics unless the tokenizer and the naive one agree on the beginning of a text.
    pub fn check(&self, text: &str) {
        /// The naive tokenizer takes time quadratic in the length of a piece.
        const CHECKED: usize = 20_000;
        let text = texts::prefix(text, CHECKED);
        let ids = self.tokenizer.encode_ids(text, false).expect("ids");
        assert_eq!(ids, self.naive.encode(text), "{}: the ids are wrong", self.name);
        assert_eq!(
            self.tokenizer.decode(&ids, false).expect("no regex"),
            self.naive.decode(&ids),
            "{}: the text is wrong",
            self.name
        );
    }
}

/// The tokenizers to measure.
pub fn subjects() -> Vec<Subject> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/penstock/data/default.json");
    let mut subjects = vec![Subject::load("default", &default)];
    if let Some(root) = fixtures() {
        let path = |name: &str| root.join("tokenizers").join(name).join("tokenizer.json");
        subjects.extend(REAL.iter().map(|name| Subject::load(name, &path(name))));
    }
    subjects
}
