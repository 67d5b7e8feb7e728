//! Writes a file whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `path` through a new file beside it, which takes its place when it is complete and on
/// the disk. On an error the new file is removed and the old one is untouched.
///
/// # Errors
/// What `content` or the system says.
pub fn replace_file(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let sibling = Sibling::of(path)?;
    // Follows no link that somebody put there; what a killed process left is in the way of its own
    // number only.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&sibling.0)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    content(&mut writer)?;
    let file: File = writer.into_inner().map_err(|error| error.into_error())?;
    // Without this the rename can reach the disk before the content does.
    file.sync_all()?;
    fs::rename(&sibling.0, path)
}

/// The new file's path; removed when dropped, unless it has been renamed.
struct Sibling(PathBuf);

impl Sibling {
    fn of(path: &Path) -> io::Result<Sibling> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "no file name");
        let mut name = path.file_name().ok_or_else(missing)?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        Ok(Sibling(path.with_file_name(name)))
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        // Not there any more after the rename.
        let _ = fs::remove_file(&self.0);
    }
}
