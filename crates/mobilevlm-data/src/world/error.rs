//! What can go wrong with the world.

use std::io;
use std::path::PathBuf;

/// Why a world cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// Pictures of this size are not drawn.
    #[error("pictures of {found} pixels a side are not drawn; choose from {least} to {most}")]
    Size {
        /// What was asked for.
        found: usize,
        /// The smallest side.
        least: usize,
        /// The largest side.
        most: usize,
    },
    /// The folder to write is there.
    #[error("{path}: is there already; remove it or name another folder")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("{path}: cannot be written")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Whoever watches the progress wanted no more; nothing was left behind.
    #[error("stopped")]
    Stopped,
}
