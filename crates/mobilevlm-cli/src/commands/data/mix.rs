//! `mobilevlm data mix`: one data set of several.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm_data::{DataError, IndexPlace, MixError, MixRecipe};

use crate::args::DataMixArgs;
use crate::error::CliError;
use crate::interrupt;
use crate::settings;
use crate::terminal::Terminal;

pub(crate) fn run(args: &DataMixArgs, terminal: Terminal) -> Result<(), CliError> {
    let mut name = args.output.clone().into_os_string();
    name.push(".manifest.json");
    let manifest_path = Path::new(&name);
    if !args.force && args.output.exists() {
        let path = args.output.display();
        let message = format!("{path} is there already; `--force` replaces it");
        return Err(CliError::Failed(message));
    }
    let text = std::fs::read(&args.recipe).map_err(CliError::read(&args.recipe))?;
    let recipe = MixRecipe::parse(&text)?;
    let beside = args.recipe.parent().unwrap_or(Path::new(""));
    let root = args.root.as_deref().unwrap_or(beside);
    let cache = settings::cache_folder().map(|folder| folder.join("data"));
    let place = cache.map_or(IndexPlace::Beside, IndexPlace::Folder);

    let token = interrupt::stoppable();
    let mut bar = terminal.progress("mixing");
    let manifest = recipe.write(root, &args.output, &place, &mut |done, total| {
        if total > 0 {
            bar.show(done, total);
        }
        match token.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    bar.finish();
    interrupt::done();
    let manifest = manifest.map_err(|error| match error {
        MixError::Data(DataError::Stopped) => CliError::Interrupted,
        error => CliError::Mix(error),
    })?;
    mobilevlm_data::replace_file(manifest_path, |out| {
        serde_json::to_writer_pretty(&mut *out, &manifest)?;
        writeln!(out)
    })
    .map_err(|source| CliError::File {
        path: manifest_path.display().to_string(),
        doing: "written",
        source,
    })?;
    let mut out = io::stdout().lock();
    for set in &manifest.sets {
        let (taken, rows) = (set.taken, set.rows);
        writeln!(out, "{taken:>10} of {rows:>10} rows  {}", set.name)?;
        if set.broken > 0 {
            terminal.note(&format!(
                "{}: {} rows are no samples and are left out; `mobilevlm data check` names them",
                set.file.display(),
                set.broken
            ));
        }
    }
    writeln!(
        out,
        "{:>10} rows in {}",
        manifest.rows,
        args.output.display()
    )?;
    Ok(out.flush()?)
}
