//! The folder of states: files appear whole or not at all, and together they stay small.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mobilevlm_checkpoint::replace_file;

/// What the names of states end with, after a dot.
pub(super) const EXTENSION: &str = "state";

/// Bytes of all states together: some fifteen of V2-1.7B (16 MB each), five of V2-7B.
const MOST_BYTES: u64 = 256 << 20;

/// A file beside the states that is so old was left behind by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a state and makes room for it. What cannot be written is left out.
pub(super) fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let Some(folder) = path.parent() else { return };
    if fs::create_dir_all(folder).is_ok() && replace_file(path, content).is_ok() {
        prune(folder, path, MOST_BYTES);
    }
}

/// Removes the states that were not used for longest, until the rest has `most` bytes; `newest`
/// goes last. Touches nothing that is not named like a state.
fn prune(folder: &Path, newest: &Path, most: u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut states: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path == newest {
            states.push((SystemTime::now() + ABANDONED, path, data.len()));
        } else if path.extension().is_some_and(|ending| ending == EXTENSION) {
            states.push((used, path, data.len()));
        } else if name.contains(&format!(".{EXTENSION}.")) && name.ends_with(".part") {
            // What another process is writing now is young.
            if used.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(&path);
            }
        }
    }
    states.sort();
    let mut bytes: u64 = states.iter().map(|(_, _, length)| length).sum();
    for (_, path, length) in states {
        if bytes <= most {
            break;
        }
        // Another process may have been first.
        let _ = fs::remove_file(path);
        bytes -= length;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, [0; 10]).unwrap();
            let used = SystemTime::now() - Duration::from_secs(age);
            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(used))
                .unwrap();
            path
        };
        let paths = [
            file("a.state", 50),
            file("b.state", 70),
            file("c.state", 60),
            file("new.state", 90),
            file("notes.txt", 1_000_000),
            file("d.state.17-0.part", 10),
            file("e.state.18-0.part", 1_000_000),
        ];
        let left = || paths.each_ref().map(|path| path.exists());
        prune(folder.path(), &paths[3], 25);
        assert_eq!(left(), [true, false, false, true, true, true, false]);
        prune(folder.path(), &paths[3], 0);
        assert_eq!(left(), [false, false, false, false, true, true, false]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        write(&file.join("a.state"), |out| out.write_all(b"x"));
        assert_eq!(fs::read(&file).unwrap(), b"in the way");
    }
}
