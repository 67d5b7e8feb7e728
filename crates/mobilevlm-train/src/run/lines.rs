//! A file of JSON lines, one or more for each step.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::RunError;

/// What a line may be long; ours have a few hundred bytes.
const LONGEST: u64 = 1 << 20;

/// What is written down of a step.
pub(super) trait OfStep: Serialize + DeserializeOwned {
    /// The step, from 1.
    fn step(&self) -> u64;
}

/// The file, open for more lines.
#[derive(Debug)]
pub(super) struct Lines<T> {
    path: PathBuf,
    file: File,
    of: PhantomData<T>,
}

impl<T: OfStep> Lines<T> {
    /// Opens the file `path`, or makes it, and cuts off what comes after step `last`.
    pub(super) fn open(path: &Path, last: u64) -> Result<Lines<T>, RunError> {
        let failed = || RunError::file(path, "opened");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed())?;
        let mut kept = 0;
        let (_, end) = walk(path, &mut file, &mut |record: T, end| {
            let keep = record.step() <= last;
            if keep {
                kept = record.step();
            }
            (keep, end)
        })?;
        // Where a step's line was lost after its checkpoint was written, the file was damaged.
        if let Some(wrong) = end.wrong
            && kept < last
        {
            let wrong = format!(
                "line {}: {wrong}; move the file away to go on with a new one",
                end.line
            );
            return Err(RunError::content(path, wrong));
        }
        file.set_len(end.bytes).map_err(failed())?;
        Ok(Lines {
            path: path.to_owned(),
            file,
            of: PhantomData,
        })
    }

    /// Adds a line; whoever reads the file next sees it.
    pub(super) fn add(&mut self, record: &T) -> Result<(), RunError> {
        let mut line = serde_json::to_vec(record)
            .map_err(|error| RunError::content(&self.path, error.to_string()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.map_err(RunError::file(&self.path, "written"))
    }

    /// Puts all lines on the disk.
    pub(super) fn sync(&self) -> Result<(), RunError> {
        let synced = self.file.sync_all();
        synced.map_err(RunError::file(&self.path, "written"))
    }
}

/// All whole lines of the file `path`.
pub(super) fn read<T: OfStep>(path: &Path) -> Result<Vec<T>, RunError> {
    let mut file = File::open(path).map_err(RunError::file(path, "read"))?;
    let (records, end) = walk(path, &mut file, &mut |record: T, _| (true, record))?;
    match end.wrong {
        Some(wrong) if !end.is_partial => {
            let wrong = format!("line {}: {wrong}", end.line);
            Err(RunError::content(path, wrong))
        }
        _ => Ok(records),
    }
}

/// Where a walk ended.
struct End {
    /// Bytes of the lines that were taken.
    bytes: u64,
    /// The line after them, from 1.
    line: usize,
    /// What is wrong with that line.
    wrong: Option<String>,
    /// Whether that line has no end: it was being written.
    is_partial: bool,
}

/// Gives lines to `take` until it says false, or until one that is none.
fn walk<T: OfStep, R>(
    path: &Path,
    file: &mut File,
    take: &mut dyn FnMut(T, u64) -> (bool, R),
) -> Result<(Vec<R>, End), RunError> {
    let mut reader = BufReader::new(file);
    let mut taken = Vec::new();
    let mut end = End {
        bytes: 0,
        line: 1,
        wrong: None,
        is_partial: false,
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line);
        let read = read.map_err(RunError::file(path, "read"))? as u64;
        if read == 0 {
            return Ok((taken, end));
        }
        end.is_partial = line.last() != Some(&b'\n');
        let record = match serde_json::from_slice(&line) {
            Ok(record) if !end.is_partial => record,
            Ok(_) => {
                end.wrong = Some("the line has no end".to_owned());
                return Ok((taken, end));
            }
            Err(error) => {
                end.wrong = Some(error.to_string());
                return Ok((taken, end));
            }
        };
        let (keep, result) = take(record, end.bytes + read);
        if !keep {
            return Ok((taken, end));
        }
        taken.push(result);
        end.bytes += read;
        end.line += 1;
    }
}
