//! What calibration counts, and that files made with it lose less where it matters.

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use common::Golden;
use mobilevlm::{Calibration, GenerateOptions, OpenOptions, list_vocabulary};
use mobilevlm_checkpoint::{Checkpoint, Conversion, Formats, Mix};
use mobilevlm_tensor::{Format, Pool};

const TEXT: &str = "The river runs to the sea, and the boats go with it.";

fn calibrated(golden: &Golden) -> Calibration {
    let calibration = Calibration::open(&golden.checkpoint, &OpenOptions::default()).unwrap();
    let options = GenerateOptions {
        max_new_tokens: 8,
        ..GenerateOptions::default()
    };
    for name in ["a.png", "b.jpg"] {
        let picture = golden.picture(name);
        calibration
            .picture(&picture, "What is this?", &options)
            .unwrap();
    }
    calibration.text(TEXT).unwrap();
    calibration
}

#[test]
fn guesses_do_not_count() {
    let golden = Golden::micro();
    let importance = |prompt_lookup| {
        let calibration = Calibration::open(&golden.checkpoint, &OpenOptions::default()).unwrap();
        let options = GenerateOptions {
            // So long that guesses are made and some are wrong.
            max_new_tokens: 400,
            prompt_lookup,
            ..GenerateOptions::default()
        };
        let picture = golden.picture("a.png");
        calibration
            .picture(&picture, "What is this?", &options)
            .unwrap();
        calibration.importance()
    };
    assert_eq!(importance(true), importance(false));
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, &mobilevlm_checkpoint::OpenOptions::default()).unwrap()
}

#[test]
fn importance_is_the_mean_square_of_what_a_matrix_reads() {
    let golden = Golden::micro();
    let calibration = Calibration::open(&golden.checkpoint, &OpenOptions::default()).unwrap();
    calibration.text(TEXT).unwrap();
    let found = calibration.importance();

    // The first block's projections read the normed embeddings of the tokens; nothing is read
    // behind the last.
    let model = golden.model();
    let language = &model.config().language;
    let checkpoint = open(&golden.checkpoint);
    let weight = checkpoint
        .tensors
        .scope("language.layers.0")
        .vector("input_layernorm.weight", language.hidden)
        .unwrap();
    let tokenizer = model.tokenizer();
    let mut ids = vec![tokenizer.bos()];
    ids.extend(tokenizer.encode(TEXT));
    ids.pop();
    let mut means = vec![0.0_f64; language.hidden];
    let mut embedding = vec![0.0_f32; language.hidden];
    for &id in &ids {
        model.language().embed(id, &mut embedding);
        let squares = embedding.iter().map(|&x| f64::from(x).powi(2));
        let scale = squares.sum::<f64>() / language.hidden as f64 + f64::from(language.rms_eps);
        for ((mean, &x), &w) in means.iter_mut().zip(&embedding).zip(&weight) {
            *mean += (f64::from(x) * f64::from(w)).powi(2) / scale;
        }
    }
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    for name in ["q_proj", "k_proj", "v_proj"] {
        let columns = &found[&format!("language.layers.0.self_attn.{name}.weight")];
        for (&found, expected) in columns.iter().zip(&means) {
            let expected = (expected / mean).max(0.01);
            assert!(
                (f64::from(found) - expected).abs() < 1e-4 * expected,
                "{name}: {found} {expected}"
            );
        }
    }
    assert!(!found.keys().any(|name| name.starts_with("vision.")));
}

#[test]
fn every_matrix_that_is_multiplied_is_counted() {
    for golden in std::iter::once(Golden::micro()).chain(Golden::relatives()) {
        let importance = calibrated(&golden).importance();
        let checkpoint = open(&golden.checkpoint);
        let tied = checkpoint.config.language.tied;
        let mut counted = 0;
        for (name, tensor) in checkpoint.tensors.iter() {
            let is_looked_up = name.contains("position") || name == "language.embed_tokens.weight";
            if let ([_, columns], false) = (tensor.shape(), is_looked_up) {
                // A head that is the embedding is stored as the embedding.
                let stored = match name {
                    "language.lm_head.weight" if tied => "language.embed_tokens.weight",
                    name => name,
                };
                let found = importance.get(stored).map(Vec::len);
                assert_eq!(found, Some(*columns), "{}: {name}", golden.name);
                counted += 1;
            }
        }
        assert!(counted > 20, "{}: {counted} matrices", golden.name);
        for (name, columns) in &importance {
            let mean = columns.iter().sum::<f32>() / columns.len() as f32;
            assert!((0.999..1.02).contains(&mean), "{}: {name}", golden.name);
        }
    }
}

/// A file of the micro model, opened.
fn converted(importance: Option<BTreeMap<String, Vec<f32>>>, path: &Path) -> Checkpoint {
    let mut checkpoint = open(&Golden::micro().checkpoint);
    let vocabulary = list_vocabulary(checkpoint.tokenizer.as_ref().unwrap()).unwrap();
    if let Some(importance) = importance {
        checkpoint.tensors.weigh(importance);
    }
    let conversion = Conversion {
        checkpoint: &checkpoint,
        vocabulary: &vocabulary,
        name: "micro",
        formats: Formats {
            language: Some(Mix::Q4_0),
            vision: Some(Format::Q4_0),
            projector: Some(Format::Q5_1),
        },
    };
    let on_progress = &mut |_, _| ControlFlow::Continue(());
    conversion
        .write_file(path, &Pool::new(2), on_progress)
        .unwrap();
    open(path)
}

#[test]
fn calibrated_files_have_the_same_formats_and_less_weighted_error() {
    let golden = Golden::micro();
    let importance = calibrated(&golden).importance();
    let folder = tempfile::tempdir().unwrap();
    let original = open(&golden.checkpoint);
    let plain = converted(None, &folder.path().join("plain.gguf"));
    let weighed = converted(
        Some(importance.clone()),
        &folder.path().join("weighed.gguf"),
    );
    let (mut all_plain, mut all_weighed, mut matrices) = (0.0, 0.0, 0);
    for (name, tensor) in original.tensors.iter() {
        let of = |checkpoint: &Checkpoint| checkpoint.tensors.get(name).unwrap().clone();
        let (plain, weighed) = (of(&plain), of(&weighed));
        assert_eq!(plain.dtype(), weighed.dtype(), "{name}");
        if plain.dtype().block() == 1 {
            assert!(plain.data() == weighed.data(), "{name}");
            continue;
        }
        let Some(importance) = importance.get(name) else {
            continue;
        };
        let x = tensor.to_f32().unwrap();
        let error = |stored: &mobilevlm_checkpoint::Tensor| {
            let terms = stored.to_f32().unwrap().into_iter().zip(&x);
            let terms = terms.zip(importance.iter().cycle());
            terms
                .map(|((a, &b), &w)| f64::from(w) * f64::from(a - b).powi(2))
                .sum::<f64>()
        };
        let (error_plain, error_weighed) = (error(&plain), error(&weighed));
        assert!(error_weighed <= error_plain, "{name}");
        all_plain += error_plain;
        all_weighed += error_weighed;
        matrices += 1;
    }
    eprintln!(
        "{matrices} matrices: {:.3} of the weighted error",
        all_weighed / all_plain
    );
    assert!(
        matrices > 10 && all_weighed < 0.97 * all_plain,
        "{matrices}"
    );
}
