//! The options of a call with one text, as far as they are taken natively.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBoolMethods, PyDict, PyInt, PyString};

/// What a column comes as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A list of integers.
    List,
    /// A `NumPy` matrix of one row.
    Array,
    /// The same as a tensor.
    Tensor,
}

/// Where a text is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// Nowhere.
    No,
    /// At so many tokens.
    To(usize),
    /// At the tokenizer's own limit.
    ToLimit,
}

/// The options of one call.
pub struct OneCall {
    /// Let the post-processor add its tokens.
    pub special: bool,
    /// Where the text is cut.
    pub truncate: Truncate,
    /// Fill rows up to the longest, which this one is.
    pub pads: bool,
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
        let mut call =
            Self { special: true, truncate: Truncate::No, pads: false, form: Form::List, mask: None, types: None };
        if keywords.is_empty() {
            return Ok(Some(call));
        }
        let (mut truncation, mut length) = (None, None);
        for (name, value) in keywords.iter() {
            let name = name.cast::<PyString>()?;
            if value.is_none() {
                match name.to_str()? {
                    "return_attention_mask"
                    | "return_token_type_ids"
                    | "return_tensors"
                    | "truncation"
                    | "max_length" => {
                        continue;
                    }
                    _ => return Ok(None),
                }
            }
            let taken = match name.to_str()? {
                "add_special_tokens" => flag(&value).map(|value| call.special = value),
                "padding" => flag(&value).map(|value| call.pads = value),
                "return_attention_mask" => flag(&value).map(|value| call.mask = Some(value)),
                "return_token_type_ids" => flag(&value).map(|value| call.types = Some(value)),
                "return_tensors" => form(&value).map(|value| call.form = value),
                "truncation" => flag(&value).map(|value| truncation = Some(value)),
                "max_length" => whole(&value).map(|value| length = Some(value)),
                _ => None,
            };
            if taken.is_none() {
                return Ok(None);
            }
        }
        call.truncate = match (truncation, length) {
            (None | Some(false), None) => Truncate::No,
            (Some(true), None) => Truncate::ToLimit,
            (Some(true), Some(length)) => Truncate::To(length),
            // A length alone cuts the text, unless it could be meant for the padding.
            (None, Some(length)) if !call.pads => Truncate::To(length),
            (None | Some(false), Some(_)) => return Ok(None),
        };
        Ok(Some(call))
    }
}

fn flag(value: &Bound<'_, PyAny>) -> Option<bool> {
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
