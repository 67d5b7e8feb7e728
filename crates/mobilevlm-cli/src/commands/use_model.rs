//! `mobilevlm use`: the model that is used when none is named.

use std::io::{self, Write};
use std::path::Path;

use mobilevlm::hub::{HubError, ModelId};

use crate::args::UseArgs;
use crate::default_model::DefaultModel;
use crate::error::CliError;
use crate::plan::{Network, hub};
use crate::terminal::Terminal;

pub(crate) fn run(args: &UseArgs, terminal: Terminal) -> Result<(), CliError> {
    let default = DefaultModel::of_this_user()?;
    match &args.model {
        Some(model) => {
            let name = lasting_name(model)?;
            default.set(Some(&name))?;
            if let Ok(id) = name.parse::<ModelId>()
                && hub(Network::Never)?.cache().find(&id).is_none()
            {
                terminal.note(&format!(
                    "{id} is downloaded when it is first used, or now by `mobilevlm pull {id}`"
                ));
            }
        }
        None if args.none => default.set(None)?,
        None => match default.get() {
            Some(name) => writeln!(io::stdout(), "{name}")?,
            None => terminal.note("no default model is set"),
        },
    }
    Ok(())
}

/// A name that means the same from every folder: a path is made absolute.
fn lasting_name(model: &str) -> Result<String, CliError> {
    let path = Path::new(model);
    if path.exists() {
        let path = std::fs::canonicalize(path).map_err(CliError::read(path))?;
        return path.into_os_string().into_string().map_err(|path| {
            CliError::Failed(format!(
                "{}: a path that is not valid UTF-8 cannot be kept",
                path.display()
            ))
        });
    }
    match model.parse::<ModelId>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err(CliError::Hub(HubError::NoSuchPath {
            path: model.to_owned(),
        })),
    }
}
