//! What stands between a call and the engine: looked at once, and the options of the call translated.

use penstock::tokenizer::EncodeOptions;
use pyo3::basic::CompareOp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use crate::engine_state::{EngineState, Left};
use crate::lists::ones;
use crate::one_call::{Form, OneCall, Pad};
use crate::one_text::OneText;
use crate::options;
use crate::tokenizer::Tokenizer;

/// What became of a call.
pub enum Outcome<T> {
    /// The native tokenizer has to be handed in.
    Unprepared,
    /// The options are for others.
    Refused,
    /// The call can be made, or has been.
    Done(T),
}

impl<T> Outcome<T> {
    /// What Python gets: None, False, or what `done` makes.
    ///
    /// # Errors
    /// Those of `done`.
    pub fn answer<'py>(
        self,
        py: Python<'py>,
        done: impl FnOnce(T) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Unprepared => Ok(py.None().into_bound(py)),
            Self::Refused => Ok(PyBool::new(py, false).to_owned().into_any()),
            Self::Done(value) => done(value),
        }
    }
}

/// A call that nothing stands in the way of.
pub struct Prepared<'py> {
    /// The engine.
    pub native: Bound<'py, Tokenizer>,
    /// What it is asked for.
    pub options: EncodeOptions,
    /// What columns come as.
    pub form: Form,
    /// With type ids.
    pub types: bool,
    /// With a mask.
    pub mask: bool,
    /// What is left to do.
    pub rest: Rest<'py>,
}

/// What is left to do once texts are encoded.
pub struct Rest<'py> {
    tokenizer: Bound<'py, PyAny>,
    state: Bound<'py, EngineState>,
    /// Stock says that texts beyond it are too long; none where the caller set a length.
    limit: Option<Bound<'py, PyAny>>,
    left: Left,
}

impl Rest<'_> {
    /// Says, once, that rows are longer than the model takes, and counts the call.
    ///
    /// # Errors
    /// Those of stock's warning.
    pub fn finish(self, lengths: impl Iterator<Item = usize> + Clone) -> PyResult<()> {
        if let Some(limit) = &self.limit {
            warn(&self.tokenizer, limit, lengths)?;
        }
        self.state.get().count(self.left);
        Ok(())
    }
}

/// Says, once, that rows are longer than the limit.
///
/// # Errors
/// Those of stock's warning.
pub fn warn(
    tokenizer: &Bound<'_, PyAny>,
    limit: &Bound<'_, PyAny>,
    lengths: impl Iterator<Item = usize> + Clone,
) -> PyResult<()> {
    let py = tokenizer.py();
    let is_beyond = |length: usize| length.into_pyobject(py)?.rich_compare(limit, CompareOp::Gt)?.is_truthy();
    if is_beyond(lengths.clone().max().unwrap_or(0))? {
        for length in lengths {
            if is_beyond(length)? {
                let name = intern!(py, "_eventual_warn_about_too_long_sequence");
                tokenizer.call_method1(name, (ones(py, length)?, py.None(), true))?;
            }
        }
    }
    Ok(())
}

impl OneText {
    /// Looks whether a call can be made natively.
    pub fn prepare<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
        only_ids: bool,
    ) -> PyResult<Outcome<Prepared<'py>>> {
        let py = tokenizer.py();
        let Some(call) = OneCall::read(options)? else { return Ok(Outcome::Refused) };
        let class = tokenizer.get_type();
        let own = tokenizer.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let Some(backend) = own.get_item(intern!(py, "_tokenizer"))? else { return Ok(Outcome::Unprepared) };
        let Ok(state) = backend.cast_into::<EngineState>() else { return Ok(Outcome::Unprepared) };
        let (name, strategies) = (intern!(py, "_encode_plus"), intern!(py, "_get_padding_truncation_strategies"));
        if own.contains(name)? || !options.is_empty() && own.contains(strategies)? {
            return Ok(Outcome::Refused);
        }
        let plain = class.getattr(name)?.is(&self.encode_plus) && self.plain.bind(py).contains(&class)?;
        let attributes = Attributes { tokenizer, own: plain.then_some(&own) };
        let split = attributes.get(intern!(py, "split_special_tokens"))?;
        let native = match native {
            Some(native) => native,
            None => match state.get().ready(py).filter(|_| plain) {
                Some(native) if split.is(PyBool::new(py, native.get().core().encode_special_tokens())) => native,
                _ => return Ok(Outcome::Unprepared),
            },
        };

        let limit = attributes.get(intern!(py, "model_max_length"))?;
        let mut length = call.length;
        let (mut truncates, mut pad) = (call.truncates, call.pad);
        if length.is_none() && (truncates || pad == Pad::ToLength) {
            if limit.gt(&self.unlimited)? {
                truncates = false;
                pad = if pad == Pad::ToLength { Pad::No } else { pad };
            } else {
                let Ok(found) = limit.extract::<usize>() else { return Ok(Outcome::Refused) };
                length = Some(found);
            }
        }
        let mut left = Left { truncation: py.None(), padding: py.None(), split_special: split.unbind() };
        let mut options = EncodeOptions::plain(call.special);
        if let (true, Some(length)) = (truncates, length) {
            let side = attributes.get(intern!(py, "truncation_side"))?;
            let Ok(name) = side.cast::<PyString>() else { return Ok(Outcome::Refused) };
            options.truncation = Some(options::truncation((length, 0, "longest_first".into(), name.to_string()))?);
            left.truncation = (length, 0, intern!(py, "longest_first"), side).into_pyobject(py)?.into_any().unbind();
        }
        if pad != Pad::No {
            if let (true, Some(length), Some(multiple)) = (truncates, length, call.multiple)
                && length % multiple != 0
            {
                return Ok(Outcome::Refused);
            }
            let to = if pad == Pad::ToLength { length } else { None };
            let Some(padding) = padding(&attributes, native.get(), &call, to)? else { return Ok(Outcome::Refused) };
            options.padding = Some(options::padding(padding.extract()?)?);
            left.padding = padding.into_any().unbind();
        }
        let (mut types, mut mask) = (!only_ids && call.types == Some(true), !only_ids && call.mask == Some(true));
        if !only_ids && (call.types.is_none() || call.mask.is_none()) {
            let names = attributes.get(intern!(py, "model_input_names"))?;
            types |= call.types.is_none() && names.contains(intern!(py, "token_type_ids"))?;
            mask |= call.mask.is_none() && names.contains(intern!(py, "attention_mask"))?;
        }
        let limit = length.is_none().then_some(limit);
        let rest = Rest { tokenizer: tokenizer.clone(), state, limit, left };
        Ok(Outcome::Done(Prepared { native, options, form: call.form, types, mask, rest }))
    }
}

/// Attributes of a tokenizer: its own dictionary's, if all of them are plain.
struct Attributes<'a, 'py> {
    tokenizer: &'a Bound<'py, PyAny>,
    own: Option<&'a Bound<'py, PyDict>>,
}

impl<'py> Attributes<'_, 'py> {
    fn get(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match self.own.map(|own| own.get_item(name)).transpose()?.flatten() {
            Some(value) => Ok(value),
            None => self.tokenizer.getattr(name),
        }
    }
}

/// The padding of a call, to a length or to the longest row; None where stock has to say what is wrong.
fn padding<'py>(
    attributes: &Attributes<'_, 'py>,
    native: &Tokenizer,
    call: &OneCall,
    length: Option<usize>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = attributes.tokenizer.py();
    let special = attributes.get(intern!(py, "_special_tokens_map"))?;
    let token = special.cast::<PyDict>()?.get_item(intern!(py, "pad_token"))?;
    let Some(token) = token.filter(|token| !token.is_none()) else { return Ok(None) };
    let token = token.str()?;
    let Some(id) = native.core().token_to_id(token.to_str()?) else { return Ok(None) };
    let side = match call.side {
        Some(side) => PyString::intern(py, side).into_any(),
        None => attributes.get(intern!(py, "padding_side"))?,
    };
    let type_id = attributes.tokenizer.getattr(intern!(py, "pad_token_type_id"))?;
    (length, side, call.multiple, id, type_id, token).into_pyobject(py).map(Some)
}
