//! The arguments of `convert`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mobilevlm_checkpoint::Mix;
use mobilevlm_tensor::Format;

/// `convert`
#[derive(Debug, Args)]
#[command(after_help = "\
Which mix to take: docs/quantization.md. Without --language, --vision and --projector: q4_k_m, q8_0
and q8_0, but what is quantised already is kept.

Examples:
  mobilevlm convert mtgv/MobileVLM_V2-1.7B
  mobilevlm convert ./my-finetuned-model -o mine.gguf --language q8_0
  mobilevlm convert ./my-finetuned-model --language q3_k_m --calibrate ./photos-and-texts
  mobilevlm convert llm.gguf -o mine.gguf          # llama.cpp's pair into one file
  mobilevlm convert mine.gguf -o mine --split      # and back")]
pub(crate) struct ConvertArgs {
    /// A folder, a file, or a hub id, which is downloaded.
    #[arg(value_name = "SRC", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) source: String,

    /// The file to write; with --split, mmproj-OUT beside it. Unless given, named after the model.
    #[arg(short, long, value_name = "OUT", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,

    /// Formats of the language model: a mix, or `keep`.
    #[arg(long, value_name = "MIX", value_parser = mixes())]
    pub(crate) language: Option<Choice<Mix>>,

    /// Format of the vision tower's matrices, or `keep`.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) vision: Option<Choice<Format>>,

    /// Format of the projector's matrices, or `keep`.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) projector: Option<Choice<Format>>,

    /// Write the two files that llama.cpp loads instead of one that holds the whole model.
    #[arg(long)]
    pub(crate) split: bool,

    /// Quantise with less error where it matters to the pictures and .txt files of this folder,
    /// which the model reads first; files have the same formats and sizes.
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    pub(crate) calibrate: Option<PathBuf>,

    /// Replace files that are there.
    #[arg(long)]
    pub(crate) force: bool,

    /// Folder of the CLIP vision tower, for models that keep it apart.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) vision_tower: Option<PathBuf>,

    /// The projector's file of a model in a pair of GGUF files; else the only `mmproj*.gguf` beside
    /// the language model's.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) mmproj: Option<PathBuf>,

    /// Threads; as many as there are cores unless given.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
}

/// How a part is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<T> {
    /// As it is.
    Keep,
    /// As this says.
    As(T),
}

impl<T> Choice<T> {
    /// `None` for what is kept, as the library has it.
    pub(crate) fn chosen(self) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::As(chosen) => Some(chosen),
        }
    }
}

const KEEP: &str = "keep";

fn mixes() -> impl TypedValueParser<Value = Choice<Mix>> {
    let names = Mix::all().map(Mix::name).chain([KEEP]);
    // What is no name has been refused; what is left is `keep`.
    PossibleValuesParser::new(names)
        .map(|name| Mix::from_name(&name).map_or(Choice::Keep, Choice::As))
}

fn formats() -> impl TypedValueParser<Value = Choice<Format>> {
    let names = Format::ALL.iter().map(|format| format.name());
    PossibleValuesParser::new(names.chain([KEEP])).map(|name| {
        let mut all = Format::ALL.into_iter();
        let format = all.find(|format| format.name() == name);
        format.map_or(Choice::Keep, Choice::As)
    })
}
