//! Runs that begin with parts from folders, and what those with adapters leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use mobilevlm_checkpoint::{
    Access, Activation, Aspect, Inventory, Preprocess, VisionConfig, stored_tensors,
};
use mobilevlm_train::recipe::{ClipLoss, TextSizes};
use mobilevlm_train::{ClipModel, ClipSizes, RandomSource, TrainError, export_tower};
use serde_json::{Value, json};

use crate::toy::{Toy, run, tensors};

/// Takes away what the toy recipe says about the parts.
const NO_PARTS: [&str; 3] = ["vision=", "projector=", "language="];

fn numbers(tensors: &Inventory, name: &str) -> Vec<f32> {
    let tensor = tensors.get(name).unwrap_or_else(|| panic!("no {name}"));
    tensor.to_f32().unwrap()
}

fn stored(path: &Path) -> Inventory {
    let stored = stored_tensors(path, Access::default()).unwrap();
    stored.into_iter().collect()
}

fn names(tensors: &Inventory) -> BTreeSet<&str> {
    tensors.iter().map(|(name, _)| name).collect()
}

#[test]
fn adapters_are_left_beside_the_weights_and_merged_later() {
    let toy = Toy::new();
    run(&toy.recipe("base", &["train.max_steps=1"]), false, None).unwrap();
    let base = toy.path("base/model");
    let from = format!("model.from={}", base.display());
    let set = [
        &NO_PARTS[..],
        &[
            &from,
            "train.language=\"lora\"",
            "train.lora_r=4",
            "train.lora_alpha=12",
            "train.lora_dropout=0.25",
            "train.learning_rate=1e-2",
        ],
    ]
    .concat();
    let beside = [&set[..], &["train.lora_merge=false"]].concat();
    run(&toy.recipe("run", &beside), false, None).unwrap();
    let left = toy.path("run/model");
    let entries = fs::read_dir(&left).unwrap();
    let files: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for file in [
        "config.json",
        "tokenizer.model",
        "adapter_config.json",
        "adapter_model.safetensors",
        "non_lora_trainables.bin",
    ] {
        assert!(files.contains(file), "no {file} in {files:?}");
    }
    assert!(!files.contains("model.safetensors"));
    let config = fs::read(left.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    for (key, value) in [
        ("peft_type", json!("LORA")),
        ("task_type", json!("CAUSAL_LM")),
        ("base_model_name_or_path", json!(base)),
        ("bias", json!("none")),
        ("r", json!(4)),
        ("lora_alpha", json!(12)),
        ("lora_dropout", json!(0.25)),
        (
            "target_modules",
            json!([
                "down_proj",
                "gate_proj",
                "k_proj",
                "o_proj",
                "q_proj",
                "up_proj",
                "v_proj"
            ]),
        ),
    ] {
        assert_eq!(config[key], value, "{key}");
    }

    // The names that peft's `PeftModel.from_pretrained` and upstream's `mergelora.py` look for.
    let adapters = stored(&left.join("adapter_model.safetensors"));
    let mut expected = BTreeSet::new();
    for layer in 0..2 {
        for linear in [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj",
        ] {
            for half in ["lora_A", "lora_B"] {
                expected.insert(format!(
                    "base_model.model.model.layers.{layer}.{linear}.{half}.weight"
                ));
            }
        }
    }
    assert_eq!(
        names(&adapters),
        expected.iter().map(String::as_str).collect()
    );
    let others = stored(&left.join("non_lora_trainables.bin"));
    let projector = ["0.bias", "0.weight", "2.bias", "2.weight"]
        .map(|name| format!("base_model.model.model.mm_projector.{name}"));
    assert_eq!(
        names(&others),
        projector.iter().map(String::as_str).collect()
    );

    // The same run with the adapters added: W + alpha / r * B * A.
    let merged = [&set[..], &["train.lora_merge=true"]].concat();
    run(&toy.recipe("run", &merged), true, None).unwrap();
    assert!(!left.join("adapter_config.json").exists());
    let (before, after) = (stored(&base), stored(&left));
    assert_eq!(names(&before), names(&after));
    let mut moved = 0;
    for (name, tensor) in before.iter() {
        let (was, is) = (tensor.to_f32().unwrap(), numbers(&after, name));
        let wrapped = format!("base_model.model.{name}");
        let half = |half: &str| wrapped.replace(".weight", &format!(".lora_{half}.weight"));
        if adapters.get(&half("A")).is_some() {
            let (a, b) = (
                numbers(&adapters, &half("A")),
                numbers(&adapters, &half("B")),
            );
            let inputs = tensor.shape()[1];
            for (place, (was, is)) in was.iter().zip(&is).enumerate() {
                let (row, column) = (place / inputs, place % inputs);
                let inner = 0..4;
                let update: f32 = inner.map(|k| b[row * 4 + k] * a[k * inputs + column]).sum();
                assert!((was + 3.0 * update - is).abs() < 1e-6, "{name}");
            }
            moved += usize::from(was != is);
        } else if others.get(&wrapped).is_some() {
            assert_eq!(numbers(&others, &wrapped), is, "{name}");
        } else {
            assert_eq!(was, is, "{name}");
        }
    }
    assert_eq!(moved, 14);

    let set = ["train.language=\"lora\"", "train.lora_merge=false"];
    let error = run(&toy.recipe("nothing", &set), false, None).unwrap_err();
    assert!(error.to_string().contains("train.lora_merge"), "{error}");
}

/// A tower in a folder of its own, larger than the toy's.
fn tower(folder: &Path) {
    let vision = VisionConfig {
        hidden: 24,
        heads: 3,
        ffn: 48,
        layers: 2,
        blocks_to_run: 2,
        image_size: 24,
        patch_size: 8,
        eps: 1e-5,
        activation: Activation::QuickGelu,
    };
    let text = TextSizes {
        hidden: 8,
        layers: 1,
        heads: 2,
        ffn: 16,
        projection: 8,
    };
    let sizes = ClipSizes {
        vision: &vision,
        text: &text,
        vocabulary: 16,
        caption_length: 8,
        loss: ClipLoss::Softmax,
    };
    let device = Device::flex().autodiff();
    let model = ClipModel::new(&sizes, &RandomSource::new(5), &device).unwrap();
    let preprocess = Preprocess {
        aspect: Aspect::Square,
        image_size: 24,
        mean: [0.4; 3],
        std: [0.3; 3],
    };
    export_tower(folder, &model, &vision, &preprocess).unwrap();
}

/// The tensors whose names have all of `parts`, with what stands before the last of them cut off.
fn of_part(folder: &Path, part: &str) -> BTreeMap<String, Vec<u8>> {
    tensors(folder)
        .into_iter()
        .filter_map(|(name, bytes)| {
            let (_, rest) = name.split_once(part)?;
            Some((rest.to_owned(), bytes.to_vec()))
        })
        .collect()
}

#[test]
fn one_part_comes_from_a_folder_and_the_others_from_nothing() {
    let toy = Toy::new();
    let frozen = [
        "train.language=false",
        "train.max_steps=1",
        "train.warmup_ratio=0.0",
    ];
    let of = |folder: &str, set: &[&str]| {
        let recipe = toy.recipe(folder, &[&frozen[..], set].concat());
        run(&recipe, false, None).unwrap();
        toy.path(folder).join("model")
    };
    let nothing = of("nothing", &[]);

    tower(&toy.path("tower"));
    let from = format!("vision.from={}", toy.path("tower").display());
    let with_tower = of("with-tower", &["vision=", &from]);
    let own = of_part(&toy.path("tower"), "vision_model.");
    assert!(own.len() > 30);
    assert_eq!(of_part(&with_tower, "vision_model."), own);
    // The seed is the same, so what begins with random values does, too.
    let layers = of_part(&nothing, "model.layers.");
    assert_eq!(of_part(&with_tower, "model.layers."), layers);
    let preprocess = fs::read_to_string(with_tower.join("preprocessor_config.json")).unwrap();
    assert!(
        preprocess.contains("0.4") && preprocess.contains("0.3"),
        "{preprocess}"
    );

    let from = format!("language.from={}", nothing.display());
    let with_language = of("with-language", &["language=", &from, "seed=8"]);
    assert_eq!(of_part(&with_language, "model.layers."), layers);
    let eight = of("eight", &["seed=8"]);
    let vision = of_part(&eight, "vision_model.");
    assert_eq!(of_part(&with_language, "vision_model."), vision);
    assert_ne!(of_part(&nothing, "vision_model."), vision);

    // A projector knows the widths of both.
    let from = format!("projector.from={}", nothing.display());
    let recipe = toy.recipe("refused", &["projector=", &from]);
    let error = run(&recipe, false, None).unwrap_err();
    assert!(
        matches!(&error, TrainError::Key { .. }) && error.to_string().contains("projector.from"),
        "{error}"
    );
}
