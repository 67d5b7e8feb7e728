//! Three that have to agree: what upstream computed, the model that is trained here, and the engine
//! that reads what training wrote.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use mobilevlm::{Exif, Limits, Model, OpenOptions, Picture, PromptItem};
use mobilevlm_checkpoint::Aspect;
use mobilevlm_data::{Batch, IGNORE, splice};
use mobilevlm_testing::{micro_golden, shared_golden};
use mobilevlm_train::{
    Export, ExportDtype, MobileVlm, Start, StartParts, VisionTower, parameters, values,
};
use safetensors::SafeTensors;
use serde::Deserialize;

/// Largest difference over standard deviation, as `mobilevlm verify` allows it.
const STAGES: f32 = 5e-5;
const LOGITS: f32 = 2e-4;

#[derive(Deserialize)]
struct Case {
    name: String,
    images: Vec<String>,
    input_ids: Vec<i32>,
    output_ids: Vec<u32>,
}

/// A checkpoint with what upstream made of it.
struct Golden {
    folder: PathBuf,
    images: PathBuf,
    cases: Vec<Case>,
    reference: Vec<u8>,
}

impl Golden {
    fn open(folder: &Path, images: PathBuf) -> Golden {
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        Golden {
            folder: folder.to_owned(),
            images,
            cases: serde_json::from_slice(&read("cases.json")).unwrap(),
            reference: read("reference.safetensors"),
        }
    }

    fn reference(&self, name: &str) -> Option<Vec<f32>> {
        let tensors = SafeTensors::deserialize(&self.reference).unwrap();
        let data = tensors.tensor(name).ok()?.data().to_vec();
        let numbers = data.as_chunks::<4>().0.iter();
        Some(numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn tower(&self) -> Option<PathBuf> {
        let clip = self.folder.join("checkpoint/clip");
        let beside = self.folder.join("clip");
        [clip, beside].into_iter().find(|folder| folder.is_dir())
    }
}

fn all(test: &str) -> Vec<Golden> {
    let mut sets = vec![Golden::open(&micro_golden(""), micro_golden("images"))];
    // The other two are in a layout that is not trained on.
    for name in [
        "ldpv2-no-pool",
        "ldpv2-pool",
        "ldpv2-pool-positions",
        "llava-1.5",
        "sharegpt4v",
    ] {
        let folder = micro_golden("relatives").join(name);
        sets.push(Golden::open(&folder, micro_golden("images")));
    }
    for name in [
        "v2-ldpv2",
        "v1-ldp",
        "llava-mlp2x",
        "v2-ldpv2-224",
        "gqa-linear",
    ] {
        if let Some(folder) = shared_golden(&format!("model/{name}"), test) {
            let images = folder.join("../../images");
            sets.push(Golden::open(&folder, images));
        }
    }
    sets
}

fn engine(folder: &Path) -> Model {
    let options = OpenOptions {
        threads: Some(2),
        ..OpenOptions::default()
    };
    Model::open(folder, &options).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// The largest difference over the standard deviation of `expected`.
fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let count = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / count;
    let variance = expected.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
    let pairs = found.iter().zip(expected);
    let largest = pairs.fold(0.0_f32, |largest, (x, y)| match (x - y).is_nan() {
        true => f32::INFINITY,
        false => largest.max((x - y).abs()),
    });
    let over = largest / variance.sqrt();
    assert!(
        over <= tolerance,
        "{what}: {over:e} of the standard deviation"
    );
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Compares a case three ways; returns how many records were compared.
fn compare(
    golden: &Golden,
    case: &Case,
    model: &MobileVlm,
    tower: &VisionTower,
    engine: &Model,
) -> usize {
    let device = Device::flex();
    let what = |stage: &str| format!("{}: {}: {stage}", golden.folder.display(), case.name);
    let (mut features, mut encoded) = (Vec::new(), Vec::new());
    let mut compared = 0;
    for (index, name) in case.images.iter().enumerate() {
        let file = fs::read(golden.images.join(name)).unwrap();
        let picture = Picture::decode(&file, &Limits::default(), Exif::Ignore).unwrap();
        let pixels = engine.pixels(&picture).unwrap();
        let side = tower.image_size();
        let ours = TensorData::new(pixels.clone(), [1, 3, side, side]);
        let ours = tower.forward(Tensor::from_data(ours, &device));
        let engines = engine.vision_features(&pixels).unwrap();
        let embeds = floats(model.project(ours.clone()));
        for (stage, ours, engines) in [
            ("vision_features", floats(ours.clone()), engines.clone()),
            (
                "image_embeds",
                embeds,
                engine.image_embeds(&engines).unwrap(),
            ),
        ] {
            assert_close(&what(&format!("{stage}, engine")), &ours, &engines, STAGES);
            if let Some(recorded) = golden.reference(&format!("{}.{index}.{stage}", case.name)) {
                assert_close(
                    &what(&format!("{stage}, upstream")),
                    &ours,
                    &recorded,
                    STAGES,
                );
                compared += 1;
            }
        }
        features.push(ours);
        encoded.push(engine.encode(&picture).unwrap());
    }

    let answer = case.output_ids.iter().map(|&id| id as i32);
    let mut ids = case.input_ids.clone();
    ids.extend(answer.take(case.output_ids.len() - 1));
    let batch = Batch {
        labels: vec![vec![IGNORE; ids.len()]],
        attention_mask: vec![vec![true; ids.len()]],
        input_ids: vec![ids],
    };
    let splice = splice(&batch, case.images.len().max(1), model.picture_places()).unwrap();
    let features = (!features.is_empty()).then(|| Tensor::cat(features, 0));
    let logits = model.logits(&splice, features).unwrap();
    let [_, places, vocabulary] = logits.dims();
    let answers = case.output_ids.len();
    let ours = floats(logits.narrow(1, places - answers, answers));
    assert_eq!(ours.len(), answers * vocabulary);

    let items = case.input_ids.iter();
    let items: Vec<PromptItem> = items
        .map(|&id| match u32::try_from(id) {
            Ok(id) => PromptItem::Token(id),
            Err(_) => PromptItem::Picture,
        })
        .collect();
    let prompt = engine.prompt(&items, &encoded).unwrap();
    let engines = engine.score(&prompt, &case.output_ids).unwrap();
    assert_close(&what("logits, engine"), &ours, &engines, LOGITS);
    let recorded = golden.reference(&format!("{}.logits", case.name)).unwrap();
    assert_close(&what("logits, upstream"), &ours, &recorded, LOGITS);
    compared + 1
}

#[test]
fn upstream_training_model_and_engine_agree_before_and_after_an_export() {
    let device = Device::flex();
    for golden in all("upstream_training_model_and_engine_agree_before_and_after_an_export") {
        let checkpoint = golden.folder.join("checkpoint");
        let parts = StartParts {
            model: checkpoint.clone(),
            vision_tower: golden.tower(),
            ..StartParts::default()
        };
        let start =
            Start::read(&parts).unwrap_or_else(|error| panic!("{}: {error}", checkpoint.display()));
        let (model, tower) = (start.model(&device).unwrap(), start.tower(&device).unwrap());
        let read = engine(&checkpoint);
        // What upstream prepared is not what the engine prepares only where it crops pictures of
        // other shapes; the sets that pad are compared.
        let compared: usize = golden
            .cases
            .iter()
            .map(|case| compare(&golden, case, &model, &tower, &read))
            .sum();
        assert!(compared >= golden.cases.len());

        // The folder that training would end with.
        let folder = tempfile::tempdir().unwrap();
        let exported = folder.path().join("model");
        let export = Export {
            start: &start,
            tokenizer: &checkpoint,
            lora: None,
            dtype: ExportDtype::F32,
        };
        export.write(&exported, &model, &tower).unwrap();
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        let written = engine(&exported);
        assert_eq!(written.config().language, read.config().language);
        assert_eq!(written.config().vision, read.config().vision);
        assert_eq!(written.config().projector, read.config().projector);
        assert_eq!(written.config().preprocess, read.config().preprocess);
        compare(&golden, &golden.cases[0], &model, &tower, &written);
        let again = Start::read(&StartParts {
            model: exported.clone(),
            ..StartParts::default()
        });
        let again = again.unwrap();
        assert_eq!(again.pad, start.pad);
        let again = again.model(&device).unwrap();
        assert_eq!(parameters(&again, ""), parameters(&model, ""));
        for (name, tensor) in values(&model, "", |_| true).iter() {
            let again = values(&again, "", |other| other == name);
            assert_eq!(again.get(name).unwrap().data(), tensor.data(), "{name}");
        }
        // An export in place of an older one.
        export.write(&exported, &model, &tower).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(
            read.config().preprocess.aspect,
            Aspect::Pad | Aspect::Square
        ));
    }
}

/// The end of a stage as upstream recorded it: the first loss of the stage that begins there is
/// what upstream made of it, and the engine makes the same of the exported folder.
#[test]
fn the_engine_has_upstreams_loss_at_the_end_of_a_stage() {
    let Some(golden) = shared_golden(
        "train",
        "the_engine_has_upstreams_loss_at_the_end_of_a_stage",
    ) else {
        return;
    };
    for (run, before) in [("stage1", None), ("stage2", Some("stage1_final"))] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = stage(&golden, before, folder.path());
        let engine = engine(&checkpoint);
        let text = fs::read(golden.join(format!("trajectory-{run}.json"))).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let text = fs::read(golden.join(record["data"].as_str().unwrap())).unwrap();
        let rows: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let batch = &record["micro_batches"][0];
        let mode = record["picture_mode"].as_str().unwrap();
        let (mut sum, mut supervised) = (0.0, 0);
        for (row, sample) in batch["samples"].as_array().unwrap().iter().enumerate() {
            let image = rows[sample.as_u64().unwrap() as usize]["image"].as_str();
            let picture = image.map(|image| golden.join("pixels").join(mode).join(image));
            let ids: Vec<i32> = serde_json::from_value(batch["input_ids"][row].clone()).unwrap();
            let labels: Vec<i32> = serde_json::from_value(batch["labels"][row].clone()).unwrap();
            let (row_sum, count) = row_loss(&engine, picture.as_deref(), &ids, &labels);
            sum += row_sum;
            supervised += count;
        }
        assert_eq!(supervised as u64, batch["supervised"].as_u64().unwrap());
        let (loss, recorded) = (sum / supervised as f64, batch["loss"].as_f64().unwrap());
        assert!(
            (loss - recorded).abs() < 4e-6,
            "{run}: expected {recorded}, found {loss}"
        );
    }
}

/// `initial/` with the end of a stage over it, exported.
fn stage(golden: &Path, end: Option<&str>, folder: &Path) -> PathBuf {
    let initial = folder.join("initial");
    fs::create_dir_all(&initial).unwrap();
    let mut tensors: mobilevlm_checkpoint::Inventory = mobilevlm_checkpoint::stored_tensors(
        &golden.join("initial/model.safetensors"),
        mobilevlm_checkpoint::Access::Read,
    )
    .unwrap()
    .into_iter()
    .collect();
    if let Some(end) = end {
        let path = golden.join(format!("{end}.safetensors"));
        let end = mobilevlm_checkpoint::stored_tensors(&path, mobilevlm_checkpoint::Access::Read);
        for (name, tensor) in end.unwrap() {
            tensors.insert(name, tensor);
        }
    }
    mobilevlm_checkpoint::write_safetensors(&initial.join("model.safetensors"), &tensors).unwrap();
    for (from, to) in [
        ("config.json", "config.json"),
        ("tokenizer.model", "tokenizer.model"),
        ("vision_tower/config.json", "vision_config.json"),
        (
            "vision_tower/preprocessor_config.json",
            "preprocessor_config.json",
        ),
    ] {
        fs::write(
            initial.join(to),
            fs::read(golden.join("initial").join(from)).unwrap(),
        )
        .unwrap();
    }
    let start = Start::read(&StartParts {
        model: initial.clone(),
        ..StartParts::default()
    });
    let start = start.unwrap();
    let device = Device::flex();
    let export = Export {
        start: &start,
        tokenizer: &initial,
        lora: None,
        dtype: ExportDtype::F32,
    };
    let exported = folder.join("exported");
    export
        .write(
            &exported,
            &start.model(&device).unwrap(),
            &start.tower(&device).unwrap(),
        )
        .unwrap();
    exported
}

/// The engine's summed cross-entropy over the supervised ids of a row, and how many there are.
fn row_loss(engine: &Model, picture: Option<&Path>, ids: &[i32], labels: &[i32]) -> (f64, usize) {
    let end = ids.iter().rposition(|&id| id != 0).unwrap() + 1;
    let encoded: Vec<_> = picture
        .filter(|_| ids.contains(&-200))
        .map(|path| {
            let file = fs::read(path).unwrap();
            let picture = Picture::decode(&file, &Limits::default(), Exif::Ignore).unwrap();
            let picture = Picture::from_prepared(picture.image().clone());
            engine.encode(&picture).unwrap()
        })
        .into_iter()
        .collect();
    let first = 1 + ids.iter().position(|&id| id == -200).unwrap_or(0);
    let items: Vec<PromptItem> = ids[..first]
        .iter()
        .map(|&id| match u32::try_from(id) {
            Ok(id) => PromptItem::Token(id),
            Err(_) => PromptItem::Picture,
        })
        .collect();
    let answer: Vec<u32> = ids[first..end].iter().map(|&id| id as u32).collect();
    let prompt = engine.prompt(&items, &encoded).unwrap();
    let logits = engine.score(&prompt, &answer).unwrap();
    let vocabulary = engine.language().vocab();
    let (mut sum, mut count) = (0.0, 0);
    for (place, row) in logits.chunks_exact(vocabulary).enumerate() {
        let label = labels[first + place];
        if label == IGNORE {
            continue;
        }
        let most = row.iter().fold(f32::NEG_INFINITY, |most, &x| most.max(x));
        let all: f64 = row.iter().map(|&x| f64::from(x - most).exp()).sum();
        sum += all.ln() - f64::from(row[label as usize] - most);
        count += 1;
    }
    (sum, count)
}
