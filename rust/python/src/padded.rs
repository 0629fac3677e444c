//! Matrices out: what the core filled, handed to numpy.

use numpy::ndarray::Array2;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use penstock::tokenizer::{Element, EncodeOptions, Fields, Input, Padded, Tokenizer};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

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
    let inputs = pairs_of(texts, pairs)?;
    match dtype {
        "int64" => arrays::<i64>(py, tokenizer, &inputs, options, fields),
        "int32" => arrays::<i32>(py, tokenizer, &inputs, options, fields),
        "uint32" => arrays::<u32>(py, tokenizer, &inputs, options, fields),
        _ => Err(PyValueError::new_err(format!("dtype must be \"int64\", \"int32\" or \"uint32\", not {dtype:?}"))),
    }
}

/// Texts, and their pairs if there are any.
///
/// # Errors
/// `ValueError` for as many texts as pairs.
pub fn pairs_of<'t>(texts: &'t Rows<'_>, pairs: Option<&'t Rows<'_>>) -> PyResult<Vec<(Input<'t>, Option<Input<'t>>)>> {
    let firsts = texts.inputs()?;
    let seconds = pairs.map(Rows::inputs).transpose()?;
    if let Some(seconds) = &seconds
        && seconds.len() != firsts.len()
    {
        let message = format!("{} texts and {} pairs: each text needs one", firsts.len(), seconds.len());
        return Err(PyValueError::new_err(message));
    }
    Ok(match seconds {
        Some(seconds) => firsts.into_iter().zip(seconds.into_iter().map(Some)).collect(),
        None => firsts.into_iter().map(|first| (first, None)).collect(),
    })
}

fn arrays<'py, T: Element + numpy::Element>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    inputs: &[(Input<'_>, Option<Input<'_>>)],
    options: &EncodeOptions,
    fields: Fields,
) -> PyResult<Bound<'py, PyDict>> {
    let padded = interruptible(py, |stop| tokenizer.encode_padded::<T>(inputs, options, fields, stop))?;
    columns(py, padded, fields, Ok)
}

/// The matrices as arrays with transformers' names, each as `wrap` hands it on.
///
/// # Errors
/// Those of `wrap`.
pub fn columns<'py, T: numpy::Element>(
    py: Python<'py>,
    padded: Padded<T>,
    fields: Fields,
    wrap: impl Fn(Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let Padded { rows, width, input_ids, attention_mask, type_ids, special_tokens_mask, offsets, samples } = padded;
    let dict = PyDict::new(py);
    let matrix = |name: &Bound<'py, PyString>, values: Vec<T>, wanted: bool| {
        if !wanted {
            return Ok(());
        }
        let matrix = Array2::from_shape_vec((rows, width), values).expect("the rows fill it");
        dict.set_item(name, wrap(PyArray2::from_owned_array(py, matrix).into_any())?)
    };
    matrix(intern!(py, "input_ids"), input_ids, true)?;
    matrix(intern!(py, "token_type_ids"), type_ids, fields.type_ids)?;
    matrix(intern!(py, "attention_mask"), attention_mask, fields.attention_mask)?;
    matrix(intern!(py, "special_tokens_mask"), special_tokens_mask, fields.special_tokens_mask)?;
    if fields.offsets {
        dict.set_item("offset_mapping", wrap(PyArray1::from_vec(py, offsets).reshape([rows, width, 2])?.into_any())?)?;
    }
    if fields.overflowing {
        dict.set_item("overflow_to_sample_mapping", wrap(PyArray1::from_vec(py, samples).into_any())?)?;
    }
    Ok(dict)
}
