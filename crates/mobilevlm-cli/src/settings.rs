//! The folders of this command: settings, and what can be made anew.

use std::path::PathBuf;

/// `mobilevlm` in `$XDG_CONFIG_HOME`, else in the place that the system has for settings; `None`
/// without a home folder.
pub(crate) fn folder() -> Option<PathBuf> {
    let settings = if let Some(folder) = variable("XDG_CONFIG_HOME") {
        folder
    } else if cfg!(windows) {
        variable("APPDATA")?
    } else if cfg!(target_os = "macos") {
        std::env::home_dir()?.join("Library/Application Support")
    } else {
        std::env::home_dir()?.join(".config")
    };
    Some(settings.join("mobilevlm"))
}

/// `mobilevlm` in `$XDG_CACHE_HOME`, else in the place that the system has for what can be made
/// anew; `None` without a home folder.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let caches = if let Some(folder) = variable("XDG_CACHE_HOME") {
        folder
    } else if cfg!(windows) {
        variable("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        std::env::home_dir()?.join("Library/Caches")
    } else {
        std::env::home_dir()?.join(".cache")
    };
    Some(caches.join("mobilevlm"))
}

/// The folder that an environment variable names.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
