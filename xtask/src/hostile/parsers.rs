//! What is attacked: every function that reads bytes from strangers.

use std::path::PathBuf;

use super::generated::{self, Generated};
use super::{pictures, targets};
use crate::steps::workspace;

/// One parser under attack.
#[derive(Clone)]
pub(super) struct Parser {
    pub(super) name: &'static str,
    /// The name of its folders in `attacks/`.
    folder: &'static str,
    /// Parses; the message of an error, or `Ok` for a result.
    pub(super) parse: targets::Target,
    /// How many bytes it may hold at once for this input.
    pub(super) limit: fn(&[u8]) -> u64,
    /// Makes checksums right again, so that a mutation reaches what lies behind them.
    pub(super) repair: Option<fn(&mut [u8])>,
    /// Inputs too large for the corpus.
    pub(super) generated: &'static [Generated],
    /// Further samples: files of the micro set.
    golden: &'static [&'static str],
}

/// Every parser of the workspace, and the broken ones where they are compiled in.
pub(super) fn all() -> Vec<Parser> {
    let parsers = ours();
    #[cfg(feature = "broken-parser")]
    let parsers = [parsers, super::broken::parsers().to_vec()].concat();
    parsers
}

/// Every parser of the workspace.
pub(super) fn ours() -> Vec<Parser> {
    vec![
        Parser::new("safetensors", targets::safetensors).generated(generated::SAFETENSORS),
        Parser::new("torch-zip", targets::torch),
        Parser::new("torch-legacy", targets::torch).generated(generated::TORCH_LEGACY),
        Parser::new("gguf", targets::gguf).generated(generated::GGUF),
        Parser::new("tokenizer-model", targets::tokenizer_model)
            .generated(generated::PROTOBUF)
            .golden(&["checkpoint/tokenizer.model"]),
        Parser::new("text", targets::text).generated(generated::TEXT),
        Parser::new("config-json", targets::config).generated(generated::JSON),
        Parser::new("vision-json", targets::vision_config).generated(generated::JSON),
        Parser::new("preprocessor-json", targets::preprocessor_config).generated(generated::JSON),
        Parser::new("index-json", targets::index).generated(generated::JSON),
        Parser::new("checkpoint-folder", targets::checkpoint_folder)
            .generated(generated::JSON)
            .golden(&["checkpoint/config.json"]),
        Parser {
            repair: Some(pictures::repair_png),
            ..picture("png", |f| limit(f, pictures::png(f)))
        }
        .golden(&["images/c.png"]),
        picture("jpeg", |file| limit(file, pictures::jpeg(file))).golden(&["images/d.jpg"]),
        picture("webp", |file| limit(file, pictures::webp(file))),
        picture("gif", |file| limit(file, pictures::gif(file))),
        picture("bmp", |file| limit(file, pictures::bmp(file))),
    ]
}

fn picture(name: &'static str, limit: fn(&[u8]) -> u64) -> Parser {
    Parser {
        limit,
        ..Parser::new(name, targets::picture)
    }
}

/// What every input may cost beyond its own length, in bytes.
const ALLOWANCE: u64 = 16 << 20;

fn limit(file: &[u8], declared: Option<(u64, u64)>) -> u64 {
    file.len() as u64 + ALLOWANCE + pictures::cost(file, declared)
}

impl Parser {
    /// A parser whose samples and attacks lie in the folders called `name`.
    pub(super) fn new(name: &'static str, parse: targets::Target) -> Self {
        Self {
            name,
            folder: name,
            parse,
            limit: |file| limit(file, None),
            repair: None,
            generated: &[],
            golden: &[],
        }
    }

    /// Also gives it these large inputs.
    pub(super) fn generated(self, generated: &'static [Generated]) -> Self {
        Self { generated, ..self }
    }

    /// Also starts from these files of the micro set.
    fn golden(self, golden: &'static [&'static str]) -> Self {
        Self { golden, ..self }
    }

    /// Takes the samples of another parser.
    #[cfg(feature = "broken-parser")]
    pub(super) fn samples(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    /// The valid samples, sorted by name, then those of the micro set.
    pub(super) fn seeds(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut seeds = files(workspace().join("attacks/seeds").join(self.folder))?;
        for name in self.golden {
            let path = workspace().join("golden").join(name);
            seeds.push((format!("golden/{name}"), std::fs::read(path)?));
        }
        Ok(seeds)
    }

    /// The hostile files, sorted by name.
    pub(super) fn attacks(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        files(workspace().join("attacks").join(self.folder))
    }
}

fn files(folder: PathBuf) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, std::fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}
