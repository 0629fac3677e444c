//! `WordPiece`: the longest token that a word begins with, then the longest that its rest begins with, and so on.
//!
//! Both searches are walks through one trie each, over whole tokens and over those that begin with the continuation
//! prefix, without it. A walk goes no further than the longest token, so time is linear in the length of a word however
//! long words may be.

use super::{
    alphabet::{Alphabet, Letter},
    trie::{ROOT, Trie},
};
use crate::{Error, Result, TokenId, Vocab};

/// The `model` object of a tokenizer.json with `"type": "WordPiece"`.
pub struct WordPieceConfig {
    /// `vocab`
    pub vocab: Vocab,
    /// `unk_token`
    pub unk_token: String,
    /// `continuing_subword_prefix`: what tokens have before them that do not begin a word.
    pub continuing_subword_prefix: String,
    /// `max_input_chars_per_word`: a longer word is unknown.
    pub max_input_chars_per_word: usize,
}

/// A `WordPiece` model.
pub struct WordPiece {
    vocab: Vocab,
    alphabet: Alphabet,
    /// All tokens.
    starts: Trie<TokenId>,
    /// Tokens that begin with the prefix, without it.
    rests: Trie<TokenId>,
    unk: Option<TokenId>,
    unk_token: String,
    prefix: String,
    max_chars: usize,
}

impl WordPiece {
    /// Builds the tries; `unk_token` need not be in the vocabulary as long as no text needs it.
    pub fn new(config: WordPieceConfig) -> Self {
        let WordPieceConfig { vocab, unk_token, continuing_subword_prefix: prefix, max_input_chars_per_word } = config;
        let alphabet = Alphabet::new(vocab.iter().map(|(token, _)| token));
        let starts = Trie::new(&alphabet, vocab.iter());
        let rest = |(token, id): (_, _)| Some((str::strip_prefix(token, prefix.as_str())?, id));
        let rests = Trie::new(&alphabet, vocab.iter().filter_map(rest));
        let unk = vocab.id(&unk_token);
        Self { vocab, alphabet, starts, rests, unk, unk_token, prefix, max_chars: max_input_chars_per_word }
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The token for words that tokens do not cover.
    pub fn unk_token(&self) -> &str {
        &self.unk_token
    }

    /// What tokens have before them that do not begin a word.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Characters of the longest word that is not unknown.
    pub fn max_chars(&self) -> usize {
        self.max_chars
    }

    /// The letters that words are given in.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// Appends the tokens of a word and behind which of its letters they end.
    ///
    /// # Errors
    /// [`Error::MissingUnkToken`] for an unknown word when the vocabulary lacks `unk_token`.
    pub fn encode(&self, word: &[Letter], tokens: &mut Vec<(TokenId, u32)>) -> Result<()> {
        let first = tokens.len();
        if word.len() > self.max_chars || !self.cover(word, tokens) {
            tokens.truncate(first);
            let missing = || Error::MissingUnkToken { model: "WordPiece", token: Some(self.unk_token.clone()) };
            tokens.push((self.unk.ok_or_else(missing)?, word.len() as u32));
        }
        Ok(())
    }

    /// The longest matches one after the other; false when there is none somewhere.
    fn cover(&self, word: &[Letter], tokens: &mut Vec<(TokenId, u32)>) -> bool {
        let mut at = 0;
        let mut trie = &self.starts;
        while at < word.len() {
            let mut base = ROOT;
            let mut longest = None;
            for (end, &letter) in (at + 1..).zip(&word[at..]) {
                let Some((_, node)) = trie.next(base, letter) else { break };
                base = node.base();
                if let Some(token) = node.value() {
                    longest = Some((token, end as u32));
                }
            }
            let Some((token, end)) = longest else { return false };
            tokens.push((token, end));
            at = end as usize;
            trie = &self.rests;
        }
        true
    }
}
