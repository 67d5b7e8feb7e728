//! `mobilevlm convert`: a model as GGUF, in one file or as the pair that llama.cpp loads.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Checkpoint, Conversion, ConvertError, Formats, Mix, OpenOptions};
use mobilevlm_tensor::Pool;

use super::calibrate;
use crate::args::{Choice, ConvertArgs};
use crate::error::CliError;
use crate::interrupt;
use crate::plan::{self, Network};
use crate::terminal::Terminal;

pub(crate) fn run(args: &ConvertArgs, terminal: Terminal) -> Result<(), CliError> {
    let found = plan::find_model(Some(&args.source), Network::Allowed, terminal)?;
    let called = found.name.clone();
    let files = found.files()?;
    let options = OpenOptions {
        vision_tower: args.vision_tower.clone(),
        mmproj: args.mmproj.clone(),
        tower_cache: files.tower_cache,
        ..OpenOptions::default()
    };
    let mut checkpoint = Checkpoint::open(&files.path, &options)?;
    let source = checkpoint.tokenizer.as_ref();
    let source = source.ok_or(CliError::Engine(mobilevlm::Error::NoTokenizer))?;
    let vocabulary = mobilevlm::list_vocabulary(source)?;

    let own_name = checkpoint.name.clone().filter(|name| !name.is_empty());
    let name = own_name.unwrap_or_else(|| model_name(&called, &files.path));
    let formats = formats(args, &checkpoint, terminal);
    let outputs = outputs(args, &file_name(&name), formats.language);
    for output in &outputs {
        if !args.force && output.exists() {
            let path = output.display();
            let message = format!("{path} is there already; `--force` replaces it");
            return Err(CliError::Failed(message));
        }
    }

    if let Some(folder) = &args.calibrate {
        let options = mobilevlm::OpenOptions {
            vision_tower: options.vision_tower,
            tower_cache: options.tower_cache,
            mmproj: options.mmproj,
            threads: args.threads.map(Into::into),
            ..mobilevlm::OpenOptions::default()
        };
        let importance = calibrate::importance(&files.path, &options, folder, terminal)?;
        checkpoint.tensors.weigh(importance);
    }
    let conversion = Conversion {
        checkpoint: &checkpoint,
        vocabulary: &vocabulary,
        name: &name,
        formats,
    };
    let threads = args.threads.or(std::thread::available_parallelism().ok());
    let pool = Pool::new(threads.map_or(1, Into::into));
    let token = interrupt::stoppable();
    let mut bar = terminal.progress("converting");
    let on_progress = &mut |done, total| {
        bar.show(done, total);
        match token.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let written = match &outputs[..] {
        [language, projector] => conversion.write_pair(language, projector, &pool, on_progress),
        [file, ..] => conversion.write_file(file, &pool, on_progress),
        [] => Ok(()),
    };
    bar.finish();
    interrupt::done();
    match written {
        Ok(()) => {}
        Err(ConvertError::Stopped) => return Err(CliError::Interrupted),
        Err(error) => return Err(error.into()),
    }
    let mut out = io::stdout().lock();
    for output in &outputs {
        writeln!(out, "{}", output.display())?;
    }
    Ok(())
}

/// What was asked for, and the usual where nothing was; tells of what only loses.
fn formats(args: &ConvertArgs, checkpoint: &Checkpoint, terminal: Terminal) -> Formats {
    let usual = Formats::usual(checkpoint);
    let is_kept = usual.language.is_none();
    if is_kept && matches!(args.language, Some(Choice::As(_))) {
        terminal.note(
            "the language model is quantised already; quantising it again loses more than \
             quantising the original",
        );
    }
    Formats {
        language: args.language.map_or(usual.language, Choice::chosen),
        vision: args.vision.map_or(usual.vision, Choice::chosen),
        projector: args.projector.map_or(usual.projector, Choice::chosen),
    }
}

/// The model's own name: the last part of a hub id, of a folder or of a file.
fn model_name(typed: &str, path: &Path) -> String {
    let id = typed.parse::<mobilevlm::hub::ModelId>();
    if let (Ok(id), false) = (id, Path::new(typed).exists()) {
        let id = id.to_string();
        let id = id.split('@').next().unwrap_or_default();
        return id.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    name.map_or("model".to_owned(), |name| {
        name.to_string_lossy().into_owned()
    })
}

/// A name as part of a file's name: one that a file gives itself can hold anything.
fn file_name(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|c| if safe(c) { c } else { '-' })
        .collect();
    match name.trim_start_matches('.') {
        "" => "model".to_owned(),
        name => name.to_owned(),
    }
}

/// The file to write, or the two.
fn outputs(args: &ConvertArgs, name: &str, mix: Option<Mix>) -> Vec<PathBuf> {
    let usual = match mix {
        Some(mix) => format!("{name}-{}.gguf", mix.name()),
        None => format!("{name}.gguf"),
    };
    let file = match &args.output {
        None => PathBuf::from(usual),
        Some(folder) if folder.is_dir() => folder.join(usual),
        Some(path) => match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("gguf") => path.clone(),
            _ => {
                let mut path = path.clone().into_os_string();
                path.push(".gguf");
                path.into()
            }
        },
    };
    if !args.split {
        return vec![file];
    }
    let mut projector = std::ffi::OsString::from("mmproj-");
    projector.push(file.file_name().unwrap_or_default());
    let projector = file.with_file_name(projector);
    vec![file, projector]
}
