//! Opens files as bytes: mapped, or read where mapping is not wanted.
//!
//! The only module of this crate with unsafe code.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

/// How the bytes of a file come into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Mapped: pages are read when they are touched, and shared with other processes.
    ///
    /// While it is mapped, nobody may change or shorten the file: weights that change give wrong
    /// answers, and a shortened file ends the process with a bus error. Files that this crate
    /// writes are replaced by renaming, which leaves a mapping of the old file intact.
    #[default]
    Map,
    /// Read into memory: for files that may change, and for file systems that cannot map.
    Read,
}

/// The whole content of a regular file.
///
/// Pipes, devices and folders are refused, because reading some of them never ends.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<Bytes> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a regular file",
        ));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if access == Access::Read || length == 0 {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        file.read_to_end(&mut bytes)?;
        return Ok(bytes.into());
    }
    // SAFETY: the mapping is read-only and lives as long as the `Bytes` that own it; that nobody
    // changes the file meanwhile is asked of the caller at `Access::Map`, and every header is
    // copied before it is checked, so that a check cannot be undone by such a change.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    // Weights are read at the speed of memory, where translating addresses of 4 KiB pages costs a
    // part of it. A file system without large pages refuses, which changes nothing.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_and_read_bytes_are_the_files() {
        let folder = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"x", &[7; 10_000]] {
            let path = folder.path().join("file");
            std::fs::write(&path, content).unwrap();
            for access in [Access::Map, Access::Read] {
                assert_eq!(open(&path, access).unwrap(), content, "{access:?}");
            }
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(folder.path(), Access::Map).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
