//! From what was typed to what is meant: defaults filled in, files found, nothing computed yet.

use std::ffi::OsString;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::hub::{CachedModel, Hub, Settings};
use mobilevlm::{Arithmetic, CancelToken, GenerateOptions, Model, OpenOptions, Picture};
use mobilevlm_checkpoint::Access;
use mobilevlm_processor::{Exif, Limits};
use mobilevlm_tensor::Kernels;

use crate::args::{ComputeArgs, ExifMode, GenerateArgs, ModelArgs};
use crate::default_model::DefaultModel;
use crate::demo;
use crate::error::CliError;
use crate::settings;
use crate::terminal::Terminal;

/// A model on this machine.
pub(crate) struct Found {
    /// What it is called.
    pub(crate) name: String,
    /// `None` for the demo model, which is in this program.
    files: Option<ModelFiles>,
}

/// Where a model is.
pub(crate) struct ModelFiles {
    /// Its folder or file.
    pub(crate) path: PathBuf,
    /// The tower that its configuration names, where the cache has it.
    pub(crate) tower_cache: Vec<PathBuf>,
}

impl Found {
    fn demo() -> Found {
        let name = demo::NAME.to_owned();
        Found { name, files: None }
    }

    /// Its folder or file.
    ///
    /// # Errors
    /// [`CliError::NoModel`] for the demo model, which has none.
    pub(crate) fn files(self) -> Result<ModelFiles, CliError> {
        self.files.ok_or_else(|| {
            let text = "which model? None was named, and the demo model is a part of this program, \
                        not a file; name a folder, a file or a hub id";
            CliError::NoModel(text.to_owned())
        })
    }
}

/// Whether a model may be downloaded to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// It may.
    Allowed,
    /// Only what is here counts.
    Never,
}

/// The hub as the environment describes it.
///
/// # Errors
/// [`CliError::Hub`] if the environment describes none.
pub(crate) fn hub(network: Network) -> Result<Hub, CliError> {
    let mut settings = Settings::from_env()?;
    settings.offline |= network == Network::Never;
    Ok(Hub::new(settings)?)
}

/// Finds the model that `named` means: a folder, a file, a hub id, `demo`; without it the default,
/// else the only one in the cache, else the demo model.
///
/// # Errors
/// [`CliError::NoModel`] if nothing was named and nothing is obvious; [`CliError::Hub`] if what
/// was named cannot be found or fetched.
pub(crate) fn find_model(
    named: Option<&str>,
    network: Network,
    terminal: Terminal,
) -> Result<Found, CliError> {
    let hub = hub(network)?;
    let name = match named {
        Some(name) => name.to_owned(),
        None => match DefaultModel::of_this_user()?.get() {
            Some(name) => name,
            None => match only_model(&hub.cache().models())? {
                Some(name) => name,
                None => return Ok(Found::demo()),
            },
        },
    };
    if name == demo::NAME && !Path::new(&name).exists() {
        return Ok(Found::demo());
    }
    let mut download = terminal.download();
    let resolved = hub.resolve(&name, &mut |event| {
        download.show(event);
        ControlFlow::Continue(())
    });
    download.finish();
    let path = resolved?.path;
    let tower_cache = hub.cached_tower(&path).into_iter().collect();
    let files = Some(ModelFiles { path, tower_cache });
    Ok(Found { name, files })
}

/// The model that is meant where none was named and no default is set; nothing where none is cached.
fn only_model(cached: &[CachedModel]) -> Result<Option<String>, CliError> {
    match cached {
        [only] => Ok(Some(only.id.to_string())),
        [] => Ok(None),
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|model| format!("  mobilevlm use {}", model.id))
                .collect();
            Err(CliError::NoModel(format!(
                "which model? There are {} and no default is set. Choose one:\n{}\nor name it with -m",
                several.len(),
                lines.join("\n")
            )))
        }
    }
}

/// Finds and opens a model.
///
/// # Errors
/// As [`find_model`]; [`CliError::Engine`] if it cannot be used.
pub(crate) fn open_model(
    model: &ModelArgs,
    compute: &ComputeArgs,
    network: Network,
    terminal: Terminal,
) -> Result<Model, CliError> {
    // Before anything is downloaded: a wrong name here is cheap to find.
    let kernels = kernels(compute)?;
    let found = find_model(model.model.as_deref(), network, terminal)?;
    let _waiting = terminal.waiting("opening the model");
    let (path, tower_cache) = match found.files {
        Some(files) => (Some(files.path), files.tower_cache),
        None => (None, Vec::new()),
    };
    let options = OpenOptions {
        vision_tower: model.vision_tower.clone(),
        tower_cache,
        access: if model.no_mmap {
            Access::Read
        } else {
            Access::default()
        },
        threads: compute.threads.map(Into::into),
        kernels,
        // Without a home folder nothing is kept.
        state_cache: settings::cache_folder()
            .filter(|_| !model.no_state_cache)
            .map(|folder| folder.join("states")),
        arithmetic: compute.arithmetic_or(Arithmetic::Fast),
        mmproj: model.mmproj.clone(),
    };
    match path {
        Some(path) => Ok(Model::open(&path, &options)?),
        None => {
            terminal.note(demo::NOTE);
            Ok(demo::open(&options)?)
        }
    }
}

/// The kernel table that was named, if one was.
///
/// # Errors
/// [`CliError::Kernels`] if there is none of that name or this machine cannot run it.
pub(crate) fn kernels(compute: &ComputeArgs) -> Result<Option<&'static Kernels>, CliError> {
    // An empty variable is one that is not set.
    let name = compute.kernels.as_deref().filter(|name| !name.is_empty());
    Ok(name.map(Kernels::by_name).transpose()?)
}

/// The options of an answer, with a token that stops it.
pub(crate) fn generate_options(args: &GenerateArgs, cancel: CancelToken) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens: args.max_new_tokens,
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
        seed: args.seed,
        stop: args.stop.clone(),
        prompt_lookup: !args.no_prompt_lookup,
        cancel,
    }
}

/// What `ask` was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Files, or `-` for standard input; at least one.
    pub(crate) pictures: Vec<PathBuf>,
    /// The question, to be taken literally.
    pub(crate) text: String,
}

impl Question {
    /// Tells pictures from the question, which comes last.
    ///
    /// # Errors
    /// [`CliError::Usage`] if there is no picture, no question, or standard input is to be read
    /// twice.
    pub(crate) fn from_words(words: &[OsString]) -> Result<Question, CliError> {
        let usage = |message: String| {
            CliError::usage(
                message,
                "mobilevlm ask photo.jpg \"What is in this picture?\"",
            )
        };
        let shown = |word: &OsString| word.to_string_lossy().into_owned();
        match words {
            [] => return Err(usage("ask needs a picture and a question".to_owned())),
            [word] if is_picture(word) => {
                return Err(usage(format!(
                    "what do you want to know about {}? The question is missing",
                    shown(word)
                )));
            }
            [word] => {
                return Err(usage(format!(
                    "which picture is \"{}\" about? The picture is missing",
                    shown(word)
                )));
            }
            _ => {}
        }
        let (last, pictures) = words.split_last().unwrap_or((&words[0], &[]));
        if is_picture(last) {
            return Err(usage(format!(
                "the question comes last, but {} is a picture",
                shown(last)
            )));
        }
        let Some(text) = last.to_str() else {
            return Err(usage("the question is not valid UTF-8".to_owned()));
        };
        if text.trim().is_empty() {
            return Err(usage("the question is empty".to_owned()));
        }
        if pictures.iter().filter(|word| *word == "-").count() > 1 {
            return Err(usage(
                "standard input (`-`) can be read only once".to_owned(),
            ));
        }
        Ok(Question {
            pictures: pictures.iter().map(PathBuf::from).collect(),
            text: text.to_owned(),
        })
    }
}

/// Whether a word is meant as a picture: standard input, or a file that is called like one or is
/// there. A question is neither.
fn is_picture(word: &OsString) -> bool {
    let path = Path::new(word);
    // "What is in photo.jpg" ends like a picture, but no file is called so.
    word == "-"
        || path.is_file()
        || (is_called_like_a_picture(path) && !word.to_string_lossy().contains(char::is_whitespace))
}

/// Whether a path ends as those of pictures do.
pub(crate) fn is_called_like_a_picture(path: &Path) -> bool {
    const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];
    path.extension().is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Reads and decodes a picture; `-` is standard input.
///
/// # Errors
/// [`CliError::File`] if it cannot be read, [`CliError::Picture`] if it is no picture.
pub(crate) fn read_picture(path: &Path, exif: ExifMode) -> Result<Picture, CliError> {
    let limits = Limits::default();
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that the decoder sees that it is too much.
        std::io::stdin()
            .lock()
            .take(limits.bytes as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(CliError::read("standard input"))?;
        bytes
    } else {
        let file = std::fs::File::open(path).map_err(CliError::read(path))?;
        let mut bytes = Vec::new();
        file.take(limits.bytes as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(CliError::read(path))?;
        bytes
    };
    let exif = match exif {
        ExifMode::On => Exif::Apply,
        ExifMode::Off => Exif::Ignore,
    };
    Picture::decode(&bytes, &limits, exif).map_err(|source| CliError::Picture {
        path: if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        },
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(words: &[&str]) -> Result<Question, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Question::from_words(&words).map_err(|error| {
            assert!(matches!(error, CliError::Usage { .. }));
            error.to_string()
        })
    }

    #[test]
    fn the_last_word_is_the_question() {
        let asked = question(&["a.png", "-", "What has <image> changed?"]).unwrap();
        assert_eq!(asked.pictures, [PathBuf::from("a.png"), PathBuf::from("-")]);
        assert_eq!(asked.text, "What has <image> changed?");
        assert!(question(&["a.png", "What is in photo.jpg"]).is_ok());
    }

    #[test]
    fn half_a_question_is_wrong_usage_with_an_example() {
        for (words, part) in [
            (&["photo.jpg"][..], "question is missing"),
            (&["PHOTO.JPEG"], "question is missing"),
            (&["-"], "question is missing"),
            (&["What is this?"], "picture is missing"),
            (&["a.png", "b.png"], "comes last"),
            (&["a.png", "  "], "empty"),
            (&["-", "-", "What?"], "only once"),
        ] {
            let message = question(words).unwrap_err();
            assert!(message.contains(part), "{words:?}: {message}");
            assert!(
                message.contains("mobilevlm ask photo.jpg \"What"),
                "{words:?}: {message}"
            );
        }
    }

    #[test]
    fn without_a_name_only_an_obvious_model_is_taken() {
        let cached = |names: &[&str]| -> Vec<CachedModel> {
            let model = |name: &&str| CachedModel {
                id: name.parse().unwrap(),
                path: PathBuf::new(),
            };
            names.iter().map(model).collect()
        };
        let only = |names: &[&str]| only_model(&cached(names)).map_err(|e| e.to_string());
        assert_eq!(only(&["a/b"]).unwrap().unwrap(), "a/b");
        assert_eq!(only(&["a/b@v1"]).unwrap().unwrap(), "a/b@v1");
        assert_eq!(only(&[]).unwrap(), None);
        let two = only(&["a/b", "c/d"]).unwrap_err();
        assert!(
            two.contains("mobilevlm use a/b\n") && two.contains("mobilevlm use c/d"),
            "{two}"
        );
    }
}
