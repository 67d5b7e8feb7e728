//! That a run learns what it should, and only that.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm::{Chat, Exif, GenerateOptions, Limits, Model, OpenOptions, Picture};
use mobilevlm_checkpoint::{Bytes, Dtype, safetensors};
use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::run::{Metrics, Record};
use mobilevlm_train::{Outcome, TrainOptions, train};

use crate::toy::{COLOURS, Toy, run, talk, tensors};

/// One sample of each colour.
fn colours() -> Toy {
    let rows: Vec<_> = COLOURS
        .iter()
        .map(|(name, _)| talk(Some(&format!("{name}.png")), "<image>\ncolour?", name))
        .collect();
    Toy::with_rows(&rows)
}

#[test]
fn one_batch_is_learnt_by_heart_and_the_engine_says_it() {
    let toy = colours();
    let set = [
        "train.max_steps=300",
        "train.per_device_train_batch_size=4",
        "train.gradient_accumulation_steps=1",
        "train.learning_rate=5e-3",
        "train.mm_projector_lr=5e-3",
        "run.save_steps=1000",
    ];
    let outcome = run(&toy.recipe("run", &set), false, None).unwrap();
    let Outcome::Finished { loss, model, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(loss.unwrap() < 0.01, "{loss:?}");
    let model = Model::open(&model, &OpenOptions::default()).unwrap();
    for (name, _) in COLOURS {
        let bytes = fs::read(toy.path(&format!("{name}.png"))).unwrap();
        let picture = Picture::decode(&bytes, &Limits::default(), Exif::Ignore).unwrap();
        let mut text = String::new();
        Chat::new(&model)
            .ask(
                &[picture],
                "colour?",
                &GenerateOptions::default(),
                &mut |more| {
                    text.push_str(more);
                    ControlFlow::Continue(())
                },
            )
            .unwrap();
        assert_eq!(text.trim(), name);
    }
}

#[test]
fn what_is_frozen_keeps_its_bits_and_the_rest_moves() {
    let toy = Toy::new();
    let trained = |folder: &str, set: &[&str]| {
        let recipe = toy.recipe(folder, &[set, &["train.warmup_ratio=0.0"]].concat());
        run(&recipe, false, None).unwrap();
        tensors(&toy.path(folder).join("model"))
    };
    let projector = |name: &str| name.contains("mm_projector");
    let tower = |name: &str| name.contains("vision_tower");
    let attention = |name: &str| name.contains("layers.") && name.contains("_proj.");
    type Kind<'a> = (&'a str, &'a [&'a str], &'a dyn Fn(&str) -> bool);
    let read =
        |name: &str| tower(name) && !name.contains("post_layernorm") && !name.contains("layers.1.");
    let kinds: [Kind<'_>; 5] = [
        ("projector", &["train.language=false"], &projector),
        ("all", &[], &|name| !tower(name)),
        (
            "tower",
            &[
                "train.vision=true",
                "train.projector=false",
                "train.mm_projector_lr=",
                "train.language=false",
            ],
            &read,
        ),
        (
            "everything",
            &["train.vision=true", "run.replicas=2"],
            &|name| !tower(name) || read(name),
        ),
        (
            "adapters",
            &[
                "train.language=\"lora\"",
                "train.lora_r=4",
                "train.projector=false",
                "train.mm_projector_lr=",
            ],
            &|name| attention(name) && !tower(name),
        ),
    ];
    for (kind, set, moves) in kinds {
        let after = |steps: &str| {
            let folder = format!("{kind}-{steps}");
            trained(
                &folder,
                &[set, &[&format!("train.max_steps={steps}")]].concat(),
            )
        };
        let (short, long) = (after("1"), after("4"));
        assert_eq!(
            short.keys().collect::<Vec<_>>(),
            long.keys().collect::<Vec<_>>()
        );
        for (name, before) in &short {
            assert_eq!(long[name] != *before, moves(name), "{kind}: {name}");
        }
    }
}

/// Weights and moments are float32 whatever products are made of: a change that bfloat16 does not
/// have between 1 and its next number is kept.
#[test]
fn bfloat16_moves_weights_by_less_than_its_own_steps() {
    let toy = Toy::new();
    let set = [
        "run.precision=bf16",
        "train.learning_rate=1e-5",
        "train.warmup_ratio=0.0",
        "train.max_steps=1",
    ];
    run(&toy.recipe("run", &set), false, None).unwrap();
    let checkpoint = toy.path("run/checkpoints/step-00000001");
    for file in ["weights.safetensors", "optimizer.safetensors"] {
        let bytes = Bytes::from(fs::read(checkpoint.join(file)).unwrap());
        let entries = safetensors::parse(&bytes).unwrap();
        assert!(!entries.is_empty());
        assert!(entries.iter().all(|entry| entry.dtype == Dtype::F32));
    }
    let weights = tensors(&toy.path("run/model"));
    let norm = &weights["model.norm.weight"];
    let numbers = norm.chunks_exact(4).map(|bytes| {
        let bytes: [u8; 4] = bytes.try_into().unwrap();
        f32::from_le_bytes(bytes)
    });
    // They begin at 1, whose neighbours in bfloat16 are 1/256 and 1/128 away.
    let moved = numbers.map(|x| (x - 1.0).abs());
    assert!(moved.into_iter().all(|by| by > 1e-6 && by < 1e-4));
}

/// What the recipes of the paper's stages say begins on any device, as far as a weight is needed.
#[test]
fn the_papers_recipes_begin_on_the_cpu() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/train");
    let mut begun = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with('v') {
            continue;
        }
        let home = tempfile::tempdir().unwrap();
        let set = [
            "run.device=cpu".to_owned(),
            format!("output_dir={}", home.path().display()),
            format!("model.from={}", home.path().display()),
        ];
        let recipe = Recipe::read(&path, &set).unwrap();
        let error = run(&recipe, false, None).unwrap_err().to_string();
        assert!(!error.contains("run.precision"), "{name}: {error}");
        eprintln!("{name}: {error}");
        begun += 1;
    }
    assert_eq!(begun, 15);
}

#[test]
fn evaluations_are_written_down_in_their_place() {
    let toy = Toy::new();
    let held_out = format!("data.eval_data_path={}", toy.path("samples.json").display());
    let recipe = toy.recipe("run", &["run.eval_steps=3", &held_out]);
    let mut seen = Vec::new();
    let mut evaluate = |folder: &Path| {
        // What is evaluated is a whole model.
        Model::open(folder, &OpenOptions::default())?;
        seen.push(tensors(folder));
        Ok(BTreeMap::from([("accuracy".to_owned(), 0.5)]))
    };
    train(
        &recipe,
        TrainOptions {
            resume: false,
            stop: &|| false,
            observe: &mut |_| {},
            evaluate: Some(&mut evaluate),
        },
    )
    .unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen[0] != seen[1]);
    assert!(seen[1] == tensors(&toy.path("run/model")));
    let records = Metrics::read(&toy.path("run/metrics.jsonl")).unwrap();
    let steps: Vec<(bool, u64)> = records
        .iter()
        .map(|record| (matches!(record, Record::Evaluation(_)), record.step()))
        .collect();
    let expected = [1, 2, 3].map(|step| (false, step)).into_iter();
    let expected = expected.chain([(true, 3), (false, 4), (false, 5), (false, 6), (true, 6)]);
    assert_eq!(steps, expected.collect::<Vec<_>>());
    let svg = fs::read_to_string(toy.path("run/curves.svg")).unwrap();
    assert!(svg.contains("held-out data"));
}
