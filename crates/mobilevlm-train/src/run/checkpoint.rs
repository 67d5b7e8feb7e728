//! The state of a run, written so that it survives a kill, a power cut and a full disk.
//!
//! A checkpoint is a folder `step-00000100` with files of any names and a `manifest.json` that
//! lists their sizes and SHA-256 hashes. It is written under another name, every file and then the
//! folder put on the disk, and renamed: a folder with the right name is complete. Damage that
//! comes later is found by the hashes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Inventory, Tensor, safetensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::RunError;
use super::folder::sync_folder;

/// Increased whenever a manifest is written that older programs would misread.
const VERSION: u32 = 1;

const MANIFEST: &str = "manifest.json";

/// What a manifest may be long; ours have a few hundred bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Names of folders that are being written, or removed.
const UNFINISHED: &str = ".unfinished-";

/// The checkpoints of one run.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: NonZeroUsize,
}

/// An intact checkpoint.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    step: u64,
}

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct Damaged {
    /// Its folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: RunError,
}

/// Takes the files of a checkpoint that is being written.
#[derive(Debug)]
pub struct Writer<'a> {
    folder: &'a Path,
    files: Vec<ListedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    step: u64,
    files: Vec<ListedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedFile {
    name: String,
    bytes: u64,
    sha256: String,
}

impl Checkpoints {
    /// The checkpoints in `folder`, which is made where it is missing. `keep` of them are kept.
    /// What a killed process left unfinished is removed.
    ///
    /// # Errors
    /// [`RunError::File`] if the folder cannot be made, listed or cleaned.
    pub fn open(folder: &Path, keep: NonZeroUsize) -> Result<Checkpoints, RunError> {
        fs::create_dir_all(folder).map_err(RunError::file(folder, "made"))?;
        for name in names(folder)? {
            if name.starts_with(UNFINISHED) {
                let path = folder.join(name);
                fs::remove_dir_all(&path).map_err(RunError::file(path, "removed"))?;
            }
        }
        Ok(Checkpoints {
            folder: folder.to_owned(),
            keep,
        })
    }

    /// Writes the state after `step` steps, whole or not at all, and removes the oldest
    /// checkpoints. An intact checkpoint of the same step is left as it is.
    ///
    /// # Errors
    /// [`RunError`] of `content` or of the system. Earlier checkpoints are then untouched.
    pub fn save(
        &self,
        step: u64,
        content: impl FnOnce(&mut Writer<'_>) -> Result<(), RunError>,
    ) -> Result<PathBuf, RunError> {
        let target = self.path_of(step);
        if target.exists() {
            if Saved::open(&target).is_ok() {
                return Ok(target);
            }
            self.remove(step)?;
        }
        let unfinished = Unfinished::new(self.unfinished(step))?;
        let mut writer = Writer {
            folder: &unfinished.0,
            files: Vec::new(),
        };
        content(&mut writer)?;
        let manifest = Manifest {
            version: VERSION,
            step,
            files: std::mem::take(&mut writer.files),
        };
        writer.json(MANIFEST, &manifest)?;
        sync_folder(&unfinished.0).map_err(RunError::file(&unfinished.0, "written"))?;
        fs::rename(&unfinished.0, &target).map_err(RunError::file(&target, "written"))?;
        sync_folder(&self.folder).map_err(RunError::file(&self.folder, "written"))?;
        self.remove_old(step)?;
        Ok(target)
    }

    /// The newest intact checkpoint, and the damaged ones that are newer.
    ///
    /// # Errors
    /// [`RunError::File`] if the folder cannot be listed.
    pub fn newest(&self) -> Result<(Option<Saved>, Vec<Damaged>), RunError> {
        let mut damaged = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            let path = self.path_of(step);
            match Saved::open(&path) {
                Ok(saved) => return Ok((Some(saved), damaged)),
                Err(error) => damaged.push(Damaged { path, error }),
            }
        }
        Ok((None, damaged))
    }

    /// The steps of all checkpoints, intact or not, in order.
    ///
    /// # Errors
    /// [`RunError::File`] if the folder cannot be listed.
    pub fn steps(&self) -> Result<Vec<u64>, RunError> {
        let names = names(&self.folder)?;
        let mut steps: Vec<u64> = names
            .iter()
            .filter_map(|name| step_of(Path::new(name)))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Checkpoints after `newest` are not counted: there a run went on from an earlier one, as
    /// they are damaged.
    fn remove_old(&self, newest: u64) -> Result<(), RunError> {
        let mut steps = self.steps()?;
        steps.retain(|step| *step <= newest);
        let old = steps.len().saturating_sub(self.keep.get());
        steps[..old].iter().try_for_each(|step| self.remove(*step))
    }

    /// Renamed first, so that a kill leaves nothing that looks like a damaged checkpoint.
    fn remove(&self, step: u64) -> Result<(), RunError> {
        let (path, unfinished) = (self.path_of(step), self.unfinished(step));
        fs::rename(&path, &unfinished)
            .and_then(|()| fs::remove_dir_all(&unfinished))
            .map_err(RunError::file(path, "removed"))
    }

    fn path_of(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:08}"))
    }

    fn unfinished(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{UNFINISHED}{step:08}"))
    }
}

impl Saved {
    /// Opens the checkpoint in the folder `path` and checks all of it.
    ///
    /// # Errors
    /// [`RunError`] that says which file is missing or damaged.
    pub fn open(path: &Path) -> Result<Saved, RunError> {
        let manifest_path = path.join(MANIFEST);
        let wrong = |wrong: String| Err(RunError::content(&manifest_path, wrong));
        let mut text = Vec::new();
        File::open(&manifest_path)
            .and_then(|file| file.take(LONGEST_MANIFEST).read_to_end(&mut text))
            .map_err(RunError::file(&manifest_path, "read"))?;
        let manifest: Manifest = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(error) => return wrong(error.to_string()),
        };
        let Manifest { version, step, .. } = manifest;
        if version != VERSION {
            return wrong(format!("version {version}; expected {VERSION}"));
        }
        if step_of(path) != Some(step) {
            return wrong(format!("is of step {step}, unlike its folder's name"));
        }
        for file in &manifest.files {
            if Path::new(&file.name).file_name() != Some(file.name.as_ref()) {
                return wrong(format!("expected plain file names, found {:?}", file.name));
            }
            file.check(&path.join(&file.name))?;
        }
        Ok(Saved {
            path: path.to_owned(),
            step,
        })
    }

    /// The steps that were done when it was written.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what [`Writer::json`] wrote.
    ///
    /// # Errors
    /// [`RunError`] if the file is missing or holds something else.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RunError> {
        let path = self.path.join(name);
        let text = fs::read(&path).map_err(RunError::file(&path, "read"))?;
        serde_json::from_slice(&text).map_err(|error| RunError::content(&path, error.to_string()))
    }

    /// Reads what [`Writer::tensors`] wrote.
    ///
    /// # Errors
    /// [`RunError`] if the file is missing or no safetensors file.
    pub fn tensors(&self, name: &str) -> Result<Inventory, RunError> {
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(RunError::file(&path, "read"))?;
        let entries = safetensors::parse(&bytes)
            .map_err(|error| RunError::content(&path, error.to_string()))?;
        let bytes = mobilevlm_checkpoint::Bytes::from(bytes);
        let mut tensors = Inventory::default();
        for entry in entries {
            let tensor = Tensor::new(entry.dtype, entry.shape, bytes.slice(entry.range))
                .map_err(|error| RunError::content(&path, error.to_string()))?;
            tensors.insert(entry.name, tensor);
        }
        Ok(tensors)
    }
}

impl Writer<'_> {
    /// Writes a file of the checkpoint. `name`: a plain file name, used once.
    ///
    /// # Errors
    /// [`RunError::File`] with what `content` or the system says.
    pub fn file(
        &mut self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), RunError> {
        let path = self.folder.join(name);
        let listed = write_hashed(&path, content).map_err(RunError::file(&path, "written"))?;
        self.files.push(ListedFile {
            name: name.to_owned(),
            ..listed
        });
        Ok(())
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// [`RunError::File`] with what the system says.
    pub fn json(&mut self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        self.file(name, |out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            out.write_all(b"\n")
        })
    }

    /// Writes named tensors as one safetensors file.
    ///
    /// # Errors
    /// [`RunError::File`] with what the system says.
    pub fn tensors(&mut self, name: &str, tensors: &Inventory) -> Result<(), RunError> {
        self.file(name, |out| safetensors::write(out, tensors.iter()))
    }
}

impl ListedFile {
    /// Whether the file at `path` is what was written.
    fn check(&self, path: &Path) -> Result<(), RunError> {
        let read = || RunError::file(path, "read");
        let file = File::open(path).map_err(read())?;
        let bytes = file.metadata().map_err(read())?.len();
        if bytes != self.bytes {
            let expected = self.bytes;
            let wrong = format!("expected {expected} bytes, found {bytes}");
            return Err(RunError::content(path, wrong));
        }
        let mut hashing = Hashing::new(io::sink());
        io::copy(&mut BufReader::with_capacity(1 << 20, file), &mut hashing).map_err(read())?;
        let found = hashing.hash();
        if found != self.sha256 {
            let wrong = format!("expected SHA-256 {}, found {found}", self.sha256);
            return Err(RunError::content(path, wrong));
        }
        Ok(())
    }
}

/// The step that a checkpoint's folder is named after.
fn step_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_prefix("step-")?;
    digits.parse().ok()
}

fn names(folder: &Path) -> Result<Vec<String>, RunError> {
    let read = || RunError::file(folder, "read");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(read())? {
        // What is no text is none of ours.
        names.extend(entry.map_err(read())?.file_name().into_string());
    }
    Ok(names)
}

/// Writes a new file and puts it on the disk; its size and hash, without a name.
fn write_hashed(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<ListedFile> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, Hashing::new(file));
    content(&mut writer)?;
    let hashing = writer.into_inner().map_err(|error| error.into_error())?;
    hashing.inner.sync_all()?;
    Ok(ListedFile {
        name: String::new(),
        bytes: hashing.bytes,
        sha256: hashing.hash(),
    })
}

/// Hashes what passes.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Hashing<W> {
        Hashing {
            inner,
            digest: Sha256::new(),
            bytes: 0,
        }
    }

    /// SHA-256 as hexadecimal digits.
    fn hash(self) -> String {
        let digest = self.digest.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A folder that is being written; removed when dropped, unless it has been renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn new(path: PathBuf) -> Result<Unfinished, RunError> {
        fs::create_dir(&path).map_err(RunError::file(&path, "made"))?;
        Ok(Unfinished(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Not there any more after the rename. After an error the next start tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
