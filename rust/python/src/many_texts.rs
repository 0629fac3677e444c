//! A list of texts to a finished result in one call.

use penstock::tokenizer::{Fields, Input};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::errors::interruptible_if;
use crate::inputs::text;
use crate::lazy_encodings::{LazyEncodings, Texts};
use crate::lazy_lists::{LazyLists, Wanted};
use crate::one_call::Form;
use crate::one_text::OneText;
use crate::padded;
use crate::prepared::{Outcome, Prepared};
use crate::tokenizer::{SHORT_TEXT, Tokenizer};

/// Tokens up to which lists are made at once: to make them later, when somebody looks, takes as long as so many. With 2^10 the
/// ids of eight texts of 20 tokens took a twentieth longer, since nobody looked at their masks.
const FEW_TOKENS: usize = 1 << 7;

/// The columns of a batch, or its rows, and what its encodings are made of.
type Batch<'py> = (Bound<'py, PyAny>, LazyEncodings);

impl OneText {
    /// Encodes a list of texts; refuses one that holds something else.
    pub fn many<'py>(
        &self,
        tokenizer: &Bound<'py, PyAny>,
        texts: &Bound<'py, PyList>,
        options: &Bound<'py, PyDict>,
        native: Option<Bound<'py, Tokenizer>>,
    ) -> PyResult<Outcome<Batch<'py>>> {
        if texts.is_empty() {
            return Ok(Outcome::Refused);
        }
        // Python code may run from here on, and change the list.
        let texts = texts.to_tuple();
        if !texts.iter_borrowed().all(|text| text.is_instance_of::<PyString>()) {
            return Ok(Outcome::Refused);
        }
        match self.prepare(tokenizer, options, native, false)? {
            Outcome::Unprepared => Ok(Outcome::Unprepared),
            Outcome::Refused => Ok(Outcome::Refused),
            Outcome::Done(call) => self.batch(call, texts),
        }
    }

    fn batch<'py>(&self, call: Prepared<'py>, texts: Bound<'py, PyTuple>) -> PyResult<Outcome<Batch<'py>>> {
        let py = texts.py();
        let strings: Vec<_> =
            texts.iter_borrowed().enumerate().map(|(row, item)| text(&item, Some(row))).collect::<PyResult<_>>()?;
        let is_short = strings.iter().map(|text| text.len()).sum::<usize>() <= SHORT_TEXT;
        let inputs: Vec<_> = strings.iter().map(|text| (Input::Text(text), None)).collect();
        let core = call.native.get().core();
        let columns = if call.form == Form::List {
            let wanted = Wanted { types: call.types, mask: call.mask, ..Wanted::default() };
            let rows = LazyLists::encode(py, core, &inputs, &call.options, wanted, is_short)?;
            call.rest.finish(rows.lengths())?;
            if rows.count() <= FEW_TOKENS { rows.lists(py)?.into_any() } else { Bound::new(py, rows)?.into_any() }
        } else {
            let fields = Fields { type_ids: call.types, attention_mask: call.mask, ..Fields::default() };
            let padded = interruptible_if(!is_short, py, |stop| {
                core.encode_padded::<i64>(&inputs, &call.options, fields, stop)
            })?;
            if padded.width == 0 {
                return Ok(Outcome::Refused);
            }
            call.rest.finish(std::iter::once(padded.width))?;
            let is_tensor = call.form == Form::Tensor;
            let wrap = |array| if is_tensor { self.tensor.bind(py).call1((array,)) } else { Ok(array) };
            padded::columns(py, padded, fields, wrap)?.into_any()
        };
        Ok(Outcome::Done((
            columns,
            LazyEncodings::new(call.native.unbind(), Texts::Many(texts.unbind()), call.options),
        )))
    }
}
