//! `AddedToken`, with the names and defaults of the reference.

use std::hash::{Hash, Hasher};

use penstock::added_vocabulary;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A token found in the text before the model runs.
#[pyclass(frozen, eq, hash, module = "penstock")]
#[derive(Clone)]
pub struct AddedToken {
    token: added_vocabulary::AddedToken,
    /// `normalized` was left open, so that it follows from `special`, also if that is said later.
    is_open: bool,
}

impl PartialEq for AddedToken {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl Eq for AddedToken {}

impl Hash for AddedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.token.hash(state);
    }
}

#[pymethods]
impl AddedToken {
    #[new]
    #[expect(clippy::fn_params_excessive_bools, reason = "the reference's signature")]
    #[pyo3(signature = (content=String::new(), *, single_word=false, lstrip=false, rstrip=false, normalized=None, special=false))]
    fn new(
        content: String,
        single_word: bool,
        lstrip: bool,
        rstrip: bool,
        normalized: Option<bool>,
        special: bool,
    ) -> Self {
        let is_open = normalized.is_none();
        let normalized = normalized.unwrap_or(!special);
        let token = added_vocabulary::AddedToken { content, single_word, lstrip, rstrip, normalized, special };
        Self { token, is_open }
    }

    #[getter]
    fn content(&self) -> &str {
        &self.token.content
    }

    #[getter]
    fn single_word(&self) -> bool {
        self.token.single_word
    }

    #[getter]
    fn lstrip(&self) -> bool {
        self.token.lstrip
    }

    #[getter]
    fn rstrip(&self) -> bool {
        self.token.rstrip
    }

    #[getter]
    fn normalized(&self) -> bool {
        self.token.normalized
    }

    #[getter]
    fn special(&self) -> bool {
        self.token.special
    }

    fn __str__(&self) -> &str {
        &self.token.content
    }

    fn __repr__(&self) -> String {
        let title = |flag: bool| if flag { "True" } else { "False" };
        format!(
            "AddedToken({:?}, rstrip={}, lstrip={}, single_word={}, normalized={}, special={})",
            self.token.content,
            title(self.token.rstrip),
            title(self.token.lstrip),
            title(self.token.single_word),
            title(self.token.normalized),
            title(self.token.special)
        )
    }

    /// Arguments to build an equal token, by position and by name, for pickle.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((&str,), Bound<'py, pyo3::types::PyDict>)> {
        let options = pyo3::types::PyDict::new(py);
        options.set_item("single_word", self.token.single_word)?;
        options.set_item("lstrip", self.token.lstrip)?;
        options.set_item("rstrip", self.token.rstrip)?;
        options.set_item("normalized", (!self.is_open).then_some(self.token.normalized))?;
        options.set_item("special", self.token.special)?;
        Ok(((&self.token.content,), options))
    }
}

impl From<added_vocabulary::AddedToken> for AddedToken {
    fn from(token: added_vocabulary::AddedToken) -> Self {
        Self { token, is_open: false }
    }
}

/// Reads one token to add: a `str`, our `AddedToken`, or an object with the same attributes (the reference's).
///
/// # Errors
/// `TypeError` for anything else.
pub fn token_to_add(object: &Bound<'_, PyAny>, special: bool) -> PyResult<added_vocabulary::AddedToken> {
    if let Ok(content) = object.cast::<PyString>() {
        let content = content.to_str()?.to_owned();
        return Ok(AddedToken::new(content, false, false, false, None, special).token);
    }
    let mut token = match object.cast::<AddedToken>() {
        Ok(token) => {
            let AddedToken { token, is_open } = token.get().clone();
            let normalized = if is_open { !(token.special || special) } else { token.normalized };
            added_vocabulary::AddedToken { normalized, ..token }
        }
        Err(_) => from_attributes(object).map_err(|_| PyTypeError::new_err("tokens must be str or AddedToken"))?,
    };
    token.special |= special;
    Ok(token)
}

fn from_attributes(object: &Bound<'_, PyAny>) -> PyResult<added_vocabulary::AddedToken> {
    Ok(added_vocabulary::AddedToken {
        content: object.getattr("content")?.extract()?,
        single_word: object.getattr("single_word")?.extract()?,
        lstrip: object.getattr("lstrip")?.extract()?,
        rstrip: object.getattr("rstrip")?.extract()?,
        normalized: object.getattr("normalized")?.extract()?,
        special: object.getattr("special")?.extract()?,
    })
}
