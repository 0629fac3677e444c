//! Where a pipeline's text may be cut: the four cases that are known, and the reasons.

use super::{super::plain_words::PlainWords, MARK};
use crate::{
    Normalizer, PreTokenizer,
    models::{Bpe, Model},
    pre_tokenizers::{
        Metaspace, PrependScheme,
        scanners::cuts::{Cut, is_guarded, is_ideograph, is_of_small_script, is_punctuation},
    },
};

/// Where to cut, and what runs on the parts.
pub(super) struct Plan<'p> {
    pub(super) cut: Cut,
    pub(super) part_normalizers: Vec<&'p Normalizer>,
    pub(super) part_steps: Vec<PreTokenizer>,
    pub(super) first: FirstPart,
    pub(super) plain: Option<PlainWords>,
    pub(super) plain_first: bool,
    pub(super) one_word: bool,
}

pub(super) enum FirstPart {
    LikeOthers,
    Whole { of_input_only: bool },
}

/// The cuts that are safe for a pipeline of these steps.
pub(super) fn plan<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    bert(normalizers, steps, model)
        .or_else(|| white_space(normalizers, steps, model))
        .or_else(|| metaspace(normalizers, steps, model))
        .or_else(|| marks(normalizers, steps, model))
}

fn owned(steps: &[&PreTokenizer]) -> Vec<PreTokenizer> {
    steps.iter().map(|&step| step.clone()).collect()
}

/// BERT: its pre-tokenizer cuts at white space and around punctuation and drops or isolates it, and its normalizer puts
/// spaces around ideographs. The normalizer looks at one character at a time, but for the order of combining marks, which
/// does not reach over a character that is none; those at the cuts are none.
fn bert<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    match (normalizers, steps) {
        ([Normalizer::Bert(bert)], [PreTokenizer::Bert]) if bert.handle_chinese_chars => Some(Plan {
            cut: Cut::Bert,
            part_normalizers: normalizers.to_vec(),
            part_steps: owned(steps),
            first: FirstPart::LikeOthers,
            plain: Some(PlainWords::bert(normalizers, model.alphabet())),
            plain_first: false,
            one_word: false,
        }),
        _ => None,
    }
}

/// Whether a normalizer's result for a text is that for its parts, cut before a run of blanks that it leaves blank.
///
/// It may look at neighbours inside a grapheme (a blank begins one, but behind a prepended mark, where nothing is cut) and
/// at combining marks behind a character, and at runs of spaces.
fn is_local(normalizer: &Normalizer) -> bool {
    match normalizer {
        Normalizer::Sequence(steps) => steps.iter().all(is_local),
        Normalizer::Precompiled(charsmap) => b"\t\n\r ".iter().all(|&blank| charsmap.has_no_longer_entry(blank)),
        Normalizer::Bert(_)
        | Normalizer::Nfc
        | Normalizer::Nfd
        | Normalizer::Nfkc
        | Normalizer::Nfkd
        | Normalizer::Lowercase
        | Normalizer::StripAccents => true,
        Normalizer::Replace(replace) => match (replace.as_literal(), replace.as_regex()) {
            (Some(literal), _) => !literal.contains(char::is_whitespace),
            (_, Some(regex)) => regex == " {2,}",
            _ => false,
        },
        Normalizer::Nmt | Normalizer::ByteLevel | Normalizer::Strip { .. } | Normalizer::Prepend(_) => false,
    }
}

/// Whether every blank between letters stays a run of characters that `accept` accepts, whatever stands beside it.
fn keeps_blanks(normalizers: &[&Normalizer], blanks: &str, accept: impl Fn(char) -> bool) -> bool {
    blanks.chars().all(|blank| {
        [
            format!("a{blank}b"),
            format!("a{blank}{blank}b"),
            format!("a{blank}\u{301}b"),
            format!("\u{4E2D}{blank}\u{4E2D}"),
        ]
        .iter()
        .all(|text| {
            let mut text = text.clone();
            for step in normalizers {
                let Ok(next) = step.normalize(&text) else { return false };
                text = next.into_owned();
            }
            let mut chars = text.chars();
            chars.next().is_some_and(|c| !accept(c)) && chars.next().is_some_and(&accept)
        })
    })
}

/// `WhitespaceSplit` comes first, so that what follows sees words.
fn white_space<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    let [PreTokenizer::WhitespaceSplit, rest @ ..] = steps else { return None };
    let of_words = |step: &&PreTokenizer| match step {
        PreTokenizer::Metaspace(metaspace) => metaspace.prepend_scheme != PrependScheme::First,
        _ => true,
    };
    let local = normalizers.iter().all(|step| is_local(step) || matches!(step, Normalizer::Strip { .. }));
    (local && rest.iter().all(of_words) && keeps_blanks(normalizers, "\t\n\r ", char::is_whitespace)).then(|| Plan {
        cut: Cut::Blanks,
        part_normalizers: normalizers.to_vec(),
        part_steps: owned(steps),
        first: FirstPart::LikeOthers,
        plain: PlainWords::white_space(normalizers, rest, model.alphabet()),
        plain_first: false,
        one_word: false,
    })
}

/// `Metaspace` alone, cutting before every space. Only the first part may lack one, and gets it or not.
fn metaspace<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    let [PreTokenizer::Metaspace(metaspace @ Metaspace { split: true, .. })] = steps else { return None };
    let replacement = metaspace.replacement;
    // Spaces that another step makes before a cut would have joined those behind it.
    let joins_spaces = |step: &Normalizer| matches!(step, Normalizer::Replace(replace) if replace.as_regex().is_some());
    let local = normalizers.iter().all(|step| is_local(step) && !joins_spaces(step));
    (local && keeps_blanks(normalizers, " ", |c| c == ' ' || c == replacement)).then(|| Plan {
        cut: Cut::Spaces,
        part_normalizers: normalizers.to_vec(),
        part_steps: vec![PreTokenizer::Metaspace(Metaspace { prepend_scheme: PrependScheme::Never, ..*metaspace })],
        first: first_part(metaspace.prepend_scheme),
        plain: (!replacement.is_ascii()).then(|| PlainWords::metaspace(normalizers, replacement, model.alphabet())),
        plain_first: false,
        one_word: false,
    })
}

fn first_part(scheme: PrependScheme) -> FirstPart {
    match scheme {
        PrependScheme::Never => FirstPart::LikeOthers,
        PrependScheme::Always => FirstPart::Whole { of_input_only: false },
        PrependScheme::First => FirstPart::Whole { of_input_only: true },
    }
}

/// BPE over text whose spaces became marks, and that nothing cuts: the merges say where none of them can reach across.
fn marks<'p>(normalizers: &[&'p Normalizer], steps: &[&PreTokenizer], model: &Model) -> Option<Plan<'p>> {
    let Model::Bpe(bpe) = model else { return None };
    let is_replace = |step: &Normalizer| matches!(step, Normalizer::Replace(replace) if replace.as_literal() == Some(" ") && replace.content() == "▁");
    // Gemma splits at spaces, of which there are none once they are marks.
    let steps = match (normalizers, steps) {
        ([.., replace], [PreTokenizer::Split(split)]) if is_replace(replace) && split.keeps_text_without(" ") => &[],
        _ => steps,
    };
    let (part_normalizers, first, part_steps) = match (normalizers, steps) {
        ([replace], []) if is_replace(replace) => (vec![*replace], FirstPart::LikeOthers, Vec::new()),
        ([Normalizer::Prepend(prefix), replace], []) if prefix == "▁" && is_replace(replace) => {
            (vec![*replace], FirstPart::Whole { of_input_only: false }, Vec::new())
        }
        ([], [PreTokenizer::Metaspace(metaspace @ Metaspace { split: false, replacement: MARK, .. })]) => {
            let part = PreTokenizer::Metaspace(Metaspace { prepend_scheme: PrependScheme::Never, ..*metaspace });
            (Vec::new(), first_part(metaspace.prepend_scheme), vec![part])
        }
        _ => return None,
    };
    let cut = merge_cut(bpe)?;
    // `Metaspace` puts no mark before one.
    let plain_first = steps.is_empty();
    let plain = Some(PlainWords::marks(MARK));
    Some(Plan { cut, part_normalizers, part_steps, first, plain, plain_first, one_word: true })
}

/// The finest set of places that no merge reaches across.
///
/// The first merge that does would join a token that ends before the place and one that begins behind it, so it is enough
/// to look at the last and the first symbol of all pairs that merge. Unknown characters that are fused must not meet at a
/// place either: what is cut before is a character of the vocabulary.
fn merge_cut(bpe: &Bpe) -> Option<Cut> {
    let seams = bpe.seams()?;
    if !seams.is_known(MARK) || seams.drop_characters() {
        return None;
    }
    // Gemma has tokens of markup, with marks behind brackets.
    let joins_marks = |left, right| left != MARK && right == MARK;
    if seams.any(joins_marks) {
        let unguarded = seams.any(|left, right| joins_marks(left, right) && !is_guarded(left));
        return (!unguarded).then_some(Cut::GuardedMarks);
    }
    if !seams.is_known('\n') || seams.any(|left, right| left == '\n' || right == '\n') {
        return Some(Cut::Marks);
    }
    let all_known = seams.all_known() || ('!'..='~').filter(|&c| is_punctuation(c)).all(|c| seams.is_known(c));
    let of_both = |a: char, b| a.is_ascii_alphanumeric() && is_punctuation(b);
    if !all_known || seams.any(|left, right| of_both(left, right) || of_both(right, left)) {
        return Some(Cut::MarksLines);
    }
    // Unknown characters that are fused would meet at these places.
    let joins = |of: fn(char) -> bool| !seams.all_known() || seams.any(|left, right| of(left) || of(right));
    let across = |left, right| is_ideograph(left) != is_ideograph(right);
    if joins(is_of_small_script) || seams.any(across) {
        return Some(Cut::MarksLinesPunctuation);
    }
    Some(if joins(is_ideograph) { Cut::MarksScripts } else { Cut::MarksIdeographs })
}
