//! Reading a benchmark's files, each error with file and line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::benchmarks::{Benchmark, Source};
use crate::error::BenchmarkError;

/// Bytes in a line at most. The longest real ones are below a thousandth of this; without a bound,
/// a file without line breaks is read into memory whole.
const LONGEST_LINE: u64 = 64 << 20;

/// The folder of a benchmark: `data` itself, or the one of the benchmark's name in it.
pub fn task_folder(benchmark: &dyn Benchmark, data: &Path) -> PathBuf {
    let below = data.join(benchmark.name());
    match below.is_dir() {
        true => below,
        false => data.to_owned(),
    }
}

/// Demands that these are there.
///
/// # Errors
/// [`BenchmarkError::Missing`] names all that are not.
pub(crate) fn demand(folder: &Path, files: &[Source]) -> Result<(), BenchmarkError> {
    let missing: Vec<(String, &'static str)> = files
        .iter()
        .filter(|file| !folder.join(file.path).exists())
        .map(|file| (file.path.to_owned(), file.from))
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(BenchmarkError::Missing {
            folder: folder.to_owned(),
            files: missing,
        }),
    }
}

/// Reads a file line by line. Lines end with `\n` or `\r\n`; the last one need not.
pub struct LineReader {
    path: PathBuf,
    file: BufReader<File>,
    line: usize,
    bytes: Vec<u8>,
}

impl LineReader {
    /// Opens the file.
    ///
    /// # Errors
    /// [`BenchmarkError::File`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<LineReader, BenchmarkError> {
        let file = File::open(path).map_err(BenchmarkError::file(path))?;
        Ok(LineReader {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            line: 0,
            bytes: Vec::new(),
        })
    }

    /// The next line that is not blank, without its end, and its number from 1; `None` at the end
    /// of the file.
    ///
    /// # Errors
    /// [`BenchmarkError`] if it cannot be read, is no UTF-8 or longer than 64 MiB.
    pub fn next_line(&mut self) -> Result<Option<(usize, &str)>, BenchmarkError> {
        loop {
            self.bytes.clear();
            let read = (&mut self.file)
                .take(LONGEST_LINE + 1)
                .read_until(b'\n', &mut self.bytes)
                .map_err(BenchmarkError::file(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read as u64 > LONGEST_LINE {
                return Err(BenchmarkError::line(
                    &self.path,
                    self.line,
                    format!("longer than {} MiB", LONGEST_LINE >> 20),
                ));
            }
            if !self.bytes.trim_ascii().is_empty() {
                break;
            }
        }
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(Some((self.line, text.trim_end_matches(['\r', '\n'])))),
            Err(error) => Err(BenchmarkError::line(
                &self.path,
                self.line,
                format!("byte {} of the line is no UTF-8", error.valid_up_to()),
            )),
        }
    }
}

/// Reads JSON lines; each with its number.
///
/// # Errors
/// [`BenchmarkError`] names the first line that is no `T`.
pub(crate) fn json_lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<Vec<(usize, T)>, BenchmarkError> {
    let mut reader = LineReader::open(path)?;
    let mut all = Vec::new();
    while let Some((line, text)) = reader.next_line()? {
        let row = serde_json::from_str(text)
            .map_err(|error| BenchmarkError::line(path, line, one_line(&error)))?;
        all.push((line, row));
    }
    Ok(all)
}

/// Reads one JSON value.
///
/// # Errors
/// [`BenchmarkError`] names the line where it is no `T`.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, BenchmarkError> {
    let bytes = std::fs::read(path).map_err(BenchmarkError::file(path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| BenchmarkError::line(path, error.line(), one_line(&error)))
}

/// What is wrong, without the line, which is told already.
pub(crate) fn one_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(wrong) => format!("column {}: {wrong}", error.column()),
        None => text,
    }
}
