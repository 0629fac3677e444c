//! Training: counts words of a tokenizer's pipeline, and runs a trainer on them.

use penstock::formats::trained;
use penstock::tokenizer::Word;
use penstock::trainers::{self, BpeTrainer, Progress, UnigramTrainer, Watch, WordCounter as Counter, WordLevelTrainer};
use penstock::unicode::byte_chars::BYTE_CHARS;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{TextError, interruptible, to_py};
use crate::inputs::{Texts, text};
use crate::tokenizer::Tokenizer;

/// The distinct words of a corpus and how often each occurs.
#[pyclass(frozen, module = "penstock._native")]
pub struct WordCounter {
    counter: Counter,
    tokenizer: Py<Tokenizer>,
}

#[pymethods]
impl WordCounter {
    #[new]
    #[pyo3(signature = (tokenizer, /))]
    fn new(tokenizer: Py<Tokenizer>) -> Self {
        Self { counter: Counter::new(), tokenizer }
    }

    #[pyo3(signature = (texts, report=None, /))]
    fn count(&self, py: Python<'_>, texts: Texts<'_>, report: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let rows = texts.rows()?;
        let mut done = 0;
        for wave in waves(&rows) {
            self.count_rows(py, wave)?;
            done += wave.len();
            if let Some(report) = &report {
                report.call1((done, rows.len()))?;
            }
        }
        Ok(())
    }

    /// Each line is a text of its own, with its end, as the reference reads files.
    #[pyo3(signature = (lines, /))]
    fn count_lines(&self, py: Python<'_>, lines: &Bound<'_, PyBytes>) -> PyResult<()> {
        let bytes = lines.as_bytes();
        let lines = std::str::from_utf8(bytes).map_err(|error| {
            let position = error.valid_up_to();
            TextError::new_err((format!("not UTF-8: invalid byte at {position}"), position))
        })?;
        let rows: Vec<&str> = lines.split_inclusive('\n').collect();
        self.count_rows(py, &rows)
    }

    #[pyo3(signature = (word, count, /))]
    fn add(&self, word: &Bound<'_, PyAny>, count: u64) -> PyResult<()> {
        self.counter.add(&text(word, None)?, count);
        Ok(())
    }

    /// Takes the words counted so far and trains BPE on them: `vocab` and `merges` of a model, as JSON.
    #[expect(clippy::too_many_arguments, reason = "the reference's options")]
    #[pyo3(signature = (*, vocab_size, min_frequency, special_tokens, limit_alphabet, initial_alphabet, continuing_subword_prefix, end_of_word_suffix, max_token_length, report))]
    fn train_bpe(
        &self,
        py: Python<'_>,
        vocab_size: usize,
        min_frequency: u64,
        special_tokens: Vec<String>,
        limit_alphabet: Option<usize>,
        initial_alphabet: Vec<char>,
        continuing_subword_prefix: Option<String>,
        end_of_word_suffix: Option<String>,
        max_token_length: Option<usize>,
        report: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let trainer = BpeTrainer {
            vocab_size,
            min_frequency,
            special_tokens,
            limit_alphabet,
            initial_alphabet,
            continuing_subword_prefix,
            end_of_word_suffix,
            max_token_length,
        };
        let trained = self.train(py, report, |words, watch| trainer.train(words, watch))?;
        Ok(trained::bpe_fields(&trained))
    }

    /// Takes the words counted so far and keeps the most frequent: `vocab` of a model, as JSON.
    #[pyo3(signature = (*, vocab_size, min_frequency, special_tokens, report))]
    fn train_wordlevel(
        &self,
        py: Python<'_>,
        vocab_size: usize,
        min_frequency: u64,
        special_tokens: Vec<String>,
        report: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let trainer = WordLevelTrainer { vocab_size, min_frequency, special_tokens };
        let vocab = self.train(py, report, |words, watch| trainer.train(words, watch))?;
        Ok(trained::vocab_fields(&vocab))
    }

    /// Takes the words counted so far and trains Unigram on them: `unk_id` and `vocab` of a model, as JSON.
    #[expect(clippy::too_many_arguments, reason = "the reference's options")]
    #[pyo3(signature = (*, vocab_size, special_tokens, initial_alphabet, shrinking_factor, unk_token, max_piece_length, n_sub_iterations, seed_size, report))]
    fn train_unigram(
        &self,
        py: Python<'_>,
        vocab_size: usize,
        special_tokens: Vec<String>,
        initial_alphabet: Vec<char>,
        shrinking_factor: f64,
        unk_token: Option<String>,
        max_piece_length: usize,
        n_sub_iterations: usize,
        seed_size: usize,
        report: Option<Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        let trainer = UnigramTrainer {
            vocab_size,
            special_tokens,
            initial_alphabet,
            shrinking_factor,
            unk_token,
            max_piece_length,
            n_sub_iterations,
            seed_size,
        };
        let trained = self.train(py, report, |words, watch| trainer.train(words, watch))?;
        Ok(trained::unigram_fields(&trained))
    }
}

/// Bytes between two looks at signals.
const WAVE_BYTES: usize = 1 << 24;

/// Runs of rows of about [`WAVE_BYTES`].
fn waves<'a, 't>(rows: &'a [&'t str]) -> impl Iterator<Item = &'a [&'t str]> {
    let mut bytes = 0;
    rows.chunk_by(move |row, _| {
        bytes += row.len();
        let full = bytes >= WAVE_BYTES;
        if full {
            bytes = 0;
        }
        !full
    })
}

/// The characters in which byte-level vocabularies write bytes, in order of bytes.
#[pyfunction]
pub fn byte_level_alphabet() -> Vec<char> {
    BYTE_CHARS.to_vec()
}

impl WordCounter {
    fn count_rows(&self, py: Python<'_>, rows: &[&str]) -> PyResult<()> {
        let tokenizer = self.tokenizer.get().core();
        interruptible(py, |stop| {
            self.counter.count(rows, &|text, words| {
                tokenizer.for_each_word(text, |word| match word {
                    Word::Raw(word) => words.add(word),
                    Word::Spelled(word) => words.add_spelled(word),
                })
            })?;
            if stop() { Err(penstock::Error::Interrupted) } else { Ok(()) }
        })
    }

    /// Runs a trainer detached; `report` hears of its progress, on this thread, and what it raises ends the work.
    fn train<T: Send>(
        &self,
        py: Python<'_>,
        report: Option<Bound<'_, PyAny>>,
        train: impl FnOnce(&trainers::Words, &mut Watch<'_>) -> penstock::Result<T> + Send,
    ) -> PyResult<T> {
        let tokenizer = self.tokenizer.get().core();
        let report = report.map(Bound::unbind);
        let mut raised = None;
        let result = py.detach(|| {
            let words = self.counter.take_words(|word, out| tokenizer.spell(word, out));
            let mut tell = |progress: Progress| {
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    if let Some(report) = &report {
                        report.call1(py, (progress.stage, progress.done, progress.total))?;
                    }
                    Ok(())
                });
                told.map_err(|error| raised = Some(error)).is_err()
            };
            train(&words, &mut Watch::new(&mut tell))
        });
        match raised {
            Some(error) => Err(error),
            None => result.map_err(|error| to_py(error, None)),
        }
    }
}
