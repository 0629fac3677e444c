//! The native half of `penstock.Tokenizer`: one immutable core tokenizer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::{PyArray1, PyArray2};
use penstock::TokenId;
use penstock::formats::tiktoken::ENCODINGS;
use penstock::tokenizer::{self, Fields};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};

use crate::added_token::{AddedToken, token_to_add};
use crate::arrays::{Ids, array, array_of_pairs, id_at, require_known};
use crate::decode_stream::DecodeStream;
use crate::encoding::Encoding;
use crate::errors::{detached, interruptible, to_py};
use crate::inputs::{Item, Rows, Sequence, Texts, text};
use crate::lazy_lists::{LazyLists, Wanted};
use crate::options::{self, PaddingArguments, TruncationArguments};
use crate::padded::pairs_of;
use crate::token_tables::Tables;

/// Values, row offsets and, on request, character offsets of a batch.
type RaggedArrays<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>, Option<Bound<'py, PyArray2<u32>>>);

/// Bytes from which on one text is worth the threads.
const LONG_TEXT: usize = 1 << 20;

/// Bytes up to which a text is encoded without letting other threads run: handing the interpreter over and back takes
/// longer than such a text.
pub const SHORT_TEXT: usize = 1 << 11;

/// A token of a model: id, text, and bytes of the piece.
type Token = (TokenId, String, (u32, u32));

/// An immutable tokenizer, shared between threads without a lock.
#[pyclass(frozen, module = "penstock._native")]
pub struct Tokenizer {
    core: Arc<tokenizer::Tokenizer>,
    tables: Tables,
}

impl Tokenizer {
    /// Shares a tokenizer of the core.
    pub fn new(core: tokenizer::Tokenizer) -> Self {
        Self { core: Arc::new(core), tables: Tables::default() }
    }

    /// The tokenizer in the core.
    pub fn core(&self) -> &tokenizer::Tokenizer {
        &self.core
    }

    /// The tokenizer in the core, to be kept.
    pub fn shared(&self) -> &Arc<tokenizer::Tokenizer> {
        &self.core
    }

    /// What is kept of its vocabulary as Python objects.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }
}

#[pymethods]
impl Tokenizer {
    #[staticmethod]
    #[pyo3(signature = (path, /))]
    fn from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| tokenizer::Tokenizer::from_file(&path)).map(Self::new).map_err(|error| to_py(error, Some(&path)))
    }

    #[staticmethod]
    #[pyo3(signature = (json, /))]
    fn from_buffer(py: Python<'_>, json: &Bound<'_, PyBytes>) -> PyResult<Self> {
        let json = json.as_bytes();
        detached(py, || tokenizer::Tokenizer::from_bytes(json)).map(Self::new)
    }

    #[staticmethod]
    #[pyo3(signature = (json, /))]
    fn from_str(py: Python<'_>, json: &Bound<'_, PyAny>) -> PyResult<Self> {
        let json = text(json, None)?;
        detached(py, || tokenizer::Tokenizer::from_bytes(json.as_bytes())).map(Self::new)
    }

    #[staticmethod]
    #[pyo3(signature = (path, pattern, special_tokens, /))]
    fn from_tiktoken(
        py: Python<'_>,
        path: PathBuf,
        pattern: &str,
        special_tokens: Vec<(String, TokenId)>,
    ) -> PyResult<Self> {
        py.detach(|| tokenizer::Tokenizer::from_tiktoken(&path, pattern, &special_tokens))
            .map(Self::new)
            .map_err(|error| to_py(error, Some(&path)))
    }

    #[staticmethod]
    #[pyo3(signature = (path, /))]
    fn from_sentencepiece(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| tokenizer::Tokenizer::from_sentencepiece(&path))
            .map(Self::new)
            .map_err(|error| to_py(error, Some(&path)))
    }

    #[pyo3(signature = (sequence, pair=None, is_pretokenized=false, add_special_tokens=true))]
    fn encode(
        &self,
        py: Python<'_>,
        sequence: &Bound<'_, PyAny>,
        pair: Option<&Bound<'_, PyAny>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
    ) -> PyResult<Encoding> {
        let sequence = Sequence::new(sequence, is_pretokenized, None)?;
        let pair = pair.map(|pair| Sequence::new(pair, is_pretokenized, None)).transpose()?;
        let encoding = detached(py, || {
            let pair = pair.as_ref().map(Sequence::as_input);
            self.core.encode(&sequence.as_input(), pair.as_ref(), &self.core.default_options(add_special_tokens))
        })?;
        Ok(Encoding::new(encoding, Arc::clone(&self.core)))
    }

    #[pyo3(signature = (inputs, is_pretokenized=false, add_special_tokens=true))]
    fn encode_batch(
        &self,
        py: Python<'_>,
        inputs: &Bound<'_, PyAny>,
        is_pretokenized: bool,
        add_special_tokens: bool,
    ) -> PyResult<Vec<Encoding>> {
        if inputs.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("inputs must be a list of sequences, not a single str"));
        }
        let items: Vec<Item> = inputs
            .try_iter()?
            .enumerate()
            .map(|(row, item)| Item::new(&item?, is_pretokenized, row))
            .collect::<PyResult<_>>()?;
        let encodings = interruptible(py, |stop| {
            let inputs: Vec<_> = items.iter().map(Item::as_inputs).collect();
            self.core.encode_batch(&inputs, &self.core.default_options(add_special_tokens), stop)
        })?;
        Ok(encodings.into_iter().map(|encoding| Encoding::new(encoding, Arc::clone(&self.core))).collect())
    }

    /// The model alone, on one piece of text.
    #[pyo3(signature = (piece, /))]
    fn tokenize(&self, py: Python<'_>, piece: &Bound<'_, PyAny>) -> PyResult<Vec<Token>> {
        let piece = text(piece, None)?;
        let tokens = detached(py, || self.core.model().tokenize(&piece))?;
        Ok(tokens.into_iter().map(|(id, token, [start, end])| (id, token, (start, end))).collect())
    }

    #[pyo3(signature = (encoding, pair=None, add_special_tokens=true))]
    fn post_process(
        &self,
        py: Python<'_>,
        encoding: &Bound<'_, Encoding>,
        pair: Option<&Bound<'_, Encoding>>,
        add_special_tokens: bool,
    ) -> PyResult<Encoding> {
        let (encoding, pair) = (encoding.get().detached(), pair.map(|pair| pair.get().detached()));
        let options = self.core.default_options(add_special_tokens);
        let encoding = detached(py, || self.core.post_process(encoding, pair, &options))?;
        Ok(Encoding::new(encoding, Arc::clone(&self.core)))
    }

    #[pyo3(signature = (text, /, add_special_tokens=true))]
    fn encode_ids<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyAny>,
        add_special_tokens: bool,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let text = crate::inputs::text(text, None)?;
        // A long text takes the way of a batch: over the cores, and Ctrl-C stops it.
        let ids = if text.len() >= LONG_TEXT {
            interruptible(py, |stop| self.core.encode_ragged(&[&text], add_special_tokens, false, stop))?.values
        } else {
            detached(py, || self.core.encode_ids(&text, add_special_tokens))?
        };
        Ok(array(py, ids))
    }

    #[pyo3(signature = (texts, /, add_special_tokens=true, offsets=false))]
    fn encode_ragged<'py>(
        &self,
        py: Python<'py>,
        texts: Texts<'py>,
        add_special_tokens: bool,
        offsets: bool,
    ) -> PyResult<RaggedArrays<'py>> {
        let rows = texts.rows()?;
        let ragged = interruptible(py, |stop| self.core.encode_ragged(&rows, add_special_tokens, offsets, stop))?;
        let offsets = ragged.offsets.map(|offsets| array_of_pairs(py, offsets)).transpose()?;
        Ok((array(py, ragged.values), array(py, ragged.row_offsets), offsets))
    }

    #[expect(clippy::too_many_arguments, reason = "options of the Python API")]
    #[pyo3(signature = (texts, pairs, /, is_pretokenized, add_special_tokens, truncation, padding, dtype, fields, overflowing))]
    fn encode_padded<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        pairs: Option<&Bound<'py, PyAny>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        truncation: Option<TruncationArguments>,
        padding: Option<PaddingArguments>,
        dtype: &str,
        fields: (bool, bool, bool, bool),
        overflowing: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let texts = Rows::new(texts, is_pretokenized)?;
        let pairs = pairs.map(|pairs| Rows::new(pairs, is_pretokenized)).transpose()?;
        let options = options::of_call(add_special_tokens, truncation, padding)?;
        let (attention_mask, type_ids, special_tokens_mask, offsets) = fields;
        let fields = Fields { attention_mask, type_ids, special_tokens_mask, offsets, overflowing };
        crate::padded::encode_padded(py, &self.core, &texts, pairs.as_ref(), &options, fields, dtype)
    }

    #[expect(clippy::too_many_arguments, reason = "options of the Python API")]
    #[pyo3(signature = (texts, pairs, /, is_pretokenized, add_special_tokens, truncation, padding, fields))]
    fn encode_lists<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        pairs: Option<&Bound<'py, PyAny>>,
        is_pretokenized: bool,
        add_special_tokens: bool,
        truncation: Option<TruncationArguments>,
        padding: Option<PaddingArguments>,
        fields: (bool, bool, bool, bool),
    ) -> PyResult<LazyLists> {
        let texts = Rows::new(texts, is_pretokenized)?;
        let pairs = pairs.map(|pairs| Rows::new(pairs, is_pretokenized)).transpose()?;
        let options = options::of_call(add_special_tokens, truncation, padding)?;
        let (mask, types, special, length) = fields;
        let inputs = pairs_of(&texts, pairs.as_ref())?;
        LazyLists::encode(py, &self.core, &inputs, &options, Wanted { types, mask, special, length }, false)
    }

    #[pyo3(signature = (seed, /))]
    fn seed_dropout(&self, seed: u64) {
        self.core.model().seed_dropout(seed);
    }

    #[pyo3(signature = (texts, /))]
    fn count_tokens<'py>(&self, py: Python<'py>, texts: Texts<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = texts.rows()?;
        let counts = interruptible(py, |stop| self.core.count_tokens(&rows, stop))?;
        PyList::new(py, counts)
    }

    #[pyo3(signature = (ids, /, skip_special_tokens=true, strict=false))]
    fn decode(&self, py: Python<'_>, ids: Ids<'_>, skip_special_tokens: bool, strict: bool) -> PyResult<String> {
        let ids = ids.as_slice();
        if strict {
            self.require_tokens(ids)?;
        }
        detached(py, || self.core.decode(ids, skip_special_tokens))
    }

    #[pyo3(signature = (sequences, /, skip_special_tokens=true, strict=false))]
    fn decode_batch(
        &self,
        py: Python<'_>,
        sequences: &Bound<'_, PyAny>,
        skip_special_tokens: bool,
        strict: bool,
    ) -> PyResult<Vec<String>> {
        let sequences: Vec<Ids<'_>> =
            sequences.try_iter()?.map(|ids| ids?.extract::<Ids<'_>>()).collect::<PyResult<_>>()?;
        let rows: Vec<&[TokenId]> = sequences.iter().map(Ids::as_slice).collect();
        if strict {
            rows.iter().try_for_each(|ids| self.require_tokens(ids))?;
        }
        detached(py, || self.core.decode_batch(&rows, skip_special_tokens))
    }

    #[pyo3(signature = (skip_special_tokens=true))]
    fn decode_stream(&self, skip_special_tokens: bool) -> DecodeStream {
        DecodeStream::new(Arc::clone(&self.core), skip_special_tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<TokenId> {
        self.core.token_to_id(token)
    }

    fn id_to_token(&self, id: &Bound<'_, PyAny>) -> PyResult<Option<&str>> {
        Ok(self.core.id_to_token(id_at(id, None)?))
    }

    #[pyo3(signature = (with_added_tokens=true))]
    fn get_vocab<'py>(&self, py: Python<'py>, with_added_tokens: bool) -> PyResult<Bound<'py, PyDict>> {
        if with_added_tokens {
            return self.tables.vocabulary(py, &self.core);
        }
        let vocab = PyDict::new(py);
        for (token, id) in self.core.vocab(with_added_tokens) {
            vocab.set_item(token, id)?;
        }
        Ok(vocab)
    }

    #[pyo3(signature = (with_added_tokens=true))]
    fn get_vocab_size(&self, with_added_tokens: bool) -> usize {
        self.tables.size(&self.core, with_added_tokens)
    }

    fn get_added_tokens_decoder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tokens = PyDict::new(py);
        for (id, token) in self.core.added_vocabulary().iter() {
            tokens.set_item(id, AddedToken::from(token.clone()))?;
        }
        Ok(tokens)
    }

    /// As `get_added_tokens_decoder`, in a class of the same form.
    #[pyo3(signature = (class, /))]
    fn added_tokens_as<'py>(&self, class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyDict>> {
        crate::added_token::dictionary(&self.core, class)
    }

    fn num_special_tokens_to_add(&self, is_pair: bool) -> usize {
        self.core.num_special_tokens_to_add(is_pair)
    }

    #[getter]
    fn encode_special_tokens(&self) -> bool {
        self.core.encode_special_tokens()
    }

    #[pyo3(signature = (value, /))]
    fn with_encode_special_tokens(&self, value: bool) -> Self {
        Self::new(self.core.with_encode_special_tokens(value))
    }

    #[getter]
    fn truncation<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.core.truncation().map(|truncation| options::truncation_dict(py, truncation)).transpose()
    }

    #[pyo3(signature = (arguments, /))]
    fn with_truncation(&self, arguments: Option<TruncationArguments>) -> PyResult<Self> {
        let truncation = arguments.map(options::truncation).transpose()?;
        self.core.with_truncation(truncation).map(Self::new).map_err(|error| to_py(error, None))
    }

    #[getter]
    fn padding<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.core.padding().map(|padding| options::padding_dict(py, padding)).transpose()
    }

    #[pyo3(signature = (arguments, /))]
    fn with_padding(&self, arguments: Option<PaddingArguments>) -> PyResult<Self> {
        Ok(Self::new(self.core.with_padding(arguments.map(options::padding).transpose()?)))
    }

    #[pyo3(signature = (tokens, /, special=false))]
    fn with_added_tokens(&self, py: Python<'_>, tokens: &Bound<'_, PyAny>, special: bool) -> PyResult<(Self, usize)> {
        if tokens.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("tokens must be a list of str or AddedToken, not a single str"));
        }
        let tokens = tokens.try_iter()?.map(|token| token_to_add(&token?, special)).collect::<PyResult<Vec<_>>>()?;
        let (core, added) = detached(py, || self.core.with_added_tokens(&tokens))?;
        Ok((Self::new(core), added))
    }

    #[pyo3(signature = (pretty=false))]
    fn to_str(&self, py: Python<'_>, pretty: bool) -> PyResult<String> {
        detached(py, || self.core.to_json(pretty))
    }

    #[pyo3(signature = (path, /, pretty=true))]
    fn save(&self, py: Python<'_>, path: PathBuf, pretty: bool) -> PyResult<()> {
        detached(py, || self.core.save(&path, pretty))
    }

    #[staticmethod]
    #[pyo3(signature = (json, /))]
    fn from_own_str(py: Python<'_>, json: &str) -> PyResult<Self> {
        detached(py, || tokenizer::Tokenizer::from_own_json(json.as_bytes())).map(Self::new)
    }

    #[pyo3(signature = (stage, /))]
    fn component(&self, py: Python<'_>, stage: &str) -> Option<String> {
        py.detach(|| self.core.component_json(stage))
    }

    #[pyo3(signature = (stage, json, /))]
    fn with_component(&self, py: Python<'_>, stage: &str, json: Option<&str>) -> PyResult<Self> {
        detached(py, || self.core.with_component(stage, json)).map(Self::new)
    }

    #[pyo3(signature = (json, /))]
    fn with_model(&self, py: Python<'_>, json: &str) -> PyResult<Self> {
        detached(py, || self.core.with_model(json)).map(Self::new)
    }

    /// The pipeline's stages: stage, component, and how it runs.
    fn description(&self) -> Vec<(String, String, String)> {
        self.core.description().into_iter().map(|part| (part.stage.to_owned(), part.component, part.engine)).collect()
    }
}

impl Tokenizer {
    fn require_tokens(&self, ids: &[TokenId]) -> PyResult<()> {
        require_known(ids, |id| self.core.id_to_token(id).is_some())
    }
}

/// A pattern, and special tokens with their ids.
type TiktokenEncoding = (&'static str, Vec<(&'static str, TokenId)>);

/// The published tiktoken encodings by name: what their rank files do not hold.
#[pyfunction]
pub fn tiktoken_encodings() -> HashMap<&'static str, TiktokenEncoding> {
    ENCODINGS.iter().map(|known| (known.name, (known.pattern, known.special_tokens.to_vec()))).collect()
}
