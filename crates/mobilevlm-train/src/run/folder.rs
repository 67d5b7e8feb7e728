//! The folder of a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::RunError;

/// The folder of a run, held by one process at a time.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked until it is dropped or the process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder where it is missing, and holds it.
    ///
    /// # Errors
    /// [`RunError::InUse`] while another process holds it; [`RunError::File`] if it cannot be made.
    pub fn open(path: &Path) -> Result<RunFolder, RunError> {
        fs::create_dir_all(path).map_err(RunError::file(path, "made"))?;
        let lock_path = path.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(RunError::file(&lock_path, "made"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::InUse {
                    path: path.to_owned(),
                });
            }
            // Some network disks have no locks; there the user has to see to it.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => {
                return Err(RunError::file(lock_path, "locked")(source));
            }
        }
        Ok(RunFolder {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Puts the names in a folder on the disk. Only Unix can, and only there it is needed.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("runs/one");
        let held = RunFolder::open(&path).unwrap();
        assert!(matches!(
            RunFolder::open(&path),
            Err(RunError::InUse { .. })
        ));
        drop(held);
        RunFolder::open(&path).unwrap();
    }
}
