//! The model that is used when none is named: `mobilevlm use`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::replace_file;

use crate::error::CliError;
use crate::settings;

/// Remembers a model's name in a file.
pub(crate) struct DefaultModel {
    file: PathBuf,
}

impl DefaultModel {
    /// In the folder where this system keeps settings.
    ///
    /// # Errors
    /// [`CliError::Failed`] if no variable names one and there is no home folder.
    pub(crate) fn of_this_user() -> Result<DefaultModel, CliError> {
        match settings::folder() {
            Some(folder) => Ok(DefaultModel::in_folder(&folder)),
            None => Err(CliError::Failed(
                "no home folder: set XDG_CONFIG_HOME to the folder where settings are to be kept"
                    .to_owned(),
            )),
        }
    }

    fn in_folder(folder: &Path) -> DefaultModel {
        DefaultModel {
            file: folder.join("default-model"),
        }
    }

    /// The model's name, if one was set.
    pub(crate) fn get(&self) -> Option<String> {
        let text = fs::read_to_string(&self.file).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Sets or forgets the model.
    ///
    /// # Errors
    /// [`CliError::File`] or [`CliError::Checkpoint`] if the file cannot be written.
    pub(crate) fn set(&self, model: Option<&str>) -> Result<(), CliError> {
        let failed = |source| CliError::File {
            path: self.file.display().to_string(),
            doing: "written",
            source,
        };
        match model {
            Some(model) => {
                if let Some(folder) = self.file.parent() {
                    fs::create_dir_all(folder).map_err(failed)?;
                }
                Ok(replace_file(&self.file, |file| writeln!(file, "{model}"))?)
            }
            None => match fs::remove_file(&self.file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result.map_err(failed),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let default = DefaultModel::in_folder(folder.path());
        assert_eq!(default.get(), None);
        default.set(Some("org/name")).unwrap();
        default.set(Some("/a folder/with spaces")).unwrap();
        assert_eq!(default.get().as_deref(), Some("/a folder/with spaces"));
        default.set(None).unwrap();
        default.set(None).unwrap();
        assert_eq!(default.get(), None);
    }
}
