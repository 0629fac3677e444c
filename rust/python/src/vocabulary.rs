//! Questions about single tokens, and tokens of texts, in one call each: in Python they would take as long as several.

use std::borrow::Cow;

use penstock::TokenId;
use penstock::tokenizer::Tokenizer as Core;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PySet, PyString, PyTuple};

use crate::engine_state::{Left, Ready};
use crate::errors::detached;
use crate::id_rows;
use crate::one_call::flag;
use crate::prepared::warn;
use crate::token_tables::Tables;
use crate::tokenizer::SHORT_TEXT;

/// Answers for tokenizers of which nothing stands between the question and the engine. Each method returns None where the
/// general way has to be gone.
#[pyclass(frozen, module = "penstock._native")]
pub struct Vocabulary {
    /// The methods and properties by name that a tokenizer's class must not have overridden.
    methods: Py<PyDict>,
}

/// A name and the special token that has it.
type Named<'py> = (Bound<'py, PyAny>, Bound<'py, PyString>);

impl<'py> Ready<'py> {
    fn core(&self) -> &Core {
        self.native.get().core()
    }

    fn tables(&self) -> &Tables {
        self.native.get().tables()
    }

    fn token(&self, id: TokenId) -> Option<Bound<'py, PyString>> {
        self.tables().token(self.own.py(), self.core(), id)
    }

    fn tokens(&self, ids: &[TokenId]) -> PyResult<Bound<'py, PyList>> {
        PyList::new(self.own.py(), ids.iter().map(|&id| self.token(id)))
    }
}

impl Vocabulary {
    /// Whether a method, or a property, is the one that is ours.
    fn is_ours<'py>(&self, ready: &Ready<'py>, name: &Bound<'py, PyString>) -> PyResult<bool> {
        let ours = self.methods.bind(ready.own.py()).get_item(name)?;
        let found = ready.tokenizer.get_type().getattr(name)?;
        Ok(ours.is_some_and(|ours| ours.is(&found)) && !ready.own.contains(name)?)
    }

    /// Whether stock would ask the engine for each token, and for nothing else.
    fn asks_the_engine(&self, ready: &Ready<'_>) -> PyResult<bool> {
        self.is_ours(ready, intern!(ready.own.py(), "_convert_token_to_id_with_added_voc"))
    }

    /// The ids of strings, and of what is unknown the id that the tokenizer has for that.
    fn ids<'py>(ready: &Ready<'py>, tokens: &[Bound<'py, PyString>]) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = ready.own.py();
        let mut unknown: Option<Bound<'py, PyAny>> = None;
        let mut ids = Vec::with_capacity(tokens.len());
        for token in tokens {
            ids.push(match (ready.core().token_to_id(token.to_str()?), &unknown) {
                (Some(id), _) => PyInt::new(py, id).into_any(),
                (None, Some(id)) => id.clone(),
                (None, None) => {
                    // A tokenizer without one says so each time.
                    let id = ready.tokenizer.getattr(intern!(py, "unk_token_id"))?;
                    unknown = (!id.is_none()).then(|| id.clone());
                    id
                }
            });
        }
        Ok(ids)
    }

    /// The special tokens of a tokenizer that have names, by these.
    fn named<'py>(ready: &Ready<'py>) -> PyResult<Option<Vec<Named<'py>>>> {
        let py = ready.own.py();
        let named = ready.own.get_item(intern!(py, "_special_tokens_map"))?;
        let Some(Ok(named)) = named.map(Bound::cast_into_exact::<PyDict>) else { return Ok(None) };
        let mut tokens = Vec::new();
        for name in ready.tokenizer.getattr(intern!(py, "SPECIAL_TOKENS_ATTRIBUTES"))?.try_iter()? {
            let name = name?;
            if let Some(token) = named.get_item(&name)?.filter(|token| !token.is_none()) {
                tokens.push((name, token.str()?));
            }
        }
        Ok(Some(tokens))
    }

    fn special_tokens<'py>(ready: &Ready<'py>) -> PyResult<Option<Vec<Bound<'py, PyString>>>> {
        let py = ready.own.py();
        let extra = ready.own.get_item(intern!(py, "_extra_special_tokens"))?;
        let Some(Ok(extra)) = extra.map(Bound::cast_into_exact::<PyList>) else { return Ok(None) };
        let Some(named) = Self::named(ready)? else { return Ok(None) };
        let (seen, mut tokens) = (PySet::empty(py)?, Vec::new());
        let named = named.into_iter().map(|(_, token)| Ok(token));
        for token in named.chain(extra.iter().map(|token| token.str())) {
            let token = token?;
            if !seen.contains(&token)? {
                seen.add(&token)?;
                tokens.push(token);
            }
        }
        Ok(Some(tokens))
    }

    fn special_ids<'py>(&self, ready: &Ready<'py>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let py = ready.own.py();
        let is_ours = self.is_ours(ready, intern!(py, "convert_tokens_to_ids"))?
            && self.is_ours(ready, intern!(py, "all_special_tokens"))?
            && self.asks_the_engine(ready)?;
        let tokens = if is_ours { Self::special_tokens(ready)? } else { None };
        tokens.map(|tokens| Self::ids(ready, &tokens)).transpose()
    }
}

/// The strings of a list or tuple of nothing else.
fn strings<'py>(tokens: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyString>>> {
    let string = |token: Bound<'py, PyAny>| token.cast_into::<PyString>().ok();
    if let Ok(list) = tokens.cast_exact::<PyList>() {
        return list.iter().map(string).collect();
    }
    tokens.cast_exact::<PyTuple>().ok()?.iter().map(string).collect()
}

#[pymethods]
impl Vocabulary {
    #[new]
    fn new(methods: Py<PyDict>) -> Self {
        Self { methods }
    }

    #[pyo3(signature = (tokenizer, ids, skip_special_tokens, /))]
    fn convert_ids_to_tokens<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        ids: &Bound<'py, PyAny>,
        skip_special_tokens: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        if let Some(id) = id_rows::one(ids) {
            return Ok(ready.token(id).map(Bound::into_any));
        }
        let (Some(mut ids), Some(skips)) = (id_rows::row(ids), flag(skip_special_tokens)) else { return Ok(None) };
        if skips {
            if !self.is_ours(&ready, intern!(tokenizer.py(), "all_special_ids"))? {
                return Ok(None);
            }
            let Some(special) = self.special_ids(&ready)? else { return Ok(None) };
            let mut special: Vec<TokenId> = special.iter().filter_map(id_rows::one).collect();
            special.sort_unstable();
            ids.retain(|id| special.binary_search(id).is_err());
        }
        ready.tokens(&ids).map(|tokens| Some(tokens.into_any()))
    }

    #[pyo3(signature = (tokenizer, tokens, /))]
    fn convert_tokens_to_ids<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        tokens: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = tokenizer.py();
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        if !self.asks_the_engine(&ready)? {
            return Ok(None);
        }
        if let Ok(token) = tokens.cast::<PyString>() {
            return Ok(ready.core().token_to_id(token.to_str()?).map(|id| PyInt::new(py, id).into_any()));
        }
        let Some(tokens) = strings(tokens) else { return Ok(None) };
        Ok(Some(PyList::new(py, Self::ids(&ready, &tokens)?)?.into_any()))
    }

    #[pyo3(signature = (tokenizer, text, /))]
    fn tokenize<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        text: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = tokenizer.py();
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        if !self.is_ours(&ready, intern!(py, "_encode_plus"))? {
            return Ok(None);
        }
        let (core, split) = (ready.core(), tokenizer.getattr(intern!(py, "split_special_tokens"))?);
        if flag(&split) != Some(core.encode_special_tokens()) {
            return Ok(None);
        }
        let named = |ids: &[TokenId]| ready.tables().are_of_one_text(core, ids).then(|| ready.tokens(ids)).transpose();
        let utf8 = crate::inputs::text(text.as_any(), None)?;
        let named = if utf8.len() <= SHORT_TEXT {
            core.with_ids(&utf8, false, named).map_err(|error| crate::errors::to_py(error, None))?
        } else {
            named(&detached(py, || core.encode_ids(&utf8, false))?)
        };
        let Some(tokens) = named? else { return Ok(None) };
        let limit = tokenizer.getattr(intern!(py, "model_max_length"))?;
        warn(tokenizer, &limit, std::iter::once(tokens.len()))?;
        let left = Left { truncation: py.None(), padding: py.None(), split_special: split.unbind() };
        ready.state.get().count_tokenized(left);
        Ok(Some(tokens))
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, tokens, /))]
    fn convert_tokens_to_string(tokenizer: &Bound<'_, PyAny>, tokens: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        let Ok(tokens) = tokens.cast_exact::<PyList>() else { return Ok(None) };
        let Some(tokens) = strings(tokens) else { return Ok(None) };
        // Without a decoder, stock hands lone surrogates on.
        let utf8: Option<_> = tokens.iter().map(|token| token.to_str().ok().map(Cow::Borrowed)).collect();
        let Some(tokens): Option<Vec<_>> = utf8 else { return Ok(None) };
        Ok(match ready.core().decoder() {
            Some(decoder) => decoder.decode(tokens).ok(),
            None => Some(tokens.join(" ")),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, /))]
    fn get_vocab<'py>(tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let ready = Ready::new(tokenizer)?;
        ready.map(|ready| ready.tables().vocabulary(tokenizer.py(), ready.core())).transpose()
    }

    #[pyo3(signature = (tokenizer, /))]
    fn get_added_vocab<'py>(&self, tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = tokenizer.py();
        match Ready::new(tokenizer)? {
            Some(ready) if self.is_ours(&ready, intern!(py, "added_tokens_decoder"))? => {
                ready.tables().added(py, ready.core()).map(Some)
            }
            _ => Ok(None),
        }
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, /))]
    fn length(tokenizer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        Ok(Ready::new(tokenizer)?.map(|ready| ready.tables().size(ready.core(), true)))
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, /))]
    fn vocab_size(tokenizer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        Ok(Ready::new(tokenizer)?.map(|ready| ready.tables().size(ready.core(), false)))
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, is_pair, /))]
    fn num_special_tokens_to_add(tokenizer: &Bound<'_, PyAny>, is_pair: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let Some(is_pair) = flag(is_pair) else { return Ok(None) };
        Ok(Ready::new(tokenizer)?.map(|ready| ready.core().num_special_tokens_to_add(is_pair)))
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, /))]
    fn all_special_tokens<'py>(tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        let tokens = Self::special_tokens(&ready)?;
        tokens.map(|tokens| PyList::new(tokenizer.py(), tokens)).transpose()
    }

    #[pyo3(signature = (tokenizer, /))]
    fn all_special_ids<'py>(&self, tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        let ids = self.special_ids(&ready)?;
        ids.map(|ids| PyList::new(tokenizer.py(), ids)).transpose()
    }

    #[staticmethod]
    #[pyo3(signature = (tokenizer, /))]
    fn special_tokens_map<'py>(tokenizer: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        let Some(named) = Self::named(&ready)? else { return Ok(None) };
        let tokens = PyDict::new(tokenizer.py());
        named.into_iter().try_for_each(|(name, token)| tokens.set_item(name, token))?;
        Ok(Some(tokens))
    }

    /// A special token, or the id of one, under the name that the tokenizer has for it.
    #[pyo3(signature = (tokenizer, name, /))]
    fn special<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = tokenizer.py();
        let text = name.to_str()?;
        let wants_id = text.ends_with("_id");
        if text.starts_with('_') || text.ends_with("_ids") {
            return Ok(None);
        }
        let key = if wants_id { PyString::new(py, &text[..text.len() - 3]) } else { name.clone() };
        let Some(ready) = Ready::new(tokenizer)? else { return Ok(None) };
        let Some(named) = ready.own.get_item(intern!(py, "_special_tokens_map"))? else { return Ok(None) };
        let Ok(named) = named.cast_exact::<PyDict>() else { return Ok(None) };
        let Some(token) = named.get_item(&key)?.filter(|token| !token.is_none()) else { return Ok(None) };
        if !tokenizer.getattr(intern!(py, "SPECIAL_TOKENS_ATTRIBUTES"))?.contains(&key)? {
            return Ok(None);
        }
        let token = token.str()?;
        if !wants_id {
            return Ok(Some(token.into_any()));
        }
        if !self.is_ours(&ready, intern!(py, "convert_tokens_to_ids"))? || !self.asks_the_engine(&ready)? {
            return Ok(None);
        }
        Ok(ready.core().token_to_id(token.to_str()?).map(|id| PyInt::new(py, id).into_any()))
    }
}
