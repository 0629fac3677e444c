//! Post-processing of one text on plain arrays: ids before and after, blanks taken out of spans.

use crate::{
    PostProcessor, TokenId, Vocab,
    post_processors::{blanks, trim_blanks},
};

/// What a post-processor does to a single text.
pub(super) struct Finish {
    pub(super) before: Vec<TokenId>,
    pub(super) after: Vec<TokenId>,
    /// The passes that take blanks out of spans; each knows whether a space may have been put before the text.
    trims: Vec<bool>,
    /// Blanks at both ends of every token of the model.
    blanks: Vec<[u16; 2]>,
}

impl Finish {
    /// `None` when only [`PostProcessor::process`] knows what happens.
    pub(super) fn new(processor: Option<&PostProcessor>, vocab: &Vocab, add_special_tokens: bool) -> Option<Self> {
        let (before, after) =
            processor.map_or_else(|| Some(Default::default()), |p| p.single_affixes(add_special_tokens))?;
        let trims = processor.map_or_else(|| Some(Vec::new()), |p| p.trims(false))?;
        let narrow = |count: u32| u16::try_from(count).ok();
        let of_token = |id| {
            let (leading, trailing) = blanks(vocab.token(id).unwrap_or_default());
            Some([narrow(leading)?, narrow(trailing)?])
        };
        let bound = if trims.is_empty() { 0 } else { vocab.id_bound() as TokenId };
        let blanks = (0..bound).map(of_token).collect::<Option<_>>()?;
        Some(Self { before, after, trims, blanks })
    }

    /// Blanks at both ends of a token of the model.
    pub(super) fn blanks(&self, id: TokenId) -> (u32, u32) {
        self.blanks.get(id as usize).map_or((0, 0), |&[leading, trailing]| (u32::from(leading), u32::from(trailing)))
    }

    /// Takes blanks out of the spans of one text. `texts` are the tokens whose text is not the model's, by index in `ids`.
    pub(super) fn trim(&self, ids: &[TokenId], spans: &mut [[u32; 2]], texts: &[(u32, Box<str>)]) {
        for &add_prefix_space in &self.trims {
            let mut texts = texts.iter().peekable();
            for (i, (&id, span)) in ids.iter().zip(&mut *spans).enumerate() {
                let (leading, trailing) = match texts.next_if(|(index, _)| *index as usize == i) {
                    Some((_, text)) => blanks(text),
                    None => self.blanks(id),
                };
                if leading + trailing > 0 {
                    let mut offsets = (span[0], span[1]);
                    trim_blanks(&mut offsets, (leading, trailing), i == 0, add_prefix_space);
                    *span = [offsets.0, offsets.1];
                }
            }
        }
    }
}
