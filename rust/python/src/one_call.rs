//! The options of a call with texts, as far as they are taken natively.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBoolMethods, PyDict, PyInt, PyString};

/// What a column comes as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A list of integers, or lists of them.
    List,
    /// A `NumPy` matrix.
    Array,
    /// The same as a tensor.
    Tensor,
}

/// How far rows are filled up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pad {
    /// Not at all.
    No,
    /// To the longest row.
    Longest,
    /// To the length of the call, or to the tokenizer's own limit.
    ToLength,
}

/// The options of one call.
pub struct OneCall {
    /// Let the post-processor add its tokens.
    pub special: bool,
    /// Cut texts at the length.
    pub truncates: bool,
    /// How far rows are filled up.
    pub pad: Pad,
    /// The length of the call; the tokenizer's own limit if none.
    pub length: Option<usize>,
    /// Rows are filled up to a multiple of this.
    pub multiple: Option<usize>,
    /// The side that is filled up; the tokenizer's own if none.
    pub side: Option<&'static str>,
    /// What a column comes as.
    pub form: Form,
    /// With a mask; the tokenizer decides if none.
    pub mask: Option<bool>,
    /// With type ids; the tokenizer decides if none.
    pub types: Option<bool>,
}

impl OneCall {
    /// Reads the keywords of a call; None if one of them asks for more.
    ///
    /// # Errors
    /// None that can be provoked: keywords are strings.
    pub fn read(keywords: &Bound<'_, PyDict>) -> PyResult<Option<Self>> {
        let mut call = Self {
            special: true,
            truncates: false,
            pad: Pad::No,
            length: None,
            multiple: None,
            side: None,
            form: Form::List,
            mask: None,
            types: None,
        };
        if keywords.is_empty() {
            return Ok(Some(call));
        }
        let mut truncation = None;
        for (name, value) in keywords.iter() {
            let name = name.cast::<PyString>()?;
            if value.is_none() {
                match name.to_str()? {
                    "return_attention_mask"
                    | "return_token_type_ids"
                    | "return_tensors"
                    | "truncation"
                    | "max_length"
                    | "pad_to_multiple_of"
                    | "padding_side" => {
                        continue;
                    }
                    _ => return Ok(None),
                }
            }
            let taken = match name.to_str()? {
                "add_special_tokens" => flag(&value).map(|value| call.special = value),
                "padding" => pad(&value).map(|value| call.pad = value),
                "return_attention_mask" => flag(&value).map(|value| call.mask = Some(value)),
                "return_token_type_ids" => flag(&value).map(|value| call.types = Some(value)),
                "return_tensors" => form(&value).map(|value| call.form = value),
                "truncation" => truncates(&value).map(|value| truncation = Some(value)),
                "max_length" => whole(&value).map(|value| call.length = Some(value)),
                "pad_to_multiple_of" => whole(&value).map(|value| call.multiple = Some(value)),
                "padding_side" => side(&value).map(|value| call.side = Some(value)),
                _ => None,
            };
            if taken.is_none() {
                return Ok(None);
            }
        }
        call.truncates = match (truncation, call.length, call.pad) {
            (Some(truncates), None, _) => truncates,
            // A length alone cuts the text, unless it could be meant for the padding.
            (Some(true), Some(_), _) | (None, Some(_), Pad::No) => true,
            (None, None, _) | (None | Some(false), Some(_), Pad::ToLength) => false,
            // Stock says that the length is for nothing.
            (None | Some(false), Some(_), _) => return Ok(None),
        };
        Ok(Some(call))
    }
}

/// True and False themselves.
pub fn flag(value: &Bound<'_, PyAny>) -> Option<bool> {
    value.cast::<PyBool>().ok().map(PyBoolMethods::is_true)
}

/// A length; zero is left to stock, which does not cut then.
fn whole(value: &Bound<'_, PyAny>) -> Option<usize> {
    value.cast_exact::<PyInt>().ok()?.extract().ok().filter(|&length| length > 0)
}

fn form(value: &Bound<'_, PyAny>) -> Option<Form> {
    match value.cast_exact::<PyString>().ok()?.to_str().ok()? {
        "pt" => Some(Form::Tensor),
        "np" => Some(Form::Array),
        _ => None,
    }
}

fn pad(value: &Bound<'_, PyAny>) -> Option<Pad> {
    if let Some(value) = flag(value) {
        return Some(if value { Pad::Longest } else { Pad::No });
    }
    match value.cast_exact::<PyString>().ok()?.to_str().ok()? {
        "longest" => Some(Pad::Longest),
        "max_length" => Some(Pad::ToLength),
        _ => None,
    }
}

fn truncates(value: &Bound<'_, PyAny>) -> Option<bool> {
    if let Some(value) = flag(value) {
        return Some(value);
    }
    (value.cast_exact::<PyString>().ok()?.to_str().ok()? == "longest_first").then_some(true)
}

fn side(value: &Bound<'_, PyAny>) -> Option<&'static str> {
    match value.cast_exact::<PyString>().ok()?.to_str().ok()? {
        "left" => Some("left"),
        "right" => Some("right"),
        _ => None,
    }
}
