//! Truncation and padding between Python and the core.

use penstock::TokenId;
use penstock::encoding::{Direction, Padding, PaddingStrategy, Truncation, TruncationStrategy};
use penstock::tokenizer::EncodeOptions;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A side by its name.
///
/// # Errors
/// `ValueError` for another name.
pub fn direction(name: &str) -> PyResult<Direction> {
    match name {
        "left" => Ok(Direction::Left),
        "right" => Ok(Direction::Right),
        _ => Err(PyValueError::new_err(format!("direction must be \"left\" or \"right\", not {name:?}"))),
    }
}

/// A strategy by its name.
///
/// # Errors
/// `ValueError` for another name.
pub fn strategy(name: &str) -> PyResult<TruncationStrategy> {
    match name {
        "longest_first" => Ok(TruncationStrategy::LongestFirst),
        "only_first" => Ok(TruncationStrategy::OnlyFirst),
        "only_second" => Ok(TruncationStrategy::OnlySecond),
        _ => Err(PyValueError::new_err(format!(
            "strategy must be \"longest_first\", \"only_first\" or \"only_second\", not {name:?}"
        ))),
    }
}

/// Maximum length, stride, strategy and direction.
pub type TruncationArguments = (usize, usize, String, String);

/// A truncation from its arguments.
///
/// # Errors
/// `ValueError` for an unknown name.
pub fn truncation((max_length, stride, name, side): TruncationArguments) -> PyResult<Truncation> {
    Ok(Truncation { max_length, stride, strategy: strategy(&name)?, direction: direction(&side)? })
}

/// Length (none for the longest), direction, multiple, id, type id and token.
pub type PaddingArguments = (Option<usize>, String, Option<usize>, TokenId, u32, String);

/// A padding from its arguments.
///
/// # Errors
/// `ValueError` for an unknown name.
pub fn padding(arguments: PaddingArguments) -> PyResult<Padding> {
    let (length, side, pad_to_multiple_of, pad_id, pad_type_id, pad_token) = arguments;
    Ok(Padding {
        strategy: length.map_or(PaddingStrategy::BatchLongest, PaddingStrategy::Fixed),
        direction: direction(&side)?,
        pad_to_multiple_of,
        pad_id,
        pad_type_id,
        pad_token,
    })
}

/// The reference's dictionary of a truncation.
///
/// # Errors
/// None that can be provoked.
pub fn truncation_dict<'py>(py: Python<'py>, truncation: &Truncation) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("max_length", truncation.max_length)?;
    dict.set_item("stride", truncation.stride)?;
    dict.set_item("strategy", truncation.strategy.name())?;
    dict.set_item("direction", truncation.direction.name())?;
    Ok(dict)
}

/// The reference's dictionary of a padding.
///
/// # Errors
/// None that can be provoked.
pub fn padding_dict<'py>(py: Python<'py>, padding: &Padding) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let length = match padding.strategy {
        PaddingStrategy::BatchLongest => None,
        PaddingStrategy::Fixed(length) => Some(length),
    };
    dict.set_item("length", length)?;
    dict.set_item("pad_to_multiple_of", padding.pad_to_multiple_of)?;
    dict.set_item("pad_id", padding.pad_id)?;
    dict.set_item("pad_token", &padding.pad_token)?;
    dict.set_item("pad_type_id", padding.pad_type_id)?;
    dict.set_item("direction", padding.direction.name())?;
    Ok(dict)
}

/// The options of a call from their arguments.
///
/// # Errors
/// `ValueError` for an unknown name.
pub fn of_call(
    add_special_tokens: bool,
    truncation: Option<TruncationArguments>,
    padding: Option<PaddingArguments>,
) -> PyResult<EncodeOptions> {
    Ok(EncodeOptions {
        add_special_tokens,
        truncation: truncation.map(self::truncation).transpose()?,
        padding: padding.map(self::padding).transpose()?,
    })
}
