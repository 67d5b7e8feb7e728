//! Models: where they are kept, which is the default, and whether they can be used.

use std::io::{self, Write};
use std::path::PathBuf;

use mobilevlm::hub::{Hub, ModelId};
use mobilevlm_checkpoint::{Checkpoint, OpenOptions};
use serde::Serialize;

use crate::default_model::DefaultModel;
use crate::error::chain;
use crate::plan::{Network, hub};

/// What is known about models on this machine.
#[derive(Serialize)]
pub(super) struct Models {
    /// The folder where models are kept.
    cache: Option<PathBuf>,
    endpoint: Option<String>,
    offline: bool,
    /// The model set by `mobilevlm use`.
    default: Option<String>,
    models: Vec<Model>,
    /// Downloads that were begun and not finished.
    unfinished: Vec<Unfinished>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    path: PathBuf,
    usable: bool,
}

#[derive(Serialize)]
struct Unfinished {
    file: PathBuf,
    bytes: u64,
}

impl Models {
    /// Looks at all models in the cache, the default, and `named`.
    pub(super) fn examine(named: Option<&str>, problems: &mut Vec<String>) -> Models {
        let mut found = Models {
            cache: None,
            endpoint: None,
            offline: false,
            default: None,
            models: Vec::new(),
            unfinished: Vec::new(),
        };
        match DefaultModel::of_this_user() {
            Ok(default) => found.default = default.get(),
            Err(error) => problems.push(chain(&error)),
        }
        match hub(Network::Allowed) {
            Ok(hub) => found.look_around(&hub, named, problems),
            Err(error) => problems.push(chain(&error)),
        }
        found
    }

    fn look_around(&mut self, hub: &Hub, named: Option<&str>, problems: &mut Vec<String>) {
        let cache = hub.cache();
        self.cache = Some(cache.root().to_owned());
        self.endpoint = Some(hub.endpoint().to_owned());
        self.offline = hub.is_offline();
        for model in cache.models() {
            self.add(hub, model.id.to_string(), model.path, problems);
        }
        for name in [self.default.clone(), named.map(str::to_owned)]
            .into_iter()
            .flatten()
        {
            if self.models.iter().any(|model| model.name == name) {
                continue;
            }
            let path = PathBuf::from(&name);
            if path.exists() {
                self.add(hub, name, path, problems);
            } else if name.parse::<ModelId>().is_ok() {
                problems.push(format!(
                    "{name} is not complete in the cache; get it with `mobilevlm pull {name}`"
                ));
            } else {
                problems.push(format!(
                    "{name}: there is nothing; choose another default with `mobilevlm use MODEL`"
                ));
            }
        }
        for (file, bytes) in cache.unfinished() {
            self.unfinished.push(Unfinished { file, bytes });
        }
    }

    fn add(&mut self, hub: &Hub, name: String, path: PathBuf, problems: &mut Vec<String>) {
        let options = OpenOptions {
            tower_cache: hub.cached_tower(&path).into_iter().collect(),
            ..OpenOptions::default()
        };
        let opened = Checkpoint::open(&path, &options);
        if let Err(error) = &opened {
            problems.push(format!(
                "{name}: {}; details: `mobilevlm inspect {name}`",
                first_line(&chain(error))
            ));
        }
        self.models.push(Model {
            name,
            path,
            usable: opened.is_ok(),
        });
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.cache {
            Some(cache) => writeln!(out, "Models are kept in {}", cache.display())?,
            None => writeln!(out, "There is no place to keep models")?,
        }
        if let Some(endpoint) = &self.endpoint {
            let network = if self.offline {
                "; HF_HUB_OFFLINE forbids to use it"
            } else {
                ""
            };
            writeln!(out, "More come from {endpoint}{network}")?;
        }
        writeln!(
            out,
            "Default: {}",
            self.default
                .as_deref()
                .unwrap_or("none (`mobilevlm use MODEL` sets one)")
        )?;
        if self.models.is_empty() {
            writeln!(
                out,
                "No models here, so the demo model answers; \
                 `mobilevlm pull mtgv/MobileVLM_V2-1.7B` gets a real one"
            )?;
        }
        for model in &self.models {
            let state = if model.usable { "usable" } else { "not usable" };
            writeln!(out, "  {}  {state}  {}", model.name, model.path.display())?;
        }
        for Unfinished { file, bytes } in &self.unfinished {
            writeln!(
                out,
                "  unfinished download of {:.0} MB: {}",
                *bytes as f64 / 1e6,
                file.display()
            )?;
        }
        Ok(())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
