//! Where the rows of a data set are. Made once, then read from a file.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::replace::replace_file;

/// Where the index of a data set is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IndexPlace {
    /// Beside the data, as `FILE.index`.
    #[default]
    Beside,
    /// In this folder, which is made if it is not there.
    Folder(PathBuf),
    /// Nowhere: the data is read again next time.
    Nowhere,
}

impl IndexPlace {
    pub(super) fn path(&self, data: &Path) -> Option<PathBuf> {
        let mut name = data.file_name()?.to_owned();
        match self {
            IndexPlace::Beside => {
                name.push(".index");
                Some(data.with_file_name(name))
            }
            IndexPlace::Folder(folder) => {
                // Two files of one name may be indexed there.
                let full = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
                let digest = Sha256::digest(full.as_os_str().as_encoded_bytes());
                let short: String = digest[..6]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                name.push(format!("-{short}.index"));
                Some(folder.join(name))
            }
            IndexPlace::Nowhere => None,
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) offset: u64,
    /// How long it is.
    pub(super) bytes: u32,
    /// Its modality length; 0 for a row that is no sample.
    pub(super) length: i32,
}

const MAGIC: &[u8; 8] = b"mvlmidx1";
const ENTRY: usize = 16;
/// How much of the data's beginning is hashed to know it again.
const HEAD: u64 = 64 << 10;
/// Digest of the data's identity, number of rows, digest of the entries.
const HEADER: usize = 8 + 32 + 8 + 32;

/// What a data file is known by: size, time of change, hash of its beginning.
pub(super) fn identity(data: &File) -> io::Result<[u8; 32]> {
    let about = data.metadata()?;
    let mut digest = Sha256::new();
    digest.update(about.len().to_le_bytes());
    // A system without times has only size and content.
    let changed = about.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    digest.update(changed.map_or(0, |time| time.as_nanos()).to_le_bytes());
    let mut head = Vec::new();
    data.take(HEAD).read_to_end(&mut head)?;
    digest.update(&head);
    Ok(digest.finalize().into())
}

/// The index in `path`, if it is whole and of this data.
pub(super) fn load(path: &Path, identity: &[u8; 32]) -> Option<Vec<Entry>> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER];
    reader.read_exact(&mut header).ok()?;
    if header[..8] != *MAGIC || header[8..40] != *identity {
        return None;
    }
    let count = u64::from_le_bytes(header[40..48].try_into().ok()?);
    // The file's own length bounds what is allocated.
    if count
        .checked_mul(ENTRY as u64)?
        .checked_add(HEADER as u64)?
        != size
    {
        return None;
    }
    let mut entries = Vec::with_capacity(usize::try_from(count).ok()?);
    let mut digest = Sha256::new();
    let mut entry = [0; ENTRY];
    for _ in 0..count {
        reader.read_exact(&mut entry).ok()?;
        digest.update(entry);
        entries.push(Entry {
            offset: u64::from_le_bytes(entry[..8].try_into().ok()?),
            bytes: u32::from_le_bytes(entry[8..12].try_into().ok()?),
            length: i32::from_le_bytes(entry[12..].try_into().ok()?),
        });
    }
    (digest.finalize()[..] == header[48..80]).then_some(entries)
}

/// Writes the index to `path`, whole or not at all.
pub(super) fn save(path: &Path, identity: &[u8; 32], entries: &[Entry]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut digest = Sha256::new();
    for entry in entries {
        digest.update(bytes_of(entry));
    }
    replace_file(path, |writer| {
        writer.write_all(MAGIC)?;
        writer.write_all(identity)?;
        writer.write_all(&(entries.len() as u64).to_le_bytes())?;
        writer.write_all(&digest.finalize())?;
        entries
            .iter()
            .try_for_each(|entry| writer.write_all(&bytes_of(entry)))
    })
}

fn bytes_of(entry: &Entry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..8].copy_from_slice(&entry.offset.to_le_bytes());
    bytes[8..12].copy_from_slice(&entry.bytes.to_le_bytes());
    bytes[12..].copy_from_slice(&entry.length.to_le_bytes());
    bytes
}
