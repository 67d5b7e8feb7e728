//! Writes files so that a failed save never destroys what it would have replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CheckpointError;
use crate::inventory::Inventory;
use crate::safetensors;

/// Writes `path` as a whole or not at all.
///
/// The content goes to a new file beside it, which takes its place when it is complete and on
/// the disk. Whoever has the old file open or mapped keeps the old content. On any error the new
/// file is removed and the old one is untouched.
///
/// # Errors
/// [`CheckpointError::Write`] with what `content` or the system says.
pub fn replace_file(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), CheckpointError> {
    write_beside(path, content).map_err(|source| CheckpointError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Writes an inventory as one safetensors file, whole or not at all.
///
/// # Errors
/// [`CheckpointError::Write`] with what the system says.
pub fn write_safetensors(path: &Path, tensors: &Inventory) -> Result<(), CheckpointError> {
    replace_file(path, |writer| safetensors::write(writer, tensors.iter()))
}

fn write_beside(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    Pending::write(path, content)?.put()
}

/// A new file that is complete and on the disk, and not yet in its place: several files can be
/// written before the first of them replaces an old one. Dropped, it is removed.
pub(crate) struct Pending {
    path: PathBuf,
    sibling: Sibling,
}

impl Pending {
    pub(crate) fn write(
        path: &Path,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (sibling, file) = Sibling::create(path)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        content(&mut writer)?;
        let file = writer.into_inner().map_err(|error| error.into_error())?;
        // Without this the rename can reach the disk before the content does.
        file.sync_all()?;
        Ok(Self {
            path: path.to_owned(),
            sibling,
        })
    }

    /// Gives it its name.
    pub(crate) fn put(mut self) -> io::Result<()> {
        fs::rename(&self.sibling.path, &self.path)?;
        self.sibling.is_done = true;
        sync_folder(&self.path)
    }
}

/// A new file beside the one to replace, removed unless it has taken that one's place.
struct Sibling {
    path: PathBuf,
    is_done: bool,
}

impl Sibling {
    fn create(path: &Path) -> io::Result<(Self, File)> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
        // A name of another writer, or one left by a process that was killed, is passed over.
        for attempt in 0..1000 {
            let mut sibling = name.to_owned();
            sibling.push(format!(".{}-{attempt}.part", std::process::id()));
            let sibling = path.with_file_name(sibling);
            // `create_new` follows no link that somebody put there.
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&sibling)
            {
                Ok(file) => {
                    return Ok((
                        Self {
                            path: sibling,
                            is_done: false,
                        },
                        file,
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "no free name for the new file; remove *.part files",
        ))
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        if !self.is_done {
            // An error is already on its way to the caller; a second one would hide it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Puts a rename on the disk. Only Unix can, and only there it is needed.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::tensor::{Dtype, Tensor};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in ["first", "the second"] {
            replace_file(&path, |writer| writer.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(names(folder.path()), ["file"]);
        }
    }

    #[test]
    fn a_failed_save_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let error = replace_file(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(matches!(error, Err(CheckpointError::Write { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let taken = folder
            .path()
            .join(format!("file.{}-0.part", std::process::id()));
        fs::write(&taken, "somebody else's").unwrap();
        replace_file(&path, |writer| writer.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_to_string(&taken).unwrap(), "somebody else's");
    }

    #[test]
    fn a_panic_in_the_content_removes_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let result =
            std::panic::catch_unwind(|| replace_file(&path, |_| panic!("a bug of the caller")));
        assert!(result.is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn an_inventory_is_written_as_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let tensor =
            Tensor::new(Dtype::F16, vec![1, 2], Bytes::from_static(&[1, 2, 3, 4])).unwrap();
        write_safetensors(&path, &[("a".to_owned(), tensor)].into_iter().collect()).unwrap();
        let file = fs::read(&path).unwrap();
        let entries = safetensors::parse(&file).unwrap();
        assert_eq!(
            (entries[0].name.as_str(), &file[entries[0].range.clone()]),
            ("a", &[1, 2, 3, 4][..])
        );
    }
}
