//! The folder of this command's settings.

use std::path::PathBuf;

/// `mobilevlm` in `$XDG_CONFIG_HOME`, else in the place that the system has for settings; `None`
/// without a home folder.
pub(crate) fn folder() -> Option<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
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
