//! `train`.

use mobilevlm_testing::shared_golden;

use crate::{Mobilevlm, golden, path};

#[test]
fn train_check_repeats_upstreams_runs() {
    let Some(folder) = shared_golden("train", "train_check_repeats_upstreams_runs") else {
        return;
    };
    let command = Mobilevlm::new();
    let done = command
        .run(&["train", "--check", &path(&folder), "--json"])
        .expect(0);
    let json = done.json();
    assert_eq!(json["passed"], true);
    let items = json["items"].as_array().unwrap();
    for name in ["labels", "stage1: losses", "lora: merged parameters"] {
        assert!(items.iter().any(|item| item["name"] == name), "{name}");
    }
}

#[test]
fn train_check_of_a_folder_without_records_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let command = Mobilevlm::new();
    let done = command
        .run(&["train", "--check", &path(folder.path())])
        .expect(1);
    assert!(done.out.contains("splice.json"), "{}", done.out);
    assert!(done.out.ends_with("FAILED\n"), "{}", done.out);
    command.run(&["train", "--json"]).expect(2);
}

/// A recipe that takes seconds, and its folder.
fn toy() -> (tempfile::TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let recipe = format!(
        r#"
task = "vlm"
output_dir = {out:?}
[vision]
image_size = 56
patch_size = 14
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 32
[projector]
type = "mlp2x_gelu"
[language]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 64
[tokenizer]
from = {tokenizer:?}
[data]
template = "v1"
model_max_length = 600
[world]
count = 40
eval_count = 7
[train]
learning_rate = 1e-3
per_device_train_batch_size = 2
max_steps = 12
[run]
save_steps = 4
eval_steps = 6
"#,
        out = home.path().join("whole"),
        tokenizer = golden("checkpoint"),
    );
    let file = home.path().join("toy.toml");
    std::fs::write(&file, recipe).unwrap();
    let file = path(&file);
    (home, file)
}

#[test]
fn training_writes_a_model_that_answers() {
    let (home, recipe) = toy();
    let command = Mobilevlm::new();
    let done = command.run(&["train", &recipe, "--json"]).expect(0);
    let json = done.json();
    assert_eq!(json["finished"], true);
    assert_eq!(json["steps"], 12);
    assert!(json["loss"].as_f64().unwrap() > 0.0);
    assert!(done.err.contains("step 6: accuracy"), "{}", done.err);
    let model = json["model"].as_str().unwrap();
    let picture = home.path().join("grey.png");
    let grey = mobilevlm_processor::RgbImage::filled(56, 56, [128; 3]);
    std::fs::write(&picture, mobilevlm_data::world::png(&grey)).unwrap();
    command
        .run(&["ask", "--model", model, &path(&picture), "What is it?"])
        .expect(0);

    // The folder is taken: only --resume goes on in it, and only with the same recipe.
    let done = command.run(&["train", &recipe]).expect(1);
    assert!(done.err.contains("--resume"), "{}", done.err);
    let changed = ["train", &recipe, "--resume", "--set", "seed=1"];
    let done = command.run(&changed).expect(1);
    assert!(done.err.contains("seed has changed"), "{}", done.err);
    let wrong = ["train", &recipe, "--set", "train.learning_rat=1"];
    let done = command.run(&wrong).expect(1);
    assert!(done.err.contains("train.learning_rate"), "{}", done.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_a_full_disk_end_a_run_that_goes_on_with_the_same_bits() {
    use std::process::Command;

    let (home, recipe) = toy();
    let command = Mobilevlm::new();
    command.run(&["train", &recipe]).expect(0);
    let out = path(&home.path().join("two"));
    let resumed = ["train", &recipe, "--out", &out, "--resume"];

    // Ctrl-C after the first line of metrics.
    let mut child = command.command().args(resumed).spawn().unwrap();
    let metrics = home.path().join("two/metrics.jsonl");
    while std::fs::metadata(&metrics).map_or(0, |about| about.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    // A disk on which no checkpoint fits; without the signal, writing more is an error.
    let limited = command.command();
    let full = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(limited.get_program())
        .args(resumed)
        .env("HOME", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be written"), "{said}");
    assert!(said.contains("--resume"), "{said}");

    command.run(&resumed).expect(0);
    for file in [
        "metrics.jsonl",
        "model/model.safetensors",
        "checkpoints/step-00000012/weights.safetensors",
        "checkpoints/step-00000012/optimizer.safetensors",
    ] {
        let read = |run: &str| std::fs::read(home.path().join(run).join(file)).unwrap();
        assert!(read("two") == read("whole"), "{file} differs");
    }
}
