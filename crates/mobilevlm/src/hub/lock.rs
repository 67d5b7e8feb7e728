//! One download of a file at a time, across processes.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::HubError;

/// Holds the right to write one file; given back when dropped, also by the system when the
/// process ends in any way.
pub(super) struct Lock {
    _file: File,
}

/// Waits until no other process holds the lock at `path`. `waiting` is called several times a
/// second in the meantime and can give up with an error.
///
/// The lock is the one that Hugging Face's tools take on the same path (`flock`), so they are kept
/// out as well. The lock file stays: removing it would let two processes hold locks on two files
/// of the same name.
pub(super) fn acquire(
    path: &Path,
    mut waiting: impl FnMut() -> Result<(), HubError>,
) -> Result<Lock, HubError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(HubError::disk(folder, "create the folder"))?;
    }
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(HubError::disk(path, "open the lock file"))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                waiting()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::Error(source)) => {
                return Err(HubError::disk(path, "lock the file")(source));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_waits_until_the_first_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/a.lock");
        let mut first = Some(acquire(&path, || panic!("nobody holds it")).unwrap());
        let mut waited = 0;
        acquire(&path, || {
            waited += 1;
            if waited == 2 {
                first = None;
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(waited, 2);
    }

    #[test]
    fn waiting_can_be_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let _first = acquire(&path, || Ok(())).unwrap();
        assert!(matches!(
            acquire(&path, || Err(HubError::Cancelled)),
            Err(HubError::Cancelled)
        ));
    }
}
