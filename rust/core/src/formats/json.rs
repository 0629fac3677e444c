//! What reading JSON without an intermediate tree needs: seeds that write into buffers, and errors that say where.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

use crate::error::{Error, Result};

/// How floating-point numbers are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Numbers {
    /// As `serde_json` reads them by default, and so the reference: the last bit may be off.
    #[default]
    AsReference,
    /// To the last bit.
    Exact,
}

/// Where the parser is, and the error of this crate that made it stop. serde's own errors can carry only text.
#[derive(Debug, Default)]
pub(super) struct Context {
    path: RefCell<String>,
    error: RefCell<Option<Error>>,
    numbers: Numbers,
}

impl Context {
    /// For a text whose numbers are read in this way.
    pub(super) fn new(numbers: Numbers) -> Self {
        Self { numbers, ..Self::default() }
    }

    /// How numbers are read.
    pub(super) fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Notes the way to the value that is read next.
    pub(super) fn enter(&self, path: String) {
        *self.path.borrow_mut() = path;
    }

    /// Notes `error` as the reason to stop, and returns what serde has to be given.
    pub(super) fn fail<E: de::Error>(&self, error: Error) -> E {
        *self.error.borrow_mut() = Some(error);
        E::custom("see the context")
    }

    /// Like [`fail`](Self::fail), for a value of the wrong shape at the current path.
    pub(super) fn fail_here<E: de::Error>(&self, message: impl Into<String>) -> E {
        self.fail(Error::Schema { path: self.path.borrow().clone(), message: message.into() })
    }

    /// The error of this crate for an error of the parser.
    pub(super) fn error(&self, error: &serde_json::Error) -> Error {
        if let Some(error) = self.error.borrow_mut().take() {
            return error;
        }
        let message = error.to_string();
        if error.classify() == Category::Data {
            return Error::Schema { path: self.path.borrow().clone(), message };
        }
        let (line, column) = (error.line(), error.column());
        let place = format!(" at line {line} column {column}");
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        Error::Json { line, column, message }
    }
}

/// A text as a value.
///
/// # Errors
/// [`Error::Json`] when it is no JSON.
pub(super) fn value(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| Context::default().error(&error))
}

/// The bytes as text.
///
/// # Errors
/// [`Error::Json`] at the first byte that is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        Error::Json {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            message: "invalid UTF-8".to_owned(),
        }
    })
}

/// Appends a string to a buffer, with no allocation of its own.
pub(super) struct Append<'b>(pub(super) &'b mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }
}

/// Gives the value at a path of keys to a seed and skips everything else. Of repeated keys the last one counts.
#[derive(Clone, Copy)]
pub(super) struct At<'k, S> {
    pub(super) keys: &'k [&'k str],
    pub(super) seed: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for At<'_, S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.keys.is_empty() {
            return self.seed.deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for At<'_, S> {
    type Value = Option<S::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut value = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.keys[0] {
                value = map.next_value_seed(At { keys: &self.keys[1..], seed: self.seed })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(value)
    }
}
