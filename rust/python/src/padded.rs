//! Matrices out: what the core filled, handed to numpy.

use numpy::{PyArray1, PyArrayMethods};
use penstock::tokenizer::{Element, EncodeOptions, Fields, Input, Padded, Tokenizer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::interruptible;
use crate::inputs::Rows;

/// Encodes into matrices of the integer type named `dtype`, as a dictionary with transformers' names.
///
/// # Errors
/// `ValueError` for another type or for as many texts as pairs, and those of the core.
pub fn encode_padded<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    texts: &Rows<'_>,
    pairs: Option<&Rows<'_>>,
    options: &EncodeOptions,
    fields: Fields,
    dtype: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let firsts = texts.inputs()?;
    let seconds = pairs.map(Rows::inputs).transpose()?;
    if let Some(seconds) = &seconds
        && seconds.len() != firsts.len()
    {
        let message = format!("{} texts and {} pairs: each text needs one", firsts.len(), seconds.len());
        return Err(PyValueError::new_err(message));
    }
    let inputs: Vec<(Input<'_>, Option<Input<'_>>)> = match seconds {
        Some(seconds) => firsts.into_iter().zip(seconds.into_iter().map(Some)).collect(),
        None => firsts.into_iter().map(|first| (first, None)).collect(),
    };
    match dtype {
        "int64" => run::<i64>(py, tokenizer, &inputs, options, fields),
        "int32" => run::<i32>(py, tokenizer, &inputs, options, fields),
        "uint32" => run::<u32>(py, tokenizer, &inputs, options, fields),
        _ => Err(PyValueError::new_err(format!("dtype must be \"int64\", \"int32\" or \"uint32\", not {dtype:?}"))),
    }
}

fn run<'py, T: Element + numpy::Element>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    inputs: &[(Input<'_>, Option<Input<'_>>)],
    options: &EncodeOptions,
    fields: Fields,
) -> PyResult<Bound<'py, PyDict>> {
    let padded = interruptible(py, |stop| tokenizer.encode_padded::<T>(inputs, options, fields, stop))?;
    let Padded { rows, width, input_ids, attention_mask, type_ids, special_tokens_mask, offsets, samples } = padded;
    let dict = PyDict::new(py);
    let matrix = |name: &str, values: Vec<T>, wanted: bool| {
        if wanted { dict.set_item(name, PyArray1::from_vec(py, values).reshape([rows, width])?) } else { Ok(()) }
    };
    matrix("input_ids", input_ids, true)?;
    matrix("token_type_ids", type_ids, fields.type_ids)?;
    matrix("attention_mask", attention_mask, fields.attention_mask)?;
    matrix("special_tokens_mask", special_tokens_mask, fields.special_tokens_mask)?;
    if fields.offsets {
        dict.set_item("offset_mapping", PyArray1::from_vec(py, offsets).reshape([rows, width, 2])?)?;
    }
    if fields.overflowing {
        dict.set_item("overflow_to_sample_mapping", PyArray1::from_vec(py, samples))?;
    }
    Ok(dict)
}
