//! What can go wrong with a model that is trained.

use std::path::PathBuf;

use mobilevlm_checkpoint::{CheckpointError, TensorError};
use mobilevlm_data::SpliceError;

/// Why a model cannot be made, run, stepped or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A checkpoint cannot be opened or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tensor is absent or has other sizes than the configuration asks for.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The pictures of a batch cannot be put in place.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// A file beside the weights cannot be read or written.
    #[error("{path}: cannot be {doing}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file beside the weights does not hold what it should.
    #[error("{path}: {wrong}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        wrong: String,
    },
    /// A batch does not fit the model.
    #[error("{what}: expected {expected}, found {found}")]
    Input {
        /// The part of the input.
        what: &'static str,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A parameter that is trained is missing from what belongs to it: a gradient, a state.
    #[error("parameter {name}: no {what}")]
    Parameter {
        /// Upstream's name.
        name: String,
        /// What is missing.
        what: &'static str,
    },
}
