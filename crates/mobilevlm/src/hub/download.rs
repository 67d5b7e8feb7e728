//! One file of the hub into the cache: once, whole, and as announced.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::HubError;
use super::http::{Etag, Http, Reply, broken, shown};
use super::lock;
use super::settings::Patience;

/// Tries of one file, successful or not. Each must bring something new or counts against
/// [`Patience::tries`]; this bound is for a server that sends one byte at a time.
const MAX_TRIES: u32 = 2000;

/// How often a file may turn into another one while it is being fetched.
const MAX_CHANGES: u32 = 3;

/// A file on the server, as its headers describe it.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    /// Where it is.
    pub(super) url: String,
    /// The identity of its content, where the server gives one.
    pub(super) etag: Option<Etag>,
    /// The name of its blob in the cache.
    pub(super) blob: String,
    /// Its length in bytes, where the server says it.
    pub(super) size: Option<u64>,
    /// The SHA-256 of its content in hex, where the server says it.
    pub(super) sha256: Option<String>,
}

/// What the list of a repository says about a large file; stronger than headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Announced {
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<String>,
}

/// Asks the server what is at `url`.
pub(super) fn describe(http: &Http, url: &str, announced: &Announced) -> Result<Remote, HubError> {
    let reply = match http.head(url) {
        // Some mirrors answer only what they are asked for in full.
        Err(HubError::Status {
            status: 405 | 501, ..
        }) => http.get(url, None)?,
        reply => reply?,
    };
    // A careless server answers HEAD with length 0.
    let length = reply.length.filter(|length| *length > 0);
    let size = announced.size.or(reply.linked_size).or(length);
    // The hub's etag of a large file is its SHA-256, of a small one a Git hash of 40 digits.
    let from_etag = reply.etag.as_ref().map(|etag| etag.text.clone());
    let sha256 = announced
        .sha256
        .clone()
        .or(from_etag)
        .filter(|hash| is_sha256(hash));
    let sha256 = sha256.map(|hash| hash.to_ascii_lowercase());
    let blob = match &reply.etag {
        Some(etag) if super::id::is_plain_name(&etag.text) => etag.text.clone(),
        Some(etag) => hex(&Sha256::digest(&etag.text)),
        // No identity at all: the address, which contains the commit, has to do.
        None => hex(&Sha256::digest(url)),
    };
    Ok(Remote {
        url: url.to_owned(),
        etag: reply.etag,
        blob,
        size,
        sha256,
    })
}

/// Makes sure that the blob of the file at `remote.url` is in `blobs`, and returns its path.
///
/// `progress` gets the bytes that are here so far, or `None` while another process is at it.
/// A file that changes on the server meanwhile is described anew, a few times.
pub(super) fn fetch(
    http: &Http,
    patience: &Patience,
    mut remote: Remote,
    announced: &Announced,
    blobs: &Path,
    locks: &Path,
    progress: &mut dyn FnMut(Option<u64>) -> Result<(), HubError>,
) -> Result<PathBuf, HubError> {
    std::fs::create_dir_all(blobs).map_err(HubError::disk(blobs, "create the folder"))?;
    for _ in 0..MAX_CHANGES {
        match fetch_as_described(http, patience, &remote, blobs, locks, progress) {
            Err(HubError::Changed { .. }) => remote = describe(http, &remote.url, announced)?,
            result => return result,
        }
    }
    fetch_as_described(http, patience, &remote, blobs, locks, progress)
}

fn fetch_as_described(
    http: &Http,
    patience: &Patience,
    remote: &Remote,
    blobs: &Path,
    locks: &Path,
    progress: &mut dyn FnMut(Option<u64>) -> Result<(), HubError>,
) -> Result<PathBuf, HubError> {
    let blob = blobs.join(&remote.blob);
    let _lock = lock::acquire(&locks.join(format!("{}.lock", remote.blob)), || {
        progress(None)
    })?;
    // Looked at under the lock: another process may just have finished it.
    if let Ok(found) = std::fs::metadata(&blob)
        && remote.size.is_none_or(|size| size == found.len())
    {
        progress(Some(found.len()))?;
        return Ok(blob);
    }
    let mut partial = Partial::open(blobs.join(format!("{}.incomplete", remote.blob)))?;
    let inherited = partial.length > 0;
    match receive(http, patience, remote, &mut partial, progress) {
        // Bytes of an earlier run may be the damaged ones: once more, from the first byte.
        Err(HubError::Hash { .. }) if inherited => {
            receive(http, patience, remote, &mut partial, progress)?
        }
        result => result?,
    }
    partial.finish(&blob)?;
    Ok(blob)
}

/// Brings `partial` to the full length, asking again for the rest as often as it makes sense, and
/// checks the hash.
fn receive(
    http: &Http,
    patience: &Patience,
    remote: &Remote,
    partial: &mut Partial,
    progress: &mut dyn FnMut(Option<u64>) -> Result<(), HubError>,
) -> Result<(), HubError> {
    let (mut tries, mut failures) = (0, 0);
    loop {
        tries += 1;
        let before = partial.length;
        match attempt(http, remote, partial, progress) {
            Ok(()) => break,
            Err(error) if error.is_passing() => {
                failures = if partial.length > before {
                    0
                } else {
                    failures + 1
                };
                if failures >= patience.tries || tries >= MAX_TRIES {
                    return Err(error);
                }
                std::thread::sleep(patience.pause_after(failures, &error));
            }
            Err(error) => {
                if matches!(error, HubError::Changed { .. }) {
                    partial.restart()?;
                }
                return Err(error);
            }
        }
    }
    if let Some(expected) = remote.size.filter(|size| *size != partial.length) {
        return Err(HubError::Length {
            url: shown(&remote.url),
            expected,
            found: partial.length,
        });
    }
    let found = partial.sha256();
    match &remote.sha256 {
        Some(expected) if *expected != found => {
            partial.restart()?;
            Err(HubError::Hash {
                url: shown(&remote.url),
                expected: expected.clone(),
                found,
            })
        }
        _ => Ok(()),
    }
}

/// One request for what is missing; `Ok` when nothing is.
fn attempt(
    http: &Http,
    remote: &Remote,
    partial: &mut Partial,
    progress: &mut dyn FnMut(Option<u64>) -> Result<(), HubError>,
) -> Result<(), HubError> {
    let url = &remote.url;
    if remote.size.is_some_and(|size| partial.length > size) {
        partial.restart()?;
    }
    if remote.size.is_some_and(|size| partial.length == size) {
        return progress(Some(partial.length));
    }
    let part = (partial.length > 0).then_some((partial.length, remote.etag.as_ref()));
    let mut reply = match http.get(url, part) {
        // The part does not exist: what is here cannot be the beginning of that file.
        Err(error @ HubError::Status { status: 416, .. }) => {
            partial.restart()?;
            return Err(error);
        }
        reply => reply?,
    };
    if let (Some(was), Some(now)) = (&remote.etag, &reply.etag)
        && was.text != now.text
    {
        return Err(HubError::Changed {
            url: shown(url),
            was: was.text.clone(),
            now: now.text.clone(),
        });
    }
    let end = announced_end(&reply, remote, partial)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = reply
            .body
            .read(&mut buffer)
            .map_err(|error| broken(url, error))?;
        if count == 0 {
            break;
        }
        let found = partial.length + count as u64;
        if let Some(expected) = end.filter(|end| found > *end) {
            partial.restart()?;
            return Err(HubError::Length {
                url: shown(url),
                expected,
                found,
            });
        }
        partial.append(&buffer[..count])?;
        progress(Some(partial.length))?;
    }
    match end.filter(|end| partial.length < *end) {
        Some(expected) => Err(HubError::Length {
            url: shown(url),
            expected,
            found: partial.length,
        }),
        None => Ok(()),
    }
}

/// Where the file ends according to everything that was said about it, which must agree.
/// Starts `partial` again if the whole file comes instead of the part that was asked for.
fn announced_end(
    reply: &Reply,
    remote: &Remote,
    partial: &mut Partial,
) -> Result<Option<u64>, HubError> {
    let now = match reply.part {
        Some((first, total)) => {
            if first != partial.length {
                return Err(HubError::Answer {
                    url: shown(&remote.url),
                    expected: "the part of the file that was asked for",
                    found: format!("bytes from {first} on instead of {}", partial.length),
                });
            }
            total.or(reply.length.map(|length| first + length))
        }
        None => {
            if partial.length > 0 {
                partial.restart()?;
            }
            reply.length
        }
    };
    match (remote.size, now) {
        (Some(expected), Some(found)) if expected != found => Err(HubError::Length {
            url: shown(&remote.url),
            expected,
            found,
        }),
        (size, now) => Ok(size.or(now)),
    }
}

/// A file on its way: the bytes so far, and the hash over them.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Sha256,
}

impl Partial {
    /// Opens the file, or what an earlier run left of it.
    fn open(path: PathBuf) -> Result<Partial, HubError> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(HubError::disk(&path, "open the file"))?;
        let mut hash = Sha256::new();
        let mut length = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = file
                .read(&mut buffer)
                .map_err(HubError::disk(&path, "read the file"))?;
            if count == 0 {
                return Ok(Partial {
                    path,
                    file,
                    length,
                    hash,
                });
            }
            hash.update(&buffer[..count]);
            length += count as u64;
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Some of them may have arrived; the rest of a later run must follow the last known one.
            let _ = self.file.set_len(self.length);
            return Err(HubError::disk(&self.path, "write the file")(error));
        }
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.file
            .set_len(0)
            .map_err(HubError::disk(&self.path, "empty the file"))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(HubError::disk(&self.path, "empty the file"))?;
        self.length = 0;
        self.hash = Sha256::new();
        Ok(())
    }

    fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Gives the complete file its name. On the disk first: after a power cut there must not be a
    /// file of that name without its content.
    fn finish(self, blob: &Path) -> Result<(), HubError> {
        let Partial { path, file, .. } = self;
        file.sync_all()
            .map_err(HubError::disk(&path, "write the file"))?;
        // Some systems do not rename open files.
        drop(file);
        std::fs::rename(&path, blob).map_err(HubError::disk(blob, "name the file"))
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
