//! `model`: pieces of text to token ids.

pub mod alphabet;
pub mod bpe;
mod trie;
mod unigram;
mod wordlevel;
mod wordpiece;
pub mod words;

use crate::{
    Result, TokenId, Vocab,
    encoding::{SPANS, Tokens},
};
use alphabet::{Alphabet, Letter, Letters};
use bpe::BpeScratch;
pub use bpe::{Bpe, BpeConfig, BpeOptions, Merge};
pub use unigram::{Unigram, UnigramConfig, UnigramScratch};
pub use wordlevel::{WordLevel, WordLevelConfig};
pub use wordpiece::{WordPiece, WordPieceConfig};

/// The `model` of a tokenizer.json.
pub enum Model {
    /// Byte-pair encoding.
    Bpe(Box<Bpe>),
    /// Longest match first.
    WordPiece(Box<WordPiece>),
    /// Best sum of scores.
    Unigram(Box<Unigram>),
    /// Whole pieces.
    WordLevel(Box<WordLevel>),
}

/// What a thread keeps from piece to piece.
#[derive(Default)]
pub struct ModelScratch {
    bpe: BpeScratch,
    unigram: UnigramScratch,
    wordpiece: Vec<(TokenId, u32)>,
    letters: Letters,
}

impl Model {
    /// The tokens of the model, without added ones.
    pub fn vocab(&self) -> &Vocab {
        match self {
            Self::Bpe(bpe) => bpe.vocab(),
            Self::WordPiece(wordpiece) => wordpiece.vocab(),
            Self::Unigram(unigram) => unigram.vocab(),
            Self::WordLevel(wordlevel) => wordlevel.vocab(),
        }
    }

    /// The value of `type` in tokenizer.json.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bpe(_) => "BPE",
            Self::WordPiece(_) => "WordPiece",
            Self::Unigram(_) => "Unigram",
            Self::WordLevel(_) => "WordLevel",
        }
    }

    /// Number of tokens; a Unigram model counts one that it lists twice as two.
    pub fn len(&self) -> usize {
        match self {
            Self::Unigram(unigram) => unigram.scores().len(),
            _ => self.vocab().len(),
        }
    }

    /// True without tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins the sequence of random choices that belongs to `seed`; nothing for a model without dropout.
    pub fn seed_dropout(&self, seed: u64) {
        if let Self::Bpe(bpe) = self {
            bpe.seed_dropout(seed);
        }
    }

    /// Whether every text has an encoding, and always the same one.
    pub fn encodes_anything(&self) -> bool {
        let has = |token: &str| self.vocab().id(token).is_some();
        match self {
            Self::Bpe(bpe) => !bpe.drops_merges() && bpe.options().unk_token.as_deref().is_none_or(has),
            Self::WordPiece(wordpiece) => has(wordpiece.unk_token()),
            Self::Unigram(unigram) => unigram.unk_id().is_some(),
            Self::WordLevel(wordlevel) => has(wordlevel.unk_token()),
        }
    }

    /// The id of the token for what is unknown, if the vocabulary has it.
    pub fn unk_id(&self) -> Option<TokenId> {
        match self {
            Self::Bpe(bpe) => self.vocab().id(bpe.options().unk_token.as_deref()?),
            Self::WordPiece(wordpiece) => self.vocab().id(wordpiece.unk_token()),
            Self::Unigram(unigram) => unigram.unk_id(),
            Self::WordLevel(wordlevel) => self.vocab().id(wordlevel.unk_token()),
        }
    }

    /// The id of a token.
    pub fn token_to_id(&self, token: &str) -> Option<TokenId> {
        self.vocab().id(token)
    }

    /// The token of an id.
    pub fn id_to_token(&self, id: TokenId) -> Option<&str> {
        self.vocab().token(id)
    }

    /// The tokens of one piece of text: ids, texts, and bytes of the piece as the reference counts them.
    ///
    /// # Errors
    /// As [`Model::encode_piece`].
    pub fn tokenize(&self, piece: &str) -> Result<Vec<(TokenId, String, [u32; 2])>> {
        let mut tokens = Tokens::with_capacity::<SPANS>(piece.len());
        self.encode_piece::<SPANS>(piece, 0, &mut ModelScratch::default(), &mut tokens)?;
        let mut own = tokens.texts.iter().peekable();
        let named = tokens.ids().iter().zip(&tokens.spans).enumerate().map(|(index, (&id, &span))| {
            let text = match own.next_if(|(at, _)| *at as usize == index) {
                Some((_, text)) => text,
                None => self.id_to_token(id).unwrap_or_default(),
            };
            (id, text.to_owned(), span)
        });
        Ok(named.collect())
    }

    /// The letters that [`Self::encode_letters`] reads.
    pub fn alphabet(&self) -> &Alphabet {
        match self {
            Self::WordPiece(wordpiece) => wordpiece.alphabet(),
            Self::Unigram(unigram) => unigram.alphabet(),
            Self::Bpe(_) | Self::WordLevel(_) => Alphabet::ANY,
        }
    }

    /// Encodes one piece of text, which is one word whatever comes of it.
    ///
    /// `LEVEL` is what [`Tokens`] collects; with spans also the text of what is unknown to Unigram. Spans count bytes of `piece` from `base` on; for BPE they may leave the piece or
    /// cut a character, where the reference's do ([`Bpe::encode_piece`]).
    ///
    /// # Errors
    /// [`crate::Error::MissingUnkToken`] for unknown text without a token for it.
    pub fn encode_piece<const LEVEL: u8>(
        &self,
        piece: &str,
        base: u32,
        scratch: &mut ModelScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        if let Self::Bpe(bpe) = self {
            return bpe.encode_piece::<LEVEL>(piece, base, &mut scratch.bpe, out);
        }
        let mut letters = std::mem::take(&mut scratch.letters);
        letters.write(self.alphabet(), piece, base, LEVEL > 0);
        let done = self.encode_letters::<LEVEL>(&letters.letters, &letters.starts, scratch, out);
        scratch.letters = letters;
        done
    }

    /// As [`Self::encode_piece`], of letters that begin and end at these bytes of some text.
    ///
    /// # Errors
    /// As [`Self::encode_piece`].
    pub fn encode_letters<const LEVEL: u8>(
        &self,
        piece: &[Letter],
        starts: &[u32],
        scratch: &mut ModelScratch,
        out: &mut Tokens,
    ) -> Result<()> {
        let before = out.len();
        match self {
            Self::Bpe(bpe) => {
                let base = starts.first().copied().unwrap_or(0);
                return bpe.encode_letters::<LEVEL>(piece, base, &mut scratch.bpe, out);
            }
            Self::WordPiece(wordpiece) => {
                let tokens = &mut scratch.wordpiece;
                tokens.clear();
                wordpiece.encode(piece, tokens)?;
                let mut start = 0;
                for &(id, end) in &*tokens {
                    out.push(id);
                    if LEVEL > 0 {
                        out.push_span(starts[start], starts[end as usize]);
                        start = end as usize;
                    }
                }
            }
            Self::Unigram(unigram) => unigram.encode(piece, &mut scratch.unigram, |id, start, end, unknown| {
                // Unknown text goes by its own name.
                if LEVEL > 0 && unknown {
                    let text = unigram.alphabet().spell(&piece[start as usize..end as usize]);
                    if unigram.vocab().token(id) != Some(&text) {
                        out.texts.push((out.len() as u32, text.into()));
                    }
                }
                out.push(id);
                if LEVEL > 0 {
                    out.push_span(starts[start as usize], starts[end as usize]);
                }
            })?,
            Self::WordLevel(wordlevel) => {
                out.push(wordlevel.encode(&Alphabet::ANY.spell(piece))?);
                if LEVEL > 0 {
                    out.push_span(starts[0], starts[piece.len()]);
                }
            }
        }
        if LEVEL > 1 {
            out.push_word(out.len() - before);
        }
        Ok(())
    }
}
