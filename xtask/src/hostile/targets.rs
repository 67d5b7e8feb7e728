//! One function per parser: gives it bytes, and uses what it accepts as the engine would.

use std::error::Error;
use std::sync::OnceLock;

use mobilevlm_checkpoint::{
    Bytes, Checkpoint, CheckpointError, Config, ConfigFiles, OpenOptions, gguf as gguf_file,
    parse_index, safetensors as safetensors_file, torch as torch_file,
};
use mobilevlm_processor::{
    Aspect, Exif, Limits, Piece, PieceKind, Preprocessor, Tokenizer, TokenizerSettings,
};

use crate::steps::workspace;

/// Parses; the message of an error, or `Ok` for a result.
pub(super) type Target = fn(&[u8]) -> Result<(), String>;

pub(super) fn safetensors(file: &[u8]) -> Result<(), String> {
    let entries = safetensors_file::parse(file).map_err(message)?;
    for entry in entries {
        std::hint::black_box(&file[entry.range]);
    }
    Ok(())
}

pub(super) fn torch(file: &[u8]) -> Result<(), String> {
    let entries = torch_file::parse(file).map_err(message)?;
    for entry in entries {
        std::hint::black_box(&file[entry.range]);
    }
    Ok(())
}

/// As a vocabulary, and as a model or the other file of a pair; something must be in it.
pub(super) fn gguf(file: &[u8]) -> Result<(), String> {
    // One after the other, as a program holds one of them.
    let weights = gguf_weights(file);
    let header = gguf_file::parse(file).map_err(message)?;
    gguf_vocabulary(file, &header).or(weights)
}

/// A vocabulary that is accepted must also encode and decode.
fn gguf_vocabulary(file: &[u8], header: &gguf_file::Gguf) -> Result<(), String> {
    let pieces = gguf_file::pieces(file, header).map_err(message)?;
    let pieces = pieces.into_iter().filter_map(|piece| {
        let kind = PieceKind::from_number(piece.kind as u64 + 1)?;
        Some(Piece {
            text: piece.text,
            score: piece.score,
            kind,
        })
    });
    let settings = TokenizerSettings {
        byte_fallback: false,
        ..TokenizerSettings::default()
    };
    use_tokenizer(&Tokenizer::from_pieces(pieces, settings).map_err(message)?);
    Ok(())
}

/// Weights that are accepted must also be readable.
fn gguf_weights(file: &[u8]) -> Result<(), String> {
    let file = Bytes::copy_from_slice(file);
    let (language, projector) = (Bytes::from_static(LANGUAGE), Bytes::from_static(PROJECTOR));
    let checkpoint = match Checkpoint::from_gguf(file.clone(), Some(projector)) {
        Err(CheckpointError::ProjectorAsModel { .. }) => {
            Checkpoint::from_gguf(language, Some(file))
        }
        opened => opened,
    };
    for (_, tensor) in checkpoint.map_err(message)?.tensors.iter() {
        std::hint::black_box(tensor.interleave().to_f32());
    }
    Ok(())
}

const LANGUAGE: &[u8] = include_bytes!("../../../attacks/seeds/gguf/language.gguf");
const PROJECTOR: &[u8] = include_bytes!("../../../attacks/seeds/gguf/projector.gguf");

pub(super) fn tokenizer_model(file: &[u8]) -> Result<(), String> {
    use_tokenizer(&Tokenizer::from_sentencepiece(file).map_err(message)?);
    Ok(())
}

fn use_tokenizer(tokenizer: &Tokenizer) {
    let ids = tokenizer.encode("a</s>ab c\u{2581}\u{1f600}\n<s>");
    tokenizer.decode(&ids, false);
    tokenizer.decode(&[0, 1, 2, 3, u32::MAX], true);
}

/// Text that someone typed, and ids that a model might say.
pub(super) fn text(file: &[u8]) -> Result<(), String> {
    static MICRO: OnceLock<Tokenizer> = OnceLock::new();
    let tokenizer = MICRO.get_or_init(|| {
        let file = std::fs::read(workspace().join("golden/checkpoint/tokenizer.model"));
        let file = file.expect("the micro set has a tokenizer");
        Tokenizer::from_sentencepiece(&file).expect("the micro set's tokenizer is valid")
    });
    let text = String::from_utf8_lossy(file);
    tokenizer.encode(&text);
    tokenizer.encode_prompt(&text);
    let ids = tokenizer.encode_literal(&text);
    tokenizer.decode(&ids, true);
    let pairs = file.chunks(2);
    let ids: Vec<u32> = pairs
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

/// With the tower described in this text, and with one described elsewhere.
pub(super) fn config(file: &[u8]) -> Result<(), String> {
    let parse = |vision| {
        let files = ConfigFiles {
            config: file,
            vision,
            preprocessor: None,
        };
        Config::from_json(&files).map(drop).map_err(message)
    };
    parse(None).or(parse(Some(SMALL_VISION)))
}

pub(super) fn vision_config(file: &[u8]) -> Result<(), String> {
    let files = ConfigFiles {
        config: SMALL_CONFIG,
        vision: Some(file),
        preprocessor: None,
    };
    Config::from_json(&files).map(drop).map_err(message)
}

pub(super) fn preprocessor_config(file: &[u8]) -> Result<(), String> {
    let vision = Some(SMALL_VISION);
    let files = ConfigFiles {
        config: SMALL_CONFIG,
        vision,
        preprocessor: Some(file),
    };
    Config::from_json(&files).map(drop).map_err(message)
}

const SMALL_CONFIG: &[u8] = include_bytes!("../../../attacks/seeds/config-json/mobilevlm.json");
const SMALL_VISION: &[u8] = include_bytes!("../../../attacks/seeds/vision-json/clip.json");

pub(super) fn index(file: &[u8]) -> Result<(), String> {
    parse_index(file).map(drop).map_err(message)
}

/// Opens the micro checkpoint with this text for its `config.json`: what it asks for must be
/// compared with what is there, however large.
pub(super) fn checkpoint_folder(file: &[u8]) -> Result<(), String> {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for name in ["model.safetensors", "tokenizer.model", "vision_config.json"] {
            let from = workspace().join("golden/checkpoint").join(name);
            std::fs::copy(from, folder.path().join(name)).expect("the micro set can be copied");
        }
        folder
    });
    std::fs::write(folder.path().join("config.json"), file)
        .expect("the temporary folder can be written");
    Checkpoint::open(folder.path(), &OpenOptions::default())
        .map(drop)
        .map_err(message)
}

/// Decodes with the default limits and prepares for a small tower, both ways.
pub(super) fn picture(file: &[u8]) -> Result<(), String> {
    let picture =
        mobilevlm_processor::decode(file, &Limits::default(), Exif::Apply).map_err(message)?;
    for aspect in [Aspect::Pad, Aspect::Square] {
        let preprocessor = Preprocessor {
            aspect,
            size: 28,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        preprocessor.normalise(&preprocessor.prepare(&picture));
    }
    Ok(())
}

/// An error with its causes, as the command line shows it.
fn message(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
