//! What can be wrong with a benchmark's files and with answers to it.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// How many missing files are named; the rest is counted.
const NAMED: usize = 20;

/// Why there are no questions, or no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// Files of the benchmark are not there.
    #[error("{}: {}", folder.display(), missing(files))]
    Missing {
        /// The benchmark's folder.
        folder: PathBuf,
        /// Each with where to get it: the name below the folder, and the source.
        files: Vec<(String, &'static str)>,
    },
    /// A file cannot be opened or read.
    #[error("{}: cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A line of a file is not what it should be.
    #[error("{}: line {line}: {wrong}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and found.
        wrong: String,
    },
    /// A file is not what it should be.
    #[error("{}: {wrong}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        wrong: String,
    },
}

impl BenchmarkError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> BenchmarkError {
        let path = path.to_owned();
        move |source| BenchmarkError::File { path, source }
    }

    pub(crate) fn line(path: &Path, line: usize, wrong: impl Into<String>) -> BenchmarkError {
        BenchmarkError::Line {
            path: path.to_owned(),
            line,
            wrong: wrong.into(),
        }
    }

    pub(crate) fn content(path: &Path, wrong: impl Into<String>) -> BenchmarkError {
        BenchmarkError::Content {
            path: path.to_owned(),
            wrong: wrong.into(),
        }
    }
}

/// The names of what is missing, by source.
fn missing(files: &[(String, &'static str)]) -> String {
    let mut text = match files.len() {
        1 => "a file is missing".to_owned(),
        n => format!("{n} files are missing"),
    };
    let mut sources: Vec<&str> = Vec::new();
    for (_, from) in files {
        if !sources.contains(from) {
            sources.push(from);
        }
    }
    for from in sources {
        let names: Vec<&str> = files
            .iter()
            .filter(|file| file.1 == from)
            .map(|file| file.0.as_str())
            .collect();
        for name in names.iter().take(NAMED) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {name}");
        }
        if names.len() > NAMED {
            let _ = write!(text, "\n  and {} more", names.len() - NAMED);
        }
        let _ = write!(text, "\n    from {from}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_are_named_with_their_source() {
        let mut files = vec![("a.jsonl".to_owned(), "x.zip")];
        files.extend((0..22).map(|i| (format!("images/{i}.jpg"), "the images")));
        let error = BenchmarkError::Missing {
            folder: "gqa".into(),
            files,
        };
        let text = error.to_string();
        assert!(
            text.starts_with("gqa: 23 files are missing\n  a.jsonl\n    from x.zip\n  images/0"),
            "{text}"
        );
        assert!(
            text.contains("images/19.jpg\n  and 2 more\n    from the images"),
            "{text}"
        );
    }
}
