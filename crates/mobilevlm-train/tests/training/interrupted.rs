//! Runs that are stopped or killed, and go on.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::run::{Metrics, Record};
use mobilevlm_train::{Outcome, TrainError};

use crate::toy::{Toy, assert_same, files, run};

/// The ways to train whose states differ.
const KINDS: [(&str, &[&str]); 6] = [
    ("all of it, grouped by modality", &[]),
    (
        "adapters with dropout",
        &[
            "train.language=\"lora\"",
            "train.lora_r=4",
            "train.lora_dropout=0.2",
        ],
    ),
    (
        "the projector, features on disk",
        &[
            "train.language=false",
            "run.feature_cache=CACHE",
            "data.group_by=none",
        ],
    ),
    ("upstream's order", &["upstream.sampler=true"]),
    ("bfloat16", &["run.precision=bf16"]),
    (
        "packed, layers computed again, on one thread",
        &[
            "data.packing=true",
            "run.gradient_checkpointing=true",
            "run.threads=1",
        ],
    ),
];

fn recipe(toy: &Toy, folder: &str, set: &[&str]) -> Recipe {
    let cache = format!("run.feature_cache={}", toy.path("cache").display());
    let set: Vec<&str> = set
        .iter()
        .map(|set| match *set {
            "run.feature_cache=CACHE" => cache.as_str(),
            set => set,
        })
        .collect();
    toy.recipe(folder, &set)
}

#[test]
fn a_run_that_is_stopped_goes_on_with_the_same_bits() {
    for (kind, set) in KINDS {
        let toy = Toy::new();
        let whole = run(&recipe(&toy, "run", set), false, None).unwrap();
        assert!(
            matches!(whole, Outcome::Finished { steps: 6, .. }),
            "{kind}"
        );
        for record in Metrics::read(&toy.path("run/metrics.jsonl")).unwrap() {
            let Record::Step(step) = record else {
                panic!("{record:?}");
            };
            assert!(step.loss.is_some() && !step.skipped, "{kind}: {step:?}");
        }
        let expected = files(&toy.path("run"));
        assert!(expected.contains_key("model/model.safetensors"));
        assert!(expected.contains_key("checkpoints/step-00000006/optimizer.safetensors"));
        fs::rename(toy.path("run"), toy.path("whole")).unwrap();

        let recipe = recipe(&toy, "run", set);
        // Between checkpoints, and in another epoch than the first.
        for (resume, step) in [(false, 1), (true, 5)] {
            let outcome = run(&recipe, resume, Some(step)).unwrap();
            assert_eq!(outcome, Outcome::Stopped { step }, "{kind}");
        }
        run(&recipe, true, None).unwrap();
        let mut found = files(&toy.path("run"));
        // What stopping wrote is kept like any other.
        found.retain(|name, _| !name.starts_with("checkpoints/step-00000005/"));
        let mut expected = expected;
        expected.retain(|name, _| !name.starts_with("checkpoints/step-00000004/"));
        assert_same(&found, &expected);
    }
}

#[test]
fn a_changed_recipe_or_data_set_is_refused_by_name() {
    let toy = Toy::new();
    run(&toy.recipe("run", &[]), false, Some(2)).unwrap();
    let refused = |set: &[&str]| match run(&toy.recipe("run", set), true, None) {
        Err(TrainError::Changed { key, before, now }) => (key, before, now),
        other => panic!("{other:?}"),
    };
    let (key, before, now) = refused(&["train.learning_rate=5e-4"]);
    assert_eq!(key, "train.learning_rate");
    assert_eq!((before.as_str(), now.as_str()), ("0.001", "0.0005"));
    assert_eq!(refused(&["seed=8"]).0, "seed");
    let text = fs::read_to_string(toy.path("samples.json")).unwrap();
    fs::write(toy.path("samples.json"), text.replace("snow", "coal")).unwrap();
    assert_eq!(refused(&[]).0, "the data set");
    fs::write(toy.path("samples.json"), text).unwrap();
    // What changes nothing in what is learnt may change.
    run(&toy.recipe("run", &["run.save_steps=3"]), true, None).unwrap();
}

#[test]
fn a_folder_with_a_run_is_not_trained_into_again() {
    let toy = Toy::new();
    let recipe = toy.recipe("run", &["train.max_steps=2"]);
    run(&recipe, false, None).unwrap();
    let error = run(&recipe, false, None).unwrap_err();
    assert!(
        matches!(error, TrainError::Begun { steps: 2, .. }),
        "{error}"
    );
    // Going on with a run that is done leaves it as it is.
    let before = files(&toy.path("run"));
    run(&recipe, true, None).unwrap();
    assert_same(&files(&toy.path("run")), &before);
}

#[test]
fn damaged_checkpoints_are_passed_over() {
    let toy = Toy::new();
    let recipe = toy.recipe("run", &[]);
    run(&recipe, false, None).unwrap();
    let expected = files(&toy.path("run"));
    let newest = toy.path("run/checkpoints/step-00000006/weights.safetensors");
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&newest, &bytes).unwrap();
    run(&recipe, true, None).unwrap();
    assert_same(&files(&toy.path("run")), &expected);

    for step in ["4", "6"] {
        let path = format!("run/checkpoints/step-0000000{step}/state.json");
        fs::write(toy.path(&path), b"{}").unwrap();
    }
    let error = run(&recipe, true, None).unwrap_err();
    assert!(matches!(error, TrainError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("state.json"), "{error}");
}

/// The run of a process that `a_killed_run_goes_on_with_the_same_bits` kills.
#[test]
#[ignore = "run by another test, in a process that is killed"]
fn child() {
    let path = std::env::var("MOBILEVLM_CHILD").unwrap();
    let set: Vec<String> = std::env::var("MOBILEVLM_CHILD_SET")
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let recipe = Recipe::read(path.as_ref(), &set).unwrap();
    run(&recipe, true, None).unwrap();
}

#[test]
fn a_killed_run_goes_on_with_the_same_bits() {
    let toy = Toy::new();
    let set = ["train.max_steps=40", "run.save_steps=3"];
    let begun = Instant::now();
    run(&toy.recipe("run", &set), false, None).unwrap();
    let takes = begun.elapsed();
    let expected = files(&toy.path("run"));
    fs::rename(toy.path("run"), toy.path("whole")).unwrap();

    let _ = toy.recipe("run", &set);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", "interrupted::child"])
        .env("MOBILEVLM_CHILD", toy.path("recipe.toml"))
        .env("MOBILEVLM_CHILD_SET", set.join("\n"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut draw = std::process::id();
    let mut steps = Vec::new();
    for _ in 0..10 {
        // Whenever: while it starts, trains, writes a checkpoint.
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let share = f64::from(draw >> 8) / f64::from(1 << 24);
        let wait = Duration::from_millis(30) + takes.mul_f64(0.3 * share);
        let mut running = child.spawn().unwrap();
        std::thread::sleep(wait);
        // SIGKILL.
        running.kill().unwrap();
        running.wait().unwrap();
        let metrics = Metrics::read(&toy.path("run/metrics.jsonl")).unwrap_or_default();
        steps.push(metrics.len());
    }
    eprintln!("killed after {steps:?} of 40 steps");
    let status = child.status().unwrap();
    assert!(status.success());
    assert_same(&files(&toy.path("run")), &expected);
}
