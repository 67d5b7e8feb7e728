//! What can go wrong between a name and a model on this machine.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mobilevlm_checkpoint::CheckpointError;

/// Why a model could not be found or fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Text that is no hub id.
    #[error("`{id}` is not a hub id like `org/name` or `org/name@revision`: {reason}")]
    Id {
        /// What was given.
        id: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Text that names a place on this machine where nothing is.
    #[error("`{path}` is neither a folder nor a file here, nor a hub id like `org/name`")]
    NoSuchPath {
        /// What was given.
        path: String,
    },
    /// `HF_ENDPOINT` is no address.
    #[error("`{endpoint}` (HF_ENDPOINT) is not an address like `https://huggingface.co`")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// There is no home folder and no variable names the cache.
    #[error("no home folder: set HF_HOME to the folder where models are to be kept")]
    NoHome,
    /// The model is not in the cache and the network is out of bounds.
    #[error("{id} is not complete in {} and HF_HUB_OFFLINE forbids to download it", cache.display())]
    Offline {
        /// The model.
        id: String,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// 401 or 403.
    #[error("{url}: the server refuses (HTTP {status}): {}", if *with_token {
        "the token in HF_TOKEN has no access; accept the model's conditions on its page, or use another token"
    } else {
        "the model is private, gated or does not exist; if you have access, set HF_TOKEN"
    })]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// 404 or 410.
    #[error("{url}: not found (HTTP {status}): check the spelling of model and revision")]
    NotFound {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Any other status than those of success.
    #[error("{url}: the server answers HTTP {status}{}", match retry_after {
        Some(pause) => format!(" and asks to wait {} s", pause.as_secs()),
        None => String::new(),
    })]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server asks for with 429 or 503.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that broke off.
    #[error("{url}: {doing}")]
    Connection {
        /// The address.
        url: String,
        /// What was being done.
        doing: &'static str,
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A redirection that cannot be followed.
    #[error("{url}: redirects to `{location}`, {reason}")]
    Redirect {
        /// The address that redirects.
        url: String,
        /// Where to.
        location: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// An answer that is not what the protocol says.
    #[error("{url}: expected {expected}, found {found}")]
    Answer {
        /// The address.
        url: String,
        /// What the protocol asks for.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A file that is longer or shorter than announced.
    #[error("{url}: expected {expected} bytes, found {found}")]
    Length {
        /// The address.
        url: String,
        /// The length that was announced first.
        expected: u64,
        /// The length that came or was announced later.
        found: u64,
    },
    /// A file with other content than announced.
    #[error("{url}: expected SHA-256 {expected}, found {found}: the file was damaged on its way")]
    Hash {
        /// The address.
        url: String,
        /// The hash that the server announced, in hex.
        expected: String,
        /// The hash of what came, in hex.
        found: String,
    },
    /// The file on the server became another one during the download.
    #[error(
        "{url}: the file changes on the server: it was {was}, now it is {now}; try again later"
    )]
    Changed {
        /// The address.
        url: String,
        /// Its etag at first.
        was: String,
        /// Its etag now.
        now: String,
    },
    /// A repository without a model.
    #[error("{id} has no {missing}: it holds {found}")]
    NotAModel {
        /// The repository.
        id: String,
        /// What a model needs.
        missing: &'static str,
        /// Some of the files that are there.
        found: String,
    },
    /// The disk refused.
    #[error("{}: cannot {doing}{}", path.display(), if source.kind() == io::ErrorKind::StorageFull {
        " (the disk is full: free some space, then the download goes on where it stopped)"
    } else {
        ""
    })]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A small file of the cache could not be written.
    #[error(transparent)]
    Write(#[from] CheckpointError),
    /// The progress callback asked to stop.
    #[error("the download was stopped; it goes on where it stopped when asked for again")]
    Cancelled,
}

impl HubError {
    pub(super) fn disk(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> HubError {
        let path = path.into();
        move |source| HubError::Disk {
            path,
            doing,
            source,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            HubError::Connection { .. } | HubError::Length { .. } => true,
            HubError::Status { status, .. } => matches!(status, 408 | 416 | 429 | 500..=599),
            _ => false,
        }
    }
}
