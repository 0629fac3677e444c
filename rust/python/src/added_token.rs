//! `AddedToken`, with the names and defaults of the reference.

use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use penstock::added_vocabulary;
use penstock::tokenizer::Tokenizer;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

/// A token found in the text before the model runs.
#[pyclass(frozen, eq, hash, module = "penstock")]
pub struct AddedToken {
    /// `content` and `special` may be set.
    state: Mutex<State>,
}

#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the reference's flags")]
struct State {
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    /// Left open, it follows from `special`, also if that is said later.
    normalized: Option<bool>,
    special: bool,
}

impl State {
    fn token(self) -> added_vocabulary::AddedToken {
        added_vocabulary::AddedToken {
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized.unwrap_or(!self.special),
            special: self.special,
            content: self.content,
        }
    }
}

impl AddedToken {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> added_vocabulary::AddedToken {
        self.state().clone().token()
    }
}

impl PartialEq for AddedToken {
    fn eq(&self, other: &Self) -> bool {
        self.token() == other.token()
    }
}

impl Eq for AddedToken {}

/// The content alone: what is equal has the same, and what is set later but the content does not change it.
impl Hash for AddedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state().content.hash(state);
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
        Self { state: Mutex::new(State { content, single_word, lstrip, rstrip, normalized, special }) }
    }

    #[getter]
    fn content(&self) -> String {
        self.state().content.clone()
    }

    #[setter]
    fn set_content(&self, content: String) {
        self.state().content = content;
    }

    #[getter]
    fn single_word(&self) -> bool {
        self.state().single_word
    }

    #[getter]
    fn lstrip(&self) -> bool {
        self.state().lstrip
    }

    #[getter]
    fn rstrip(&self) -> bool {
        self.state().rstrip
    }

    #[getter]
    fn normalized(&self) -> bool {
        self.token().normalized
    }

    #[getter]
    fn special(&self) -> bool {
        self.state().special
    }

    #[setter]
    fn set_special(&self, special: bool) {
        self.state().special = special;
    }

    fn __str__(&self) -> String {
        self.content()
    }

    fn __repr__(&self) -> String {
        let title = |flag: bool| if flag { "True" } else { "False" };
        let token = self.token();
        format!(
            "AddedToken({:?}, rstrip={}, lstrip={}, single_word={}, normalized={}, special={})",
            token.content,
            title(token.rstrip),
            title(token.lstrip),
            title(token.single_word),
            title(token.normalized),
            title(token.special)
        )
    }

    /// Arguments to build an equal token, by position and by name, for pickle.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((String,), Bound<'py, pyo3::types::PyDict>)> {
        let State { content, single_word, lstrip, rstrip, normalized, special } = self.state().clone();
        let options = pyo3::types::PyDict::new(py);
        options.set_item("single_word", single_word)?;
        options.set_item("lstrip", lstrip)?;
        options.set_item("rstrip", rstrip)?;
        options.set_item("normalized", normalized)?;
        options.set_item("special", special)?;
        Ok(((content,), options))
    }
}

impl From<added_vocabulary::AddedToken> for AddedToken {
    fn from(token: added_vocabulary::AddedToken) -> Self {
        let added_vocabulary::AddedToken { content, single_word, lstrip, rstrip, normalized, special } = token;
        Self::new(content, single_word, lstrip, rstrip, Some(normalized), special)
    }
}

/// Reads one token to add: a `str`, our `AddedToken`, or an object with the same attributes (the reference's).
///
/// # Errors
/// `TypeError` for anything else.
pub fn token_to_add(object: &Bound<'_, PyAny>, special: bool) -> PyResult<added_vocabulary::AddedToken> {
    if let Ok(content) = object.cast::<PyString>() {
        let content = content.to_str()?.to_owned();
        return Ok(AddedToken::new(content, false, false, false, None, special).token());
    }
    if let Ok(token) = object.cast::<AddedToken>() {
        let token = token.get();
        if special {
            // As in the reference, the object learns that it is special.
            token.set_special(true);
        }
        return Ok(token.token());
    }
    let mut token = from_attributes(object).map_err(|_| PyTypeError::new_err("tokens must be str or AddedToken"))?;
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

/// The added tokens by id, in a class that is made as ours is.
///
/// # Errors
/// Those of the class.
pub fn dictionary<'py>(core: &Tokenizer, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyDict>> {
    let py = class.py();
    let tokens = PyDict::new(py);
    let mut kept: Option<([bool; 5], Bound<'py, PyDict>)> = None;
    for (id, token) in core.added_vocabulary().iter() {
        let values = [token.normalized, token.special, token.lstrip, token.rstrip, token.single_word];
        // Most tokens have the flags of the one before.
        let flags = match kept.take() {
            Some((before, flags)) if before == values => flags,
            _ => flags(py, values)?,
        };
        tokens.set_item(id, class.call((&token.content,), Some(&flags))?)?;
        kept = Some((values, flags));
    }
    Ok(tokens)
}

/// The flags as arguments. Only the first one has to be said if it is false.
fn flags(py: Python<'_>, values: [bool; 5]) -> PyResult<Bound<'_, PyDict>> {
    let names = [
        intern!(py, "normalized"),
        intern!(py, "special"),
        intern!(py, "lstrip"),
        intern!(py, "rstrip"),
        intern!(py, "single_word"),
    ];
    let flags = PyDict::new(py);
    for (i, (name, value)) in names.into_iter().zip(values).enumerate() {
        if value || i == 0 {
            flags.set_item(name, value)?;
        }
    }
    Ok(flags)
}
