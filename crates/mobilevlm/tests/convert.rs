//! Converts checkpoints to GGUF and compares with what llama.cpp's own programs wrote.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::list_vocabulary;
use mobilevlm_checkpoint::{Checkpoint, Conversion, ConvertError, Formats, Mix, OpenOptions, gguf};
use mobilevlm_tensor::Pool;
use mobilevlm_testing::shared_golden;
use sha2::Digest;

/// The files in a folder that is removed when this is dropped.
struct Pair {
    _folder: tempfile::TempDir,
    language: PathBuf,
    projector: PathBuf,
}

const KEPT: Formats = Formats {
    language: None,
    vision: None,
    projector: None,
};

fn conversion(
    path: &Path,
    formats: Formats,
    write: impl FnOnce(&Conversion<'_>) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let checkpoint = Checkpoint::open(path, &OpenOptions::default()).unwrap();
    let vocabulary = list_vocabulary(checkpoint.tokenizer.as_ref().unwrap()).unwrap();
    write(&Conversion {
        checkpoint: &checkpoint,
        vocabulary: &vocabulary,
        name: "v2-ldpv2",
        formats,
    })
}

fn pair(path: &Path, formats: Formats, threads: usize) -> Result<Pair, ConvertError> {
    let folder = tempfile::tempdir().unwrap();
    let language = folder.path().join("model.gguf");
    let projector = folder.path().join("mmproj-model.gguf");
    let pool = Pool::new(threads);
    conversion(path, formats, |conversion| {
        let on_progress = &mut |_, _| ControlFlow::Continue(());
        conversion.write_pair(&language, &projector, &pool, on_progress)
    })?;
    Ok(Pair {
        _folder: folder,
        language,
        projector,
    })
}

fn with_language(mix: Mix) -> Formats {
    Formats {
        language: Some(mix),
        ..KEPT
    }
}

/// What `expected.json` says of a file, and the folder it is in.
fn recorded(test: &str) -> Option<(PathBuf, serde_json::Value)> {
    let folder = shared_golden("gguf", test)?;
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_slice(&text).unwrap()))
}

fn sha256(bytes: &[u8]) -> String {
    let hash = sha2::Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name, type number, dimensions and bytes of every tensor of a file, by name.
fn tensors(path: &Path) -> BTreeMap<String, (u32, Vec<u64>, Vec<u8>)> {
    let file = std::fs::read(path).unwrap();
    let header = gguf::parse(&file).unwrap();
    let entries = header.entries(file.len()).unwrap();
    let infos = header.tensors().iter().zip(entries);
    infos
        .map(|(info, entry)| {
            let content = (
                info.format,
                info.dimensions.clone(),
                file[entry.range].to_vec(),
            );
            (info.name.clone(), content)
        })
        .collect()
}

#[test]
fn a_language_model_is_the_file_that_llama_quantize_writes() {
    let test = "a_language_model_is_the_file_that_llama_quantize_writes";
    let (Some((_, expected)), Some(source)) = (
        recorded(test),
        shared_golden("model/v2-ldpv2/checkpoint", test),
    ) else {
        return;
    };
    for (mix, threads) in [
        (Mix::Q4KM, 1),
        (Mix::Q4KM, 3),
        (Mix::Q8_0, 2),
        (Mix::Q4_0, 2),
    ] {
        let pair = pair(&source, with_language(mix), threads).unwrap();
        let found = std::fs::read(&pair.language).unwrap();
        let record = &expected["files"][format!("v2-ldpv2-{}.gguf", mix.name())];
        assert_eq!(
            (found.len() as u64, sha256(&found).as_str()),
            (
                record["bytes"].as_u64().unwrap(),
                record["sha256"].as_str().unwrap()
            ),
            "{}",
            mix.name()
        );
    }
}

#[test]
fn a_projector_file_holds_what_the_converters_in_use_write() {
    let test = "a_projector_file_holds_what_the_converters_in_use_write";
    let (Some((folder, _)), Some(source)) = (
        recorded(test),
        shared_golden("model/v2-ldpv2/checkpoint", test),
    ) else {
        return;
    };
    let pair = pair(&source, KEPT, 2).unwrap();
    let expected = tensors(&folder.join("mmproj-v2-ldpv2-f16.gguf"));
    let found = tensors(&pair.projector);
    assert!(found.keys().eq(expected.keys()));
    for (name, found) in &found {
        assert!(found == &expected[name], "{name}");
    }
    let expected = tensors(&folder.join("v2-ldpv2-f16.gguf"));
    for (name, found) in &tensors(&pair.language) {
        assert!(found == &expected[name], "{name}");
    }
}
