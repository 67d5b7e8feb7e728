//! The answers file of a run under way: whole lines, on the disk, in the order of the questions.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::RunError;

/// Appends answers; holds the file against other processes.
#[derive(Debug)]
pub(crate) struct AnswersFile {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl AnswersFile {
    /// Opens or creates the file, and takes what is in it for answers of this run.
    ///
    /// A last line without an end is what a process left that was killed while it wrote, and is
    /// removed. `check` looks at the other lines, counted from 0, and says what is wrong with one.
    ///
    /// # Errors
    /// [`RunError::File`], [`RunError::Busy`] if another process has it, [`RunError::Line`] for a
    /// line that `check` refuses.
    pub(crate) fn open(
        path: &Path,
        mut check: impl FnMut(usize, &[u8]) -> Result<(), String>,
    ) -> Result<AnswersFile, RunError> {
        let failed = |doing| move |error| RunError::file(path, doing, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("opened"))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(RunError::Busy(path.to_owned())),
            // Some network file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed("read"))?;
        let mut lines = 0;
        let mut kept = 0;
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            check(lines, line).map_err(|wrong| RunError::Line {
                path: path.to_owned(),
                line: lines + 1,
                wrong,
            })?;
            kept += line.len() as u64 + 1;
            lines += 1;
        }
        if kept < content.len() as u64 {
            file.set_len(kept)
                .and_then(|()| file.sync_all())
                .map_err(failed("written"))?;
        }
        file.seek(SeekFrom::Start(kept)).map_err(failed("read"))?;
        Ok(AnswersFile {
            path: path.to_owned(),
            file,
            lines,
        })
    }

    /// Lines that are there.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Adds a line, which ends with its line break; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`RunError::File`] if it cannot be written.
    pub(crate) fn append(&mut self, line: &[u8]) -> Result<(), RunError> {
        self.file
            .write_all(line)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| RunError::file(&self.path, "written", error))?;
        self.lines += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<AnswersFile, RunError> {
        AnswersFile::open(path, |_, line| match line {
            b"{bad}" => Err("no answer".to_owned()),
            _ => Ok(()),
        })
    }

    #[test]
    fn half_a_line_is_removed_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let read = || String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        for (left, lines, kept) in [
            ("", 0, ""),
            ("{1", 0, ""),
            ("{1}\n", 1, "{1}\n"),
            ("{1}\n{2}\n{3", 2, "{1}\n{2}\n"),
            // What a power cut can leave.
            ("{1}\n\0\0\0", 1, "{1}\n"),
        ] {
            std::fs::write(&path, left).unwrap();
            let mut file = open(&path).unwrap();
            assert_eq!((file.lines(), read().as_str()), (lines, kept), "{left:?}");
            file.append(b"{new}\n").unwrap();
            assert_eq!(read(), format!("{kept}{{new}}\n"));
        }
    }

    #[test]
    fn a_strange_line_and_a_second_process_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        std::fs::write(&path, "{1}\n{bad}\n{3}\n").unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(
            error.contains("answers.jsonl: line 2: no answer"),
            "{error}"
        );

        std::fs::write(&path, "").unwrap();
        let first = open(&path).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, RunError::Busy(_)), "{error}");
        drop(first);
        assert!(open(&path).is_ok());
    }
}
