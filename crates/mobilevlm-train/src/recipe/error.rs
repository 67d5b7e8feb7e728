//! What is wrong with a recipe, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a value of a recipe stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// A line of the file, from 1.
    Line {
        /// The recipe.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Given with `--set`, as it was typed.
    Set(String),
    /// Nowhere: the file lacks it.
    File(PathBuf),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Line { file, line } => write!(f, "{}:{line}", file.display()),
            At::Set(typed) => write!(f, "--set {typed}"),
            At::File(file) => write!(f, "{}", file.display()),
        }
    }
}

/// What is wrong with a recipe. Every message begins with file and line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("{}: cannot be read as a recipe: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{at}: not TOML: {message}")]
    Syntax {
        /// Where.
        at: At,
        /// What the parser says.
        message: String,
    },
    /// A `--set` that is not `key=value`.
    #[error("--set {typed}: expected KEY=VALUE, such as train.learning_rate=1e-4")]
    Set {
        /// What was typed.
        typed: String,
    },
    /// A key that no recipe has.
    #[error("{at}: no recipe has the key {key:?}; the nearest is {nearest:?}")]
    Unknown {
        /// Where.
        at: At,
        /// The key.
        key: String,
        /// The known key that is most like it.
        nearest: &'static str,
    },
    /// A value of the wrong type or out of range.
    #[error("{at}: {key}: expected {expected}, found {found}")]
    Value {
        /// Where.
        at: At,
        /// The key.
        key: String,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A key that must be there.
    #[error("{at}: {key} is missing: expected {expected}")]
    Missing {
        /// The file.
        at: At,
        /// The key.
        key: String,
        /// What would be right.
        expected: String,
    },
    /// A value that does not go with the rest of the recipe.
    #[error("{at}: {key}: {why}")]
    Contradiction {
        /// Where.
        at: At,
        /// The key.
        key: String,
        /// What it contradicts, and what would be right.
        why: String,
    },
}
