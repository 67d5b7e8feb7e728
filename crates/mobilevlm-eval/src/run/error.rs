//! Why a run does not begin or end.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::BenchmarkError;

/// What can go wrong with a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The benchmark's files are missing or not as they should be.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
    /// A file of the run cannot be opened, read, written or made.
    #[error("{}: cannot be {doing}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `written` …
        doing: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the run does not hold what it should.
    #[error("{}: {wrong}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        wrong: String,
    },
    /// A line of an answers file does not hold what it should.
    #[error("{}: line {line}: {wrong}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was expected and found.
        wrong: String,
    },
    /// The folder has answers that this run would not give.
    #[error(
        "{}: these answers are another run's, and answers of two runs do not mix:{}\n\
         Name another folder with --out, or remove this one",
        folder.display(), lines(differences)
    )]
    Changed {
        /// The folder of the answers.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// Answers without a record.
    #[error(
        "{}: expected answers of this program with {} beside them, found answers without: name \
         another folder with --out, or remove the file",
        .0.display(), super::record::RECORD_FILE
    )]
    Foreign(PathBuf),
    /// Another process writes to the answers file.
    #[error(
        "{}: another process is writing to it: wait for it, or name another folder with --out",
        .0.display()
    )]
    Busy(PathBuf),
    /// A question cannot be asked.
    #[error("{task}: question {line}{}: {wrong}", of_picture(picture.as_deref()))]
    Question {
        /// The benchmark.
        task: String,
        /// The question's line, from 1.
        line: usize,
        /// Its picture.
        picture: Option<String>,
        /// What is wrong.
        wrong: String,
    },
    /// The run was cancelled; what was answered is kept.
    #[error("cancelled")]
    Cancelled,
    /// Parts of a shared run do not make a whole.
    #[error("{}: {wrong}", folder.display())]
    Shards {
        /// The run's folder.
        folder: PathBuf,
        /// Which parts are missing, doubled or unfinished.
        wrong: String,
    },
}

impl RunError {
    pub(crate) fn file(path: &Path, doing: &'static str, source: io::Error) -> RunError {
        RunError::File {
            path: path.to_owned(),
            doing,
            source,
        }
    }
}

fn of_picture(picture: Option<&str>) -> String {
    picture.map_or(String::new(), |picture| format!(", picture {picture}"))
}

/// Each on a line of its own.
fn lines(all: &[String]) -> String {
    let mut text = String::new();
    for line in all {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {line}");
    }
    text
}
