//! The keys `truncation` and `padding`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{Direction, Padding, PaddingStrategy, Truncation, TruncationStrategy};
use crate::error::{Error, Result};
use crate::ids::TokenId;

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
enum DirectionField {
    Left,
    #[default]
    Right,
}

#[derive(Deserialize, Serialize)]
enum TruncationStrategyField {
    LongestFirst,
    OnlyFirst,
    OnlySecond,
}

#[derive(Deserialize, Serialize)]
pub(super) struct TruncationFields {
    #[serde(default)]
    direction: DirectionField,
    max_length: usize,
    strategy: TruncationStrategyField,
    stride: usize,
}

#[derive(Deserialize, Serialize)]
enum PaddingStrategyField {
    BatchLongest,
    Fixed(usize),
}

#[derive(Deserialize, Serialize)]
pub(super) struct PaddingFields {
    strategy: PaddingStrategyField,
    direction: DirectionField,
    pad_to_multiple_of: Option<usize>,
    pad_id: TokenId,
    pad_type_id: u32,
    pad_token: String,
}

/// Reads the value of `truncation`.
pub(super) fn truncation(value: &Value, path: &str) -> Result<Truncation> {
    let fields: TruncationFields = read(value, path)?;
    Ok(Truncation {
        direction: fields.direction.into(),
        max_length: fields.max_length,
        strategy: match fields.strategy {
            TruncationStrategyField::LongestFirst => TruncationStrategy::LongestFirst,
            TruncationStrategyField::OnlyFirst => TruncationStrategy::OnlyFirst,
            TruncationStrategyField::OnlySecond => TruncationStrategy::OnlySecond,
        },
        stride: fields.stride,
    })
}

/// Reads the value of `padding`.
pub(super) fn padding(value: &Value, path: &str) -> Result<Padding> {
    let fields: PaddingFields = read(value, path)?;
    Ok(Padding {
        strategy: match fields.strategy {
            PaddingStrategyField::BatchLongest => PaddingStrategy::BatchLongest,
            PaddingStrategyField::Fixed(length) => PaddingStrategy::Fixed(length),
        },
        direction: fields.direction.into(),
        pad_to_multiple_of: fields.pad_to_multiple_of,
        pad_id: fields.pad_id,
        pad_type_id: fields.pad_type_id,
        pad_token: fields.pad_token,
    })
}

fn read<'a, T: Deserialize<'a>>(value: &'a Value, path: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::Schema { path: path.to_owned(), message: error.to_string() })
}

impl From<DirectionField> for Direction {
    fn from(field: DirectionField) -> Self {
        match field {
            DirectionField::Left => Self::Left,
            DirectionField::Right => Self::Right,
        }
    }
}

impl From<Direction> for DirectionField {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Left => Self::Left,
            Direction::Right => Self::Right,
        }
    }
}

impl From<&Truncation> for TruncationFields {
    fn from(truncation: &Truncation) -> Self {
        Self {
            direction: truncation.direction.into(),
            max_length: truncation.max_length,
            strategy: match truncation.strategy {
                TruncationStrategy::LongestFirst => TruncationStrategyField::LongestFirst,
                TruncationStrategy::OnlyFirst => TruncationStrategyField::OnlyFirst,
                TruncationStrategy::OnlySecond => TruncationStrategyField::OnlySecond,
            },
            stride: truncation.stride,
        }
    }
}

impl From<&Padding> for PaddingFields {
    fn from(padding: &Padding) -> Self {
        Self {
            strategy: match padding.strategy {
                PaddingStrategy::BatchLongest => PaddingStrategyField::BatchLongest,
                PaddingStrategy::Fixed(length) => PaddingStrategyField::Fixed(length),
            },
            direction: padding.direction.into(),
            pad_to_multiple_of: padding.pad_to_multiple_of,
            pad_id: padding.pad_id,
            pad_type_id: padding.pad_type_id,
            pad_token: padding.pad_token.clone(),
        }
    }
}
