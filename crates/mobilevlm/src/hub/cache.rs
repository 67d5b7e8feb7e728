//! The cache on this machine, laid out as Hugging Face's tools lay it out.
//!
//! ```text
//! models--org--name/
//!   blobs/ETAG                    content, once
//!   blobs/ETAG.incomplete         content on its way
//!   refs/REVISION                 the commit that a branch or tag meant
//!   snapshots/COMMIT/config.json  a link to ../../blobs/ETAG
//! .locks/models--org--name/ETAG.lock
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::id::is_plain_name;
use super::{HubError, ModelId, needed};

/// A folder with models.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// A model in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedModel {
    /// Its name, with the revision under which it was fetched.
    pub id: ModelId,
    /// The folder with its files.
    pub path: PathBuf,
}

impl Cache {
    /// The cache at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder with the files of `id`, if all that it needs are here.
    pub fn find(&self, id: &ModelId) -> Option<PathBuf> {
        let snapshot = self.snapshot_of(id)?;
        is_complete(&snapshot, true).then_some(snapshot)
    }

    /// The folder with the files of the CLIP tower `id`, which needs no tokenizer.
    pub fn find_tower(&self, id: &ModelId) -> Option<PathBuf> {
        let snapshot = self.snapshot_of(id)?;
        is_complete(&snapshot, false).then_some(snapshot)
    }

    /// Every complete model that has a tokenizer, by name. Vision towers and what other programs
    /// keep here in other forms is left out.
    pub fn models(&self) -> Vec<CachedModel> {
        let mut models = Vec::new();
        for repository in names_in(&self.root) {
            let Some(name) = repository.strip_prefix("models--") else {
                continue;
            };
            let Some((org, name)) = name.split_once("--") else {
                continue;
            };
            for revision in files_below(&self.root.join(&repository).join("refs")) {
                let Ok(id) = format!("{org}/{name}@{revision}").parse::<ModelId>() else {
                    continue;
                };
                if let Some(path) = self.find(&id) {
                    models.push(CachedModel { id, path });
                }
            }
        }
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models
    }

    /// Downloads that were begun and not finished: file and bytes.
    pub fn unfinished(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        for repository in names_in(&self.root) {
            let blobs = self.root.join(&repository).join("blobs");
            for name in names_in(&blobs)
                .iter()
                .filter(|name| name.ends_with(".incomplete"))
            {
                let file = blobs.join(name);
                let bytes = fs::metadata(&file).map_or(0, |found| found.len());
                files.push((file, bytes));
            }
        }
        files
    }

    fn snapshot_of(&self, id: &ModelId) -> Option<PathBuf> {
        let repository = self.repository(id);
        let commit = match fs::read_to_string(repository.join("refs").join(id.revision())) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => id.revision().to_owned(),
        };
        let snapshot = repository
            .join("snapshots")
            .join(Some(&commit).filter(|commit| is_plain_name(commit))?);
        snapshot.is_dir().then_some(snapshot)
    }

    fn repository(&self, id: &ModelId) -> PathBuf {
        self.root.join(repository_name(id))
    }

    pub(super) fn blobs(&self, id: &ModelId) -> PathBuf {
        self.repository(id).join("blobs")
    }

    pub(super) fn locks(&self, id: &ModelId) -> PathBuf {
        self.root.join(".locks").join(repository_name(id))
    }

    pub(super) fn snapshot(&self, id: &ModelId, commit: &str) -> PathBuf {
        self.repository(id).join("snapshots").join(commit)
    }

    /// Records that `id`'s revision is `commit`.
    pub(super) fn set_commit(&self, id: &ModelId, commit: &str) -> Result<(), HubError> {
        if id.revision() == commit {
            return Ok(());
        }
        let path = self.repository(id).join("refs").join(id.revision());
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(HubError::disk(folder, "create the folder"))?;
        Ok(mobilevlm_checkpoint::replace_file(&path, |file| {
            file.write_all(commit.as_bytes())
        })?)
    }
}

fn repository_name(id: &ModelId) -> String {
    format!("models--{}", id.name().replace('/', "--"))
}

/// Lets `snapshot/name` lead to `blob`, in a way that the file system allows.
pub(super) fn place(blob: &Path, snapshot: &Path, name: &str) -> Result<(), HubError> {
    place_by(symlink, blob, snapshot, name)
}

fn place_by(
    symlink: fn(&Path, &Path) -> io::Result<()>,
    blob: &Path,
    snapshot: &Path,
    name: &str,
) -> Result<(), HubError> {
    let link = snapshot.join(name);
    fs::create_dir_all(snapshot).map_err(HubError::disk(snapshot, "create the folder"))?;
    // Links are relative, so that the cache can be moved.
    let target = Path::new("../../blobs").join(blob.file_name().unwrap_or_default());
    if fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    // Made under another name and renamed, so that the old file is there until the new one is.
    let temporary = snapshot.join(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    symlink(&target, &temporary)
        // Windows without developer mode, FAT and some network drives have no symbolic links.
        .or_else(|_| fs::hard_link(blob, &temporary))
        .or_else(|_| fs::copy(blob, &temporary).map(drop))
        .and_then(|()| fs::rename(&temporary, &link))
        .map_err(|error| {
            let _ = fs::remove_file(&temporary);
            HubError::disk(&link, "link the file")(error)
        })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether all files are in `snapshot` that its own lists ask for.
fn is_complete(snapshot: &Path, with_tokenizer: bool) -> bool {
    // A link whose blob is gone is no file.
    let files: Vec<String> = names_in(snapshot)
        .into_iter()
        .filter(|name| snapshot.join(name).is_file())
        .collect();
    match needed::choose("", &files, with_tokenizer) {
        Ok(needed::Needed {
            weights: needed::Weights::Single(_),
            ..
        }) => true,
        Ok(needed::Needed {
            weights: needed::Weights::Indexed(index),
            ..
        }) => {
            let listed = fs::read(snapshot.join(index))
                .ok()
                .and_then(|text| needed::indexed("", &text).ok());
            listed.is_some_and(|listed| listed.iter().all(|name| files.contains(name)))
        }
        Err(_) => false,
    }
}

/// The names in a folder, sorted; none if it cannot be read.
fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The files below `folder`, as paths with `/` relative to it. Branches can have `/` in their names.
fn files_below(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            files.extend(
                files_below(&path)
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else {
            files.push(name);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ModelId {
        text.parse().unwrap()
    }

    /// A cache with one model of these files, as Hugging Face's tools would have left it.
    fn cache_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let snapshot = cache.snapshot(&id("org/name"), "c0ffee");
        let blobs = cache.blobs(&id("org/name"));
        fs::create_dir_all(&blobs).unwrap();
        for (name, content) in files {
            let blob = blobs.join(format!("etag-of-{name}"));
            fs::write(&blob, content).unwrap();
            place(&blob, &snapshot, name).unwrap();
        }
        cache.set_commit(&id("org/name"), "c0ffee").unwrap();
        (folder, cache)
    }

    const SHARDED: [(&str, &str); 4] = [
        ("config.json", "{}"),
        ("tokenizer.model", "t"),
        (
            "model.safetensors.index.json",
            r#"{"weight_map": {"a": "m-1.safetensors"}}"#,
        ),
        ("m-1.safetensors", "w"),
    ];

    #[test]
    fn a_complete_model_is_found_by_branch_and_by_commit() {
        let (folder, cache) = cache_with(&SHARDED);
        let expected = folder.path().join("models--org--name/snapshots/c0ffee");
        assert_eq!(cache.find(&id("org/name")), Some(expected.clone()));
        assert_eq!(cache.find(&id("org/name@c0ffee")), Some(expected.clone()));
        assert_eq!(cache.find(&id("org/name@other")), None);
        assert_eq!(
            cache.models(),
            [CachedModel {
                id: id("org/name"),
                path: expected
            }]
        );
    }

    #[test]
    fn a_model_with_a_file_missing_is_not_found() {
        for missing in 0..SHARDED.len() {
            let mut files = SHARDED.to_vec();
            let (name, _) = files.remove(missing);
            let (_folder, cache) = cache_with(&files);
            assert_eq!(cache.find(&id("org/name")), None, "without {name}");
            assert_eq!(
                cache.find_tower(&id("org/name")).is_some(),
                name == "tokenizer.model",
                "without {name}"
            );
        }
    }

    #[test]
    fn a_link_to_nothing_is_a_missing_file() {
        let (_folder, cache) = cache_with(&SHARDED);
        fs::remove_file(cache.blobs(&id("org/name")).join("etag-of-m-1.safetensors")).unwrap();
        assert_eq!(cache.find(&id("org/name")), None);
    }

    #[test]
    fn a_ref_cannot_lead_out_of_the_cache() {
        let (folder, cache) = cache_with(&SHARDED);
        fs::write(
            folder.path().join("models--org--name/refs/main"),
            "../../../elsewhere",
        )
        .unwrap();
        assert_eq!(cache.find(&id("org/name")), None);
    }

    #[test]
    fn without_symbolic_links_the_file_is_there_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let blob = folder.path().join("m/blobs/etag");
        let snapshot = folder.path().join("m/snapshots/c");
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::write(&blob, "content").unwrap();
        let refuse = |_: &Path, _: &Path| Err(io::ErrorKind::PermissionDenied.into());
        place_by(refuse, &blob, &snapshot, "config.json").unwrap();
        assert_eq!(
            fs::read_to_string(snapshot.join("config.json")).unwrap(),
            "content"
        );
        assert!(!snapshot.join("config.json").is_symlink());
        assert_eq!(names_in(&snapshot), ["config.json"]);
    }

    #[test]
    fn placing_again_replaces_the_link() {
        let (folder, cache) = cache_with(&SHARDED);
        let snapshot = cache.find(&id("org/name")).unwrap();
        let blob = folder.path().join("models--org--name/blobs/new");
        fs::write(&blob, "new").unwrap();
        place(&blob, &snapshot, "config.json").unwrap();
        assert_eq!(
            fs::read_to_string(snapshot.join("config.json")).unwrap(),
            "new"
        );
    }
}
