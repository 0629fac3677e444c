//! One mapping from the core's errors to the exceptions of `penstock.errors`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use penstock::Error;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

mod exceptions {
    //! The classes are written in Python, where one class can inherit a builtin as well.
    use pyo3::import_exception;

    import_exception!(penstock.errors, FileError);
    import_exception!(penstock.errors, LoadError);
    import_exception!(penstock.errors, LogitsError);
    import_exception!(penstock.errors, MissingFileError);
    import_exception!(penstock.errors, PenstockError);
    import_exception!(penstock.errors, RegexError);
    import_exception!(penstock.errors, SamplingError);
    import_exception!(penstock.errors, TokenRangeError);
    import_exception!(penstock.errors, TextError);
    import_exception!(penstock.errors, TokenIdError);
    import_exception!(penstock.errors, TrainingError);
    import_exception!(penstock.errors, TruncationError);
    import_exception!(penstock.errors, UnsupportedComponentError);
}
use exceptions::{
    FileError, LoadError, MissingFileError, PenstockError, RegexError, TrainingError, TruncationError,
    UnsupportedComponentError,
};
pub use exceptions::{SamplingError, TextError, TokenIdError};

/// The exception for an error of sampling.
pub fn from_sampling(error: &penstock::sampling::Error) -> PyErr {
    use penstock::sampling::Error;
    let message = error.to_string();
    match error {
        Error::Row { row, .. } => exceptions::LogitsError::new_err((message, *row)),
        Error::TokenId { .. } => exceptions::TokenRangeError::new_err(message),
        _ => SamplingError::new_err(message),
    }
}

/// The exception for an error of the core; `file` is what was being loaded, if anything was.
pub fn to_py(error: Error, file: Option<&Path>) -> PyErr {
    let file = file.map(|path| path.display().to_string());
    let message = match &file {
        Some(file) if !matches!(error, Error::Io { .. }) => format!("{file}: {error}"),
        _ => error.to_string(),
    };
    match error {
        Error::Io { path, source } => from_io(&path, &source),
        Error::Json { line, column, .. } => LoadError::new_err((message, file, None::<String>, line, column)),
        Error::Schema { path, .. } => LoadError::new_err((message, file, path)),
        Error::UnknownMergeToken { index, .. } => LoadError::new_err((message, file, format!("model.merges[{index}]"))),
        Error::UnsupportedComponent { stage, name } => UnsupportedComponentError::new_err((message, stage, name, file)),
        Error::Limit { .. }
        | Error::Protobuf { .. }
        | Error::NormalizerOrder { .. }
        | Error::EmptyAddedToken { .. } => LoadError::new_err((message, file)),
        Error::Regex { pattern, .. } | Error::RegexSearch { pattern, .. } => RegexError::new_err((message, pattern)),
        Error::AddedTokenOverlap { .. } | Error::MissingUnkToken { .. } => TextError::new_err(message),
        Error::TruncationWithoutPair
        | Error::TruncationTooShort { .. }
        | Error::TruncationStride { .. }
        | Error::RowLength { .. } => TruncationError::new_err(message),
        Error::TrainerOption { option, .. } => TrainingError::new_err((message, option)),
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        _ => PenstockError::new_err(message),
    }
}

/// `OSError` with its number, so that `except FileNotFoundError` works as it does with `open`.
fn from_io(path: &Path, source: &std::io::Error) -> PyErr {
    // The standard library appends the number, which `OSError` prints by itself.
    let reason = source.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default().to_owned();
    let arguments = (source.raw_os_error(), reason, path.display().to_string());
    if source.kind() == std::io::ErrorKind::NotFound {
        MissingFileError::new_err(arguments)
    } else {
        FileError::new_err(arguments)
    }
}

/// Runs `work` detached from the interpreter and maps its error.
///
/// # Errors
/// What `work` returns, as an exception.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> penstock::Result<T> + Send) -> PyResult<T> {
    py.detach(work).map_err(|error| to_py(error, None))
}

/// As [`detached`] for work that is long; handing the interpreter over and back takes longer than what is short.
///
/// # Errors
/// As [`detached`].
pub fn detached_if<T: Send>(
    is_long: bool,
    py: Python<'_>,
    work: impl FnOnce() -> penstock::Result<T> + Send,
) -> PyResult<T> {
    if is_long { detached(py, work) } else { work().map_err(|error| to_py(error, None)) }
}

/// Runs `work` detached; `work` calls the function it is given now and then, and stops when that returns true.
/// This is what makes Ctrl-C stop a long batch.
///
/// # Errors
/// What `work` returns, or what the signal's handler raised.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> penstock::Result<T> + Send,
) -> PyResult<T> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is tied to one lifetime, the closure is not"
    )]
    let stop = || match Python::attach(|py| py.check_signals()) {
        Ok(()) => false,
        Err(error) => {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            true
        }
    };
    let result = py.detach(|| work(&stop));
    let raised = raised.into_inner().unwrap_or_else(PoisonError::into_inner);
    match raised {
        Some(error) => Err(error),
        None => result.map_err(|error| to_py(error, None)),
    }
}

/// As [`interruptible`] for work that is long.
///
/// # Errors
/// As [`interruptible`].
pub fn interruptible_if<T: Send>(
    is_long: bool,
    py: Python<'_>,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> penstock::Result<T> + Send,
) -> PyResult<T> {
    if is_long { interruptible(py, work) } else { work(&|| false).map_err(|error| to_py(error, None)) }
}
