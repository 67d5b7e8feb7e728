//! Finds the pictures that rows name.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mobilevlm_processor::{Exif, ImageError, Limits, RgbImage, decode};
use sha2::{Digest, Sha256};

use super::error::{DataError, PictureError};
use super::tar;

/// Folders and tar shards of pictures.
///
/// A name is looked up in each of them in turn. Names that lead out of a folder, by `..`, from the
/// root or through a link, are refused.
#[derive(Debug)]
pub struct Pictures {
    sources: Vec<Source>,
    limits: Limits,
}

#[derive(Debug)]
enum Source {
    /// Its canonical path.
    Folder(PathBuf),
    Shard {
        file: Mutex<File>,
        members: Vec<Member>,
    },
}

/// A picture in a shard, 32 bytes: shards hold millions.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Of its name; 128 bits of SHA-256 do not collide by chance.
    name: u128,
    offset: u64,
    size: u64,
}

impl Pictures {
    /// Pictures below these folders and in these tar files. Shards are listed at once, each member
    /// kept as 32 bytes.
    ///
    /// # Errors
    /// [`DataError`] if one cannot be read or is no tar file.
    pub fn open(paths: &[PathBuf], limits: Limits) -> Result<Pictures, DataError> {
        let sources = paths.iter().map(|path| match path.is_dir() {
            true => fs::canonicalize(path)
                .map(Source::Folder)
                .map_err(DataError::file(path, "read")),
            false => shard(path),
        });
        Ok(Pictures {
            sources: sources.collect::<Result<_, _>>()?,
            limits,
        })
    }

    /// The bytes of the picture `name`.
    ///
    /// # Errors
    /// [`PictureError`] if it leads out of the folders, is not there, is too large or cannot be
    /// read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, PictureError> {
        let name_of = || name.to_owned();
        let clean = clean(name).map_err(|why| PictureError::Outside {
            name: name_of(),
            why,
        })?;
        for source in &self.sources {
            let found = match source {
                Source::Folder(root) => self.read_below(root, &clean, name)?,
                Source::Shard { file, members } => self.read_member(file, members, &clean, name)?,
            };
            if let Some(bytes) = found {
                return Ok(bytes);
            }
        }
        Err(PictureError::Missing { name: name_of() })
    }

    /// The picture `name`, as upstream reads it: not turned by EXIF.
    ///
    /// # Errors
    /// As [`Pictures::read`]; [`PictureError::Broken`] if it is no whole picture.
    pub fn decode(&self, name: &str) -> Result<RgbImage, PictureError> {
        let bytes = self.read(name)?;
        decode(&bytes, &self.limits, Exif::Ignore).map_err(|source| PictureError::Broken {
            name: name.to_owned(),
            source,
        })
    }

    fn read_below(
        &self,
        root: &Path,
        clean: &Path,
        name: &str,
    ) -> Result<Option<Vec<u8>>, PictureError> {
        let failed = |source| PictureError::Read {
            name: name.to_owned(),
            source,
        };
        // The path that the system would open, links resolved.
        let path = match fs::canonicalize(root.join(clean)) {
            Ok(path) => path,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !path.starts_with(root) {
            return Err(PictureError::Outside {
                name: name.to_owned(),
                why: "is a link that leads out",
            });
        }
        let about = fs::metadata(&path).map_err(failed)?;
        if !about.is_file() {
            return Ok(None);
        }
        self.check_size(about.len(), name)?;
        // A file that grows meanwhile is read up to its limit.
        let mut bytes = Vec::with_capacity(about.len() as usize);
        File::open(&path)
            .and_then(|file| file.take(about.len()).read_to_end(&mut bytes))
            .map_err(failed)?;
        Ok(Some(bytes))
    }

    fn read_member(
        &self,
        file: &Mutex<File>,
        members: &[Member],
        clean: &Path,
        name: &str,
    ) -> Result<Option<Vec<u8>>, PictureError> {
        let key = key(clean.as_os_str().as_encoded_bytes());
        let Ok(at) = members.binary_search_by_key(&key, |member| member.name) else {
            return Ok(None);
        };
        let Member { offset, size, .. } = members[at];
        self.check_size(size, name)?;
        let mut bytes = vec![0; size as usize];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|source| PictureError::Read {
                name: name.to_owned(),
                source,
            })?;
        Ok(Some(bytes))
    }

    fn check_size(&self, found: u64, name: &str) -> Result<(), PictureError> {
        let limit = self.limits.bytes;
        let found = usize::try_from(found).unwrap_or(usize::MAX);
        if found <= limit {
            return Ok(());
        }
        Err(PictureError::Broken {
            name: name.to_owned(),
            source: ImageError::TooManyBytes { found, limit },
        })
    }
}

fn shard(path: &Path) -> Result<Source, DataError> {
    let mut file = File::open(path).map_err(DataError::file(path, "read"))?;
    let mut members = Vec::new();
    tar::list(path, &mut file, &mut |name, offset, size| {
        // A member whose name leads out can only be asked for by such a name, which is refused.
        let clean = std::str::from_utf8(name)
            .ok()
            .and_then(|name| clean(name).ok());
        if let Some(clean) = clean {
            members.push(Member {
                name: key(clean.as_os_str().as_encoded_bytes()),
                offset,
                size,
            });
        }
    })?;
    // Of equal names the last one counts, as it does when a tar file is unpacked.
    members.sort_by_key(|member| (member.name, std::cmp::Reverse(member.offset)));
    members.dedup_by_key(|member| member.name);
    members.shrink_to_fit();
    Ok(Source::Shard {
        file: Mutex::new(file),
        members,
    })
}

/// The name without `.` and double slashes, if it stays below where it starts.
fn clean(name: &str) -> Result<PathBuf, &'static str> {
    if name.contains('\0') {
        return Err("has a zero byte");
    }
    // On any system, so that a data set means the same everywhere.
    if name.contains('\\') || name.get(1..2) == Some(":") {
        return Err("is written for another system");
    }
    let mut clean = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("has \"..\" in it"),
            Component::RootDir | Component::Prefix(_) => return Err("begins at the root"),
        }
    }
    match clean.as_os_str().is_empty() {
        true => Err("is no name"),
        false => Ok(clean),
    }
}

fn key(name: &[u8]) -> u128 {
    let digest = Sha256::digest(name);
    digest[..16]
        .iter()
        .fold(0, |key, &byte| key << 8 | u128::from(byte))
}

/// Whether the error says that there is no such file.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
