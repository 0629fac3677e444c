//! `AddedToken`, with the names and defaults of the reference.

use penstock::added_vocabulary;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A token found in the text before the model runs.
#[pyclass(frozen, eq, hash, module = "penstock")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AddedToken(added_vocabulary::AddedToken);

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
        let normalized = normalized.unwrap_or(!special);
        Self(added_vocabulary::AddedToken { content, single_word, lstrip, rstrip, normalized, special })
    }

    #[getter]
    fn content(&self) -> &str {
        &self.0.content
    }

    #[getter]
    fn single_word(&self) -> bool {
        self.0.single_word
    }

    #[getter]
    fn lstrip(&self) -> bool {
        self.0.lstrip
    }

    #[getter]
    fn rstrip(&self) -> bool {
        self.0.rstrip
    }

    #[getter]
    fn normalized(&self) -> bool {
        self.0.normalized
    }

    #[getter]
    fn special(&self) -> bool {
        self.0.special
    }

    fn __str__(&self) -> &str {
        &self.0.content
    }

    fn __repr__(&self) -> String {
        let title = |flag: bool| if flag { "True" } else { "False" };
        format!(
            "AddedToken({:?}, rstrip={}, lstrip={}, single_word={}, normalized={}, special={})",
            self.0.content,
            title(self.0.rstrip),
            title(self.0.lstrip),
            title(self.0.single_word),
            title(self.0.normalized),
            title(self.0.special)
        )
    }

    /// Arguments to build an equal token, by position and by name, for pickle.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((&str,), Bound<'py, pyo3::types::PyDict>)> {
        let options = pyo3::types::PyDict::new(py);
        options.set_item("single_word", self.0.single_word)?;
        options.set_item("lstrip", self.0.lstrip)?;
        options.set_item("rstrip", self.0.rstrip)?;
        options.set_item("normalized", self.0.normalized)?;
        options.set_item("special", self.0.special)?;
        Ok(((&self.0.content,), options))
    }
}

impl From<added_vocabulary::AddedToken> for AddedToken {
    fn from(token: added_vocabulary::AddedToken) -> Self {
        Self(token)
    }
}

/// Reads one token to add: a `str`, our `AddedToken`, or an object with the same attributes (the reference's).
///
/// # Errors
/// `TypeError` for anything else.
pub fn token_to_add(object: &Bound<'_, PyAny>, special: bool) -> PyResult<added_vocabulary::AddedToken> {
    if let Ok(content) = object.cast::<PyString>() {
        let content = content.to_str()?.to_owned();
        return Ok(AddedToken::new(content, false, false, false, None, special).0);
    }
    let mut token = match object.cast::<AddedToken>() {
        Ok(token) => token.get().0.clone(),
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
