//! A whole model from the hub into the cache.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::download::{self, Announced, Remote};
use super::id::is_plain_name;
use super::needed::{self, Weights};
use super::{Hub, HubError, ModelId, cache};

/// What happens during a download, told in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The files of `model` that follow have this many bytes together, as far as is known.
    Starts {
        /// The repository: the model, then perhaps its vision tower.
        model: &'a ModelId,
        /// Bytes; 0 if the server does not say.
        total: u64,
    },
    /// This much of a file is here.
    Progress(Progress<'a>),
    /// Another process is fetching this file; it is waited for.
    Waits {
        /// The file's name in the repository.
        file: &'a str,
    },
}

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name in the repository.
    pub file: &'a str,
    /// Bytes of this file that are here, also from earlier runs.
    pub file_bytes: u64,
    /// Bytes of all files since [`Event::Starts`] that are here.
    pub bytes: u64,
}

/// Hears of events; [`ControlFlow::Break`] stops the download, which can be continued later.
pub type OnEvent<'a> = dyn FnMut(&Event<'_>) -> ControlFlow<()> + 'a;

/// The answer to `/api/models/ID/revision/REVISION`.
#[derive(serde::Deserialize)]
struct Repository {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(serde::Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

/// Large files are described by their hash; older servers call it `oid`.
#[derive(serde::Deserialize)]
struct Lfs {
    #[serde(alias = "oid")]
    sha256: Option<String>,
    size: Option<u64>,
}

impl Hub {
    /// Brings `id` into the cache, or up to date there, with the CLIP tower that its configuration
    /// names if its own weights have none. Returns the folder with its files.
    ///
    /// Files that are here already are not fetched again, nor are the bytes of a file that an
    /// earlier run began.
    ///
    /// # Errors
    /// Any [`HubError`]. The cache is usable after each of them.
    pub fn pull(&self, id: &ModelId, on_event: &mut OnEvent<'_>) -> Result<PathBuf, HubError> {
        let path = self.pull_repository(id, true, on_event)?;
        if let Some(tower) = super::tower::missing_tower(&path) {
            self.pull_repository(&tower, false, on_event)?;
        }
        Ok(path)
    }

    pub(super) fn pull_repository(
        &self,
        id: &ModelId,
        with_tokenizer: bool,
        on_event: &mut OnEvent<'_>,
    ) -> Result<PathBuf, HubError> {
        if self.offline {
            return Err(HubError::Offline {
                id: id.to_string(),
                cache: self.cache.root().to_owned(),
            });
        }
        // A branch may have `/` in its name, which would be another path.
        let revision = id.revision().replace('/', "%2F");
        let url = self
            .http
            .url(&format!("/api/models/{}/revision/{revision}", id.name()));
        let list: Repository = self.http.json(&url, "the list of the repository's files")?;
        if !is_plain_name(&list.sha) {
            return Err(HubError::Answer {
                url,
                expected: "a commit",
                found: format!("`{}`", list.sha),
            });
        }
        let files: Vec<String> = list
            .siblings
            .iter()
            .map(|sibling| sibling.rfilename.clone())
            .collect();
        let needed = needed::choose(&id.to_string(), &files, with_tokenizer)?;
        let snapshot = self.cache.snapshot(id, &list.sha);

        let mut weights = Vec::new();
        let mut small = needed.small;
        match needed.weights {
            Weights::Single(file) => weights.push(file),
            Weights::Indexed(index) => {
                small.push(index.clone());
                self.fetch_files(id, &list, &small, &snapshot, on_event)?;
                small.clear();
                let path = snapshot.join(&index);
                let text = std::fs::read(&path).map_err(HubError::disk(&path, "read the file"))?;
                weights.extend(needed::indexed(&format!("{id}/{index}"), &text)?);
            }
        }
        small.append(&mut weights);
        self.fetch_files(id, &list, &small, &snapshot, on_event)?;
        // Last: a branch must not lead to a snapshot that is not complete.
        self.cache.set_commit(id, &list.sha)?;
        Ok(snapshot)
    }

    /// Fetches `files` of the listed commit and links them into `snapshot`.
    fn fetch_files(
        &self,
        id: &ModelId,
        list: &Repository,
        files: &[String],
        snapshot: &Path,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), HubError> {
        let mut described: Vec<(&str, Announced, Remote)> = Vec::new();
        for file in files {
            let announced = list.announced(file);
            // By commit, not by branch: all files are of one state.
            let url = self
                .http
                .url(&format!("/{}/resolve/{}/{file}", id.name(), list.sha));
            let remote = download::describe(&self.http, &url, &announced)?;
            described.push((file, announced, remote));
        }
        let total = described
            .iter()
            .filter_map(|(_, _, remote)| remote.size)
            .sum();
        tell(on_event, &Event::Starts { model: id, total })?;
        let mut before = 0;
        for (file, announced, remote) in described {
            let mut file_bytes = 0;
            let blob = download::fetch(
                &self.http,
                &self.patience,
                remote,
                &announced,
                &self.cache.blobs(id),
                &self.cache.locks(id),
                &mut |here| match here {
                    Some(bytes) => {
                        file_bytes = bytes;
                        tell(
                            on_event,
                            &Event::Progress(Progress {
                                file,
                                file_bytes,
                                bytes: before + bytes,
                            }),
                        )
                    }
                    None => tell(on_event, &Event::Waits { file }),
                },
            )?;
            before += file_bytes;
            cache::place(&blob, snapshot, file)?;
        }
        Ok(())
    }
}

impl Repository {
    fn announced(&self, file: &str) -> Announced {
        let Some(sibling) = self
            .siblings
            .iter()
            .find(|sibling| sibling.rfilename == file)
        else {
            return Announced::default();
        };
        Announced {
            size: sibling
                .lfs
                .as_ref()
                .and_then(|lfs| lfs.size)
                .or(sibling.size),
            sha256: sibling.lfs.as_ref().and_then(|lfs| lfs.sha256.clone()),
        }
    }
}

fn tell(on_event: &mut OnEvent<'_>, event: &Event<'_>) -> Result<(), HubError> {
    match on_event(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(HubError::Cancelled),
    }
}
