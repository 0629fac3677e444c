//! Guidance, watermarks and the steps of single models, from their names and options.

use std::sync::Arc;

use numpy::{AsSliceError, PyReadonlyArray1};
use penstock::sampling::{Edit, GreenList, Mix, SynthId, Timestamps};
use pyo3::{conversion::FromPyObjectOwned, prelude::*, types::PyTuple};

use crate::errors::SamplingError;

pub fn not_contiguous(_: AsSliceError) -> PyErr {
    SamplingError::new_err("a table must be contiguous")
}

/// What stands behind the name of a step.
pub fn options_of<'py, T: FromPyObjectOwned<'py>>(step: &Bound<'py, PyTuple>) -> PyResult<T> {
    let (_, options): (Bound<'py, PyAny>, T) = step.extract()?;
    Ok(options)
}

/// The step of this name, if there is one here.
pub fn special_step(name: &str, step: &Bound<'_, PyTuple>) -> PyResult<Option<Edit>> {
    Ok(match name {
        "guided" => {
            let (mix, scale, kept): (String, f32, Option<usize>) = options_of(step)?;
            let mix = match mix.as_str() {
                "from guide" => Mix::FromGuide,
                "from row" => Mix::FromRow(kept),
                "logs" => Mix::Logs,
                "of logs" => Mix::OfLogs,
                _ => return Err(SamplingError::new_err(format!("unknown mix {mix:?}"))),
            };
            Some(Edit::Guided(mix, scale))
        }
        "green_list" => {
            let (key, width, vocabulary, size, bias, table): (_, _, _, _, _, Option<PyReadonlyArray1<'_, i64>>) =
                options_of(step)?;
            let table = match table {
                Some(table) => Some(table.as_slice().map(Arc::from).map_err(not_contiguous)?),
                None => None,
            };
            Some(Edit::GreenList(GreenList { key, width, vocabulary, size, bias, table }))
        }
        "synth_id" => {
            let (keys, table, threads): (Vec<i64>, PyReadonlyArray1<'_, bool>, _) = options_of(step)?;
            let table = table.as_slice().map(Arc::from).map_err(not_contiguous)?;
            Some(Edit::SynthId(SynthId { keys: keys.into(), table, threads }))
        }
        "timestamps" => {
            let (begin, first, none, eos, max_initial, detect) = options_of(step)?;
            Some(Edit::Timestamps(Timestamps { begin, first, none, eos, max_initial, detect }))
        }
        "codebooks" => {
            let (start, semantic, codebook) = options_of(step)?;
            Some(Edit::Codebooks { start, semantic, codebook })
        }
        "end_above" => {
            let (ids, least) = options_of(step)?;
            Some(Edit::EndAbove { ids, least })
        }
        "end_of_channel" => {
            let (channels, eos) = options_of(step)?;
            Some(Edit::EndOfChannel { channels, eos })
        }
        "forced_row" => Some(Edit::ForcedRow(options_of(step)?)),
        _ => None,
    })
}
