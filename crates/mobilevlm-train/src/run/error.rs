//! What can go wrong with the files of a run.

use std::io;
use std::path::{Path, PathBuf};

/// Why the files of a run cannot be written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file cannot be read or written; the disk is full, for instance.
    #[error("{}: cannot be {doing}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `written`, …
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process works in the folder.
    #[error("{}: another process trains into this folder; stop it, or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file of a run has content that was not written there.
    #[error("{}: {wrong}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected and found, and what to do.
        wrong: String,
    },
}

impl RunError {
    pub(crate) fn file(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> RunError {
        let path = path.into();
        move |source| RunError::File {
            path,
            doing,
            source,
        }
    }

    pub(crate) fn content(path: &Path, wrong: impl Into<String>) -> RunError {
        RunError::Content {
            path: path.to_owned(),
            wrong: wrong.into(),
        }
    }
}
