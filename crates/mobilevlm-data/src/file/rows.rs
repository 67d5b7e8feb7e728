//! The rows of a LLaVA file, read one by one.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::{DataError, RowError};
use super::index::{self, Entry, IndexPlace};
use super::scan::{ScanError, scan};
use crate::sample::Sample;

/// Told how many bytes of how many have been looked at; says whether to go on.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// A LLaVA file: a JSON array or JSON lines of samples, of any number.
///
/// The file is read once to find its rows, which are then kept as 16 bytes each, in a file too
/// ([`IndexPlace`]); a row is read when it is asked for.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    file: Mutex<File>,
    identity: [u8; 32],
    entries: Vec<Entry>,
}

impl Rows {
    /// Opens the file `path`.
    ///
    /// An index that cannot be written is no error: it is made again next time.
    ///
    /// # Errors
    /// [`DataError`] if the file cannot be read or is no list of rows. Rows that are no samples
    /// are no error here: [`Rows::read`] tells of them.
    pub fn open(
        path: &Path,
        place: &IndexPlace,
        on_progress: OnProgress<'_>,
    ) -> Result<Rows, DataError> {
        let read = || DataError::file(path, "read");
        let mut file = File::open(path).map_err(read())?;
        let identity = index::identity(&file).map_err(read())?;
        let place = place.path(path);
        let known = place.as_deref().and_then(|at| index::load(at, &identity));
        let entries = match known {
            Some(entries) => entries,
            None => {
                file.seek(SeekFrom::Start(0)).map_err(read())?;
                let entries = find_rows(path, &file, on_progress)?;
                if let Some(at) = &place {
                    // A data set on a read-only disk can be used all the same.
                    let _ = index::save(at, &identity, &entries);
                }
                entries
            }
        };
        Ok(Rows {
            path: path.to_owned(),
            file: Mutex::new(file),
            identity,
            entries,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows there are, broken ones too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// [`Sample::modality_length`] of each row; 0 for rows that are no samples.
    pub fn modality_lengths(&self) -> Vec<i32> {
        self.entries.iter().map(|entry| entry.length).collect()
    }

    /// What the file is known by: SHA-256 of size, time of change and beginning.
    pub fn identity(&self) -> &[u8; 32] {
        &self.identity
    }

    /// Reads row `row`, from 0.
    ///
    /// # Errors
    /// [`RowError`] if it is no sample or cannot be read.
    pub fn read(&self, row: usize) -> Result<Sample, RowError> {
        let (offset, bytes) = self.read_bytes(row)?;
        parse(&bytes).map_err(|wrong| RowError::Broken { offset, wrong })
    }

    /// Reads the text of row `row` and where it begins.
    ///
    /// # Errors
    /// [`RowError`] if it cannot be read.
    pub fn read_bytes(&self, row: usize) -> Result<(u64, Vec<u8>), RowError> {
        let rows = self.entries.len();
        let entry = self
            .entries
            .get(row)
            .ok_or(RowError::Beyond { row, rows })?;
        let mut bytes = vec![0; entry.bytes as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(entry.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(RowError::Read)?;
        Ok((entry.offset, bytes))
    }
}

fn find_rows(
    path: &Path,
    file: &File,
    on_progress: OnProgress<'_>,
) -> Result<Vec<Entry>, DataError> {
    let total = file.metadata().map_or(0, |about| about.len());
    let mut entries = Vec::new();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let done = scan(&mut reader, &mut |offset, bytes| {
        entries.push(Entry {
            offset,
            // Rows are bounded by `LONGEST_ROW`.
            bytes: bytes.len() as u32,
            length: parse(bytes).map_or(0, |sample| sample.modality_length()),
        });
        entries.len() % 1024 != 0 || on_progress(offset, total).is_continue()
    });
    match done {
        Ok(()) => Ok(entries),
        Err(ScanError::Stopped) => Err(DataError::Stopped),
        Err(ScanError::Read(source)) => Err(DataError::file(path, "read")(source)),
        Err(ScanError::Wrong { offset, wrong }) => Err(DataError::Json {
            path: path.to_owned(),
            offset,
            wrong,
        }),
    }
}

fn parse(bytes: &[u8]) -> Result<Sample, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
