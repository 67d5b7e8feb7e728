//! What can be wrong with a data set's files.

use std::io;
use std::path::PathBuf;

use mobilevlm_processor::ImageError;

/// Why a data set cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be opened, read or written.
    #[error("{}: cannot be {doing}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is not a list of rows.
    #[error("{}: byte {offset}: {wrong}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What was expected and found.
        wrong: String,
    },
    /// A shard is damaged.
    #[error("{}: byte {offset}: {wrong}; make or fetch the shard again", path.display())]
    Tar {
        /// The shard.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What was expected and found.
        wrong: String,
    },
    /// Whoever watches the progress asked to stop.
    #[error("stopped")]
    Stopped,
}

impl DataError {
    pub(crate) fn file(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> DataError {
        let path = path.into();
        move |source| DataError::File {
            path,
            doing,
            source,
        }
    }
}

/// Why a row cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row is no sample.
    #[error("byte {offset}: {wrong}")]
    Broken {
        /// Where the row begins in the file.
        offset: u64,
        /// What was expected and found.
        wrong: String,
    },
    /// There is no such row.
    #[error("row {row} of {rows}")]
    Beyond {
        /// The row, from 0.
        row: usize,
        /// Rows of the file.
        rows: usize,
    },
    /// The file cannot be read; it was changed while it was in use, for instance.
    #[error("cannot be read")]
    Read(#[source] io::Error),
}

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The name leads out of the folder of the pictures.
    #[error("{name:?} {why}; expected a path below the folder of the pictures")]
    Outside {
        /// The name in the data set.
        name: String,
        /// How it does.
        why: &'static str,
    },
    /// No folder and no shard has it.
    #[error("{name:?} is in none of the folders and shards given")]
    Missing {
        /// The name in the data set.
        name: String,
    },
    /// It is there and cannot be read.
    #[error("{name:?} cannot be read")]
    Read {
        /// The name in the data set.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is no whole picture, or larger than the limits allow.
    #[error("{name:?}")]
    Broken {
        /// The name in the data set.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ImageError,
    },
}
