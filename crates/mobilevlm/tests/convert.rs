//! Converts checkpoints to GGUF and compares with what llama.cpp's own programs wrote.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::list_vocabulary;
use mobilevlm_checkpoint::{
    Checkpoint, Conversion, ConvertError, Dtype, Formats, Mix, OpenOptions, PieceKind,
    TokenizerSource, VisionConfig, Vocabulary, gguf,
};
use mobilevlm_tensor::{Format, Pool};
use mobilevlm_testing::{micro_golden, shared_golden};
use sha2::Digest;

/// The files in a folder that is removed when this is dropped.
struct Pair {
    _folder: tempfile::TempDir,
    language: PathBuf,
    projector: PathBuf,
}

/// All parts as they are.
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

fn one_file(path: &Path, formats: Formats, threads: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let on_progress = &mut |_, _| ControlFlow::Continue(());
    conversion(path, formats, |conversion| {
        conversion.write_file(&file, &Pool::new(threads), on_progress)
    })
    .unwrap();
    (folder, file)
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

/// A small model of each kind; every clone has them.
fn models() -> impl Iterator<Item = PathBuf> {
    [
        "checkpoint",
        "relatives/llava-1.5/checkpoint",
        "relatives/llava-hf/checkpoint",
        "relatives/ldpv2-pool/checkpoint",
        "relatives/ldpv2-pool-positions/checkpoint",
    ]
    .into_iter()
    .map(micro_golden)
}

const QUANTISED: Formats = Formats {
    language: Some(Mix::Q4KM),
    vision: Some(Format::Q8_0),
    projector: Some(Format::Q5_0),
};

#[test]
fn the_same_conversion_gives_the_same_bytes_on_any_number_of_threads() {
    for model in models() {
        for formats in [KEPT, QUANTISED] {
            let (_first, first) = one_file(&model, formats, 1);
            let (_second, second) = one_file(&model, formats, 3);
            assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap());
        }
    }
}

#[test]
fn one_file_and_the_checkpoint_hold_the_same_numbers() {
    for model in models() {
        let (_folder, file) = one_file(&model, KEPT, 2);
        let expected = Checkpoint::open(&model, &OpenOptions::default()).unwrap();
        let found = Checkpoint::open(&file, &OpenOptions::default()).unwrap();
        assert_eq!(found.config.language, expected.config.language);
        assert_eq!(found.config.projector, expected.config.projector);
        assert_eq!(found.config.preprocess, expected.config.preprocess);
        let tower = VisionConfig {
            // Blocks that nobody reads are left out.
            layers: expected.config.vision.blocks_to_run,
            ..expected.config.vision
        };
        assert_eq!(found.config.vision, tower);
        let mut vocabulary = list_vocabulary(&found.tokenizer.unwrap()).unwrap();
        let expected_vocabulary = list_vocabulary(&expected.tokenizer.unwrap()).unwrap();
        // Behind them are those that fill up.
        vocabulary.pieces.truncate(expected_vocabulary.pieces.len());
        assert_eq!(vocabulary, expected_vocabulary);
        assert_eq!(found.tensors.len(), expected.tensors.len());
        for (name, tensor) in found.tensors.iter() {
            let expected = expected.tensors.get(name).unwrap();
            assert_eq!(tensor.shape(), expected.shape(), "{name}");
            assert!(tensor.to_f32() == expected.to_f32(), "{name}");
        }
    }
}

#[test]
fn blocks_in_one_file_are_those_of_the_pair_interleaved() {
    let model = micro_golden("relatives/llava-1.5/checkpoint");
    let (_folder, file) = one_file(&model, QUANTISED, 2);
    let pair = pair(&model, QUANTISED, 2).unwrap();
    let one = Checkpoint::open(&file, &OpenOptions::default()).unwrap();
    let two = Checkpoint::open(&pair.language, &OpenOptions::default()).unwrap();
    let mut panels = 0;
    for (name, tensor) in one.tensors.iter() {
        let (dtype, bytes) = tensor.in_rows();
        let expected = two.tensors.get(name).unwrap();
        assert_eq!(dtype, expected.dtype(), "{name}");
        assert!(bytes == expected.data(), "{name}");
        let is_multiplied = name != "language.embed_tokens.weight";
        assert_eq!(
            matches!(tensor.dtype(), Dtype::Panels(_)),
            is_multiplied && matches!(dtype, Dtype::Blocks(_)),
            "{name}"
        );
        panels += usize::from(tensor.dtype() != dtype);
    }
    assert!(panels > 10, "{panels} tensors in panels");
}

#[test]
fn one_file_becomes_a_pair_and_the_same_file_again() {
    for (model, formats) in [
        (micro_golden("relatives/llava-1.5/checkpoint"), QUANTISED),
        (micro_golden("relatives/llava-hf/checkpoint"), KEPT),
    ] {
        let (_first, first) = one_file(&model, formats, 2);
        let pair = pair(&first, KEPT, 2).unwrap();
        let (_second, second) = one_file(&pair.language, KEPT, 2);
        assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap());
    }
}

#[test]
fn a_pair_of_llama_cpp_survives_the_way_through_one_file() {
    let test = "a_pair_of_llama_cpp_survives_the_way_through_one_file";
    let Some((recorded, _)) = recorded(test) else {
        return;
    };
    let projector = recorded.join("mmproj-v2-ldpv2-f16.gguf");
    for language in ["v2-ldpv2-f16.gguf", "v2-ldpv2-q4_k_m.gguf"] {
        let language = recorded.join(language);
        let (_folder, file) = one_file(&language, KEPT, 2);
        // And straight into a pair, without the file between.
        for source in [&file, &language] {
            let pair = pair(source, KEPT, 2).unwrap();
            assert!(tensors(&pair.language) == tensors(&language));
            assert!(tensors(&pair.projector) == tensors(&projector));
        }
    }
}

#[test]
fn what_is_quantised_is_kept_unless_something_else_is_asked_for() {
    let (_folder, file) = one_file(
        &micro_golden("relatives/llava-1.5/checkpoint"),
        QUANTISED,
        2,
    );
    let plain = micro_golden("relatives/llava-1.5/checkpoint");
    let usual =
        |path: &Path| Formats::usual(&Checkpoint::open(path, &OpenOptions::default()).unwrap());
    assert_eq!(usual(&file), KEPT);
    let expected = Formats {
        language: Some(Mix::Q4KM),
        vision: Some(Format::Q8_0),
        projector: Some(Format::Q8_0),
    };
    assert_eq!(usual(&plain), expected);
}

#[test]
fn what_a_pair_cannot_hold_is_refused() {
    for (model, expected) in [
        (
            "checkpoint",
            "expected 24 × 24 patches before ldpv2, found 12 × 12",
        ),
        (
            "relatives/ldpv2-no-pool/checkpoint",
            "found ldpnetv2, no-pool",
        ),
        (
            "relatives/ldpv2-pool-positions/checkpoint",
            "found ldpnetv2, pool+positions",
        ),
    ] {
        let error = pair(&micro_golden(model), KEPT, 1).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_conversion_that_is_stopped_or_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (language, projector) = (folder.path().join("a.gguf"), folder.path().join("b.gguf"));
    let model = micro_golden("relatives/llava-1.5/checkpoint");
    let mut asked = 0;
    let stopped = conversion(&model, KEPT, |conversion| {
        let on_progress = &mut |done, total| {
            asked += 1;
            // In the second file.
            match done > total - 100 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        conversion.write_pair(&language, &projector, &Pool::new(1), on_progress)
    });
    assert!(matches!(stopped, Err(ConvertError::Stopped)), "{stopped:?}");
    assert!(asked > 10);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let nowhere = folder.path().join("no/such/folder.gguf");
    let failed = conversion(&model, KEPT, |conversion| {
        let on_progress = &mut |_, _| ControlFlow::Continue(());
        conversion.write_pair(&language, &nowhere, &Pool::new(1), on_progress)
    });
    assert!(
        failed
            .unwrap_err()
            .to_string()
            .contains("folder.gguf: cannot be written")
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_vocabulary_with_fewer_pieces_than_rows_is_filled_up_and_a_longer_one_refused() {
    let checkpoint =
        Checkpoint::open(&micro_golden("checkpoint"), &OpenOptions::default()).unwrap();
    let rows = checkpoint.config.language.vocab;
    let whole = list_vocabulary(checkpoint.tokenizer.as_ref().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let write = |vocabulary: &Vocabulary| {
        let conversion = Conversion {
            checkpoint: &checkpoint,
            vocabulary,
            name: "x",
            formats: KEPT,
        };
        conversion.write_file(&file, &Pool::new(1), &mut |_, _| ControlFlow::Continue(()))
    };
    let mut shorter = whole.clone();
    shorter.pieces.truncate(rows - 2);
    write(&shorter).unwrap();
    let found = Checkpoint::open(&file, &OpenOptions::default()).unwrap();
    let Some(TokenizerSource::Pieces(found)) = found.tokenizer else {
        panic!("no pieces")
    };
    assert_eq!(found.pieces.len(), rows);
    assert_eq!(found.pieces[..rows - 2], shorter.pieces);
    assert_eq!(found.pieces[rows - 1].text, format!("[PAD{}]", rows - 1));
    assert_eq!(found.pieces[rows - 1].kind, PieceKind::Unused);

    let mut longer = whole;
    longer.pieces.extend_from_within(..1);
    let error = write(&longer).unwrap_err().to_string();
    assert!(error.contains(&format!("at most {rows} pieces")), "{error}");
}
