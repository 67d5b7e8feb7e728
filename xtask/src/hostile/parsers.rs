//! What is attacked: every function that reads bytes from strangers.

use std::path::PathBuf;
use std::sync::OnceLock;

use mobilevlm_processor::Tokenizer;

use super::generated::{self, Generated};
use crate::steps::workspace;

/// One parser under attack.
#[derive(Clone)]
pub(super) struct Parser {
    pub(super) name: &'static str,
    /// The name of its folders in `attacks/`.
    folder: &'static str,
    /// Parses; the message of an error, or `Ok` for a result.
    pub(super) parse: fn(&[u8]) -> Result<(), String>,
    /// How many bytes it may hold at once for this input.
    pub(super) limit: fn(&[u8]) -> u64,
    /// Makes checksums right again, so that a mutation reaches what lies behind them.
    pub(super) repair: Option<fn(&mut [u8])>,
    /// Inputs too large for the corpus, by name.
    pub(super) generated: &'static [Generated],
}

/// Every parser of the workspace.
pub(super) fn all() -> Vec<Parser> {
    #[cfg(feature = "broken-parser")]
    let broken = super::broken::parsers();
    #[cfg(not(feature = "broken-parser"))]
    let broken = [];
    [
        Parser::new("tokenizer-model", tokenizer_model).generated(generated::PROTOBUF),
        Parser::new("text", text).generated(generated::TEXT),
    ]
    .into_iter()
    .chain(broken)
    .collect()
}

/// What every input may cost beyond its own length, in bytes.
const ALLOWANCE: u64 = 16 << 20;

impl Parser {
    pub(super) fn new(name: &'static str, parse: fn(&[u8]) -> Result<(), String>) -> Self {
        let limit = |file: &[u8]| file.len() as u64 + ALLOWANCE;
        Self {
            name,
            folder: name,
            parse,
            limit,
            repair: None,
            generated: &[],
        }
    }

    /// Also gives it these large inputs.
    pub(super) fn generated(self, generated: &'static [Generated]) -> Self {
        Self { generated, ..self }
    }

    /// Takes the samples of another parser.
    #[cfg(feature = "broken-parser")]
    pub(super) fn samples(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    /// The valid samples, sorted by name.
    pub(super) fn seeds(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        files(workspace().join("attacks/seeds").join(self.folder))
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
        files.push((
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read(entry.path())?,
        ));
    }
    files.sort();
    Ok(files)
}

fn message(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What is accepted must also encode and decode.
fn tokenizer_model(file: &[u8]) -> Result<(), String> {
    let tokenizer = Tokenizer::from_sentencepiece(file).map_err(message)?;
    let ids = tokenizer.encode("a</s>ab c\u{2581}\u{1f600}\n<s>");
    tokenizer.decode(&ids, false);
    tokenizer.decode(&[0, 1, 2, 3, u32::MAX], true);
    Ok(())
}

/// Text that someone typed, and ids that a model might say.
fn text(file: &[u8]) -> Result<(), String> {
    static MICRO: OnceLock<Tokenizer> = OnceLock::new();
    let tokenizer = MICRO.get_or_init(|| {
        let file = std::fs::read(workspace().join("golden/checkpoint/tokenizer.model"));
        Tokenizer::from_sentencepiece(&file.expect("the micro set has a tokenizer"))
            .expect("it is valid")
    });
    let text = String::from_utf8_lossy(file);
    tokenizer.encode(&text);
    tokenizer.encode_prompt(&text);
    let ids = tokenizer.encode_literal(&text);
    tokenizer.decode(&ids, true);
    let ids: Vec<u32> = file
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |id, &byte| id << 8 | u32::from(byte)))
        .collect();
    tokenizer.decode(&ids, false);
    let mut stream = tokenizer.decode_stream();
    for &id in &ids {
        stream.push(id);
    }
    stream.finish();
    Ok(())
}
