//! Where models are kept and how they get there.
//!
//! A model is named by a folder, a file, or a hub id such as `mtgv/MobileVLM_V2-1.7B@main`. What
//! a hub id names is downloaded once into the cache that Hugging Face's own tools use, so both
//! share the files. Nothing here prints: progress goes to a callback, which can also cancel.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use mobilevlm::hub::{Hub, Settings};
//!
//! let hub = Hub::new(Settings::from_env()?)?;
//! let model = hub.resolve("mtgv/MobileVLM_V2-1.7B", &mut |_| ControlFlow::Continue(()))?;
//! println!("{}", model.path.display());
//! # Ok::<(), mobilevlm::hub::HubError>(())
//! ```
//!
//! What a server sends is not believed: names are checked before they become paths, lengths
//! against what was announced, large files against their SHA-256. A file appears under its final
//! name only when it is complete, so an interruption at any moment leaves a cache that works.

mod cache;
mod download;
mod error;
mod http;
mod id;
mod lock;
mod needed;
mod pull;
mod resolve;
mod settings;
mod tower;

pub use cache::{Cache, CachedModel};
pub use error::HubError;
pub use id::ModelId;
pub use pull::{Event, OnEvent, Progress};
pub use resolve::{Origin, Resolved};
pub use settings::{Patience, Settings, Token};

use http::Http;

/// The hub: a cache on this machine and the server that fills it.
pub struct Hub {
    cache: Cache,
    http: Http,
    offline: bool,
    patience: Patience,
}

impl Hub {
    /// A hub with these settings; touches neither disk nor network.
    ///
    /// # Errors
    /// [`HubError::Endpoint`] if the endpoint is no `http://` or `https://` address.
    pub fn new(settings: Settings) -> Result<Hub, HubError> {
        Ok(Hub {
            cache: Cache::new(settings.cache),
            http: Http::new(
                &settings.endpoint,
                settings.token,
                settings.patience.clone(),
            )?,
            offline: settings.offline,
            patience: settings.patience,
        })
    }

    /// The server that has more models.
    pub fn endpoint(&self) -> &str {
        self.http.endpoint()
    }

    /// Whether the network is out of bounds.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// The cache on this machine.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}
