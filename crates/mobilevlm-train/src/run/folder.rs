//! The folder of a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::RunError;

/// What is written beside its place and then renamed.
const REPLACED: [&str; 4] = ["curves.svg", "recipe.toml", "model", "evaluated"];

/// The folder of a run, held by one process at a time.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Locked until it is dropped or the process ends, however it ends.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder where it is missing, and holds it. What a killed process was writing is
    /// removed.
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
        remove_unfinished(path)?;
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

/// Removes `model.x7Hq.part` and its like: nobody else writes here.
fn remove_unfinished(folder: &Path) -> Result<(), RunError> {
    for entry in fs::read_dir(folder).map_err(RunError::file(folder, "read"))? {
        let path = entry.map_err(RunError::file(folder, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let unfinished = name.is_some_and(|name| {
            let of = |replaced: &&str| {
                let rest = name.strip_prefix(*replaced);
                rest.is_some_and(|rest| rest.starts_with('.'))
            };
            (name.ends_with(".part") || name.ends_with(".old")) && REPLACED.iter().any(of)
        });
        if !unfinished {
            continue;
        }
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(RunError::file(path, "removed"))?;
    }
    Ok(())
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

    #[test]
    fn what_a_killed_process_was_writing_is_removed_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        for name in [
            "curves.svg",
            "curves.svg.12.part",
            "mine.part",
            "models.old",
        ] {
            fs::write(home.path().join(name), b"").unwrap();
        }
        for name in ["model.a1.part", "model.a1.old", "model"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        RunFolder::open(home.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [".lock", "curves.svg", "mine.part", "model", "models.old"]
        );
    }
}
