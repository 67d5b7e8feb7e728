//! `data check`, `data mix`.

use std::fs;

use crate::{Mobilevlm, golden, path};

#[test]
fn data_check_counts_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.json");
    let row = |image: &str, from: &str| {
        format!(
            r#"{{"image": "{image}", "conversations": [{{"from": "{from}", "value": "<image>\nWhat?"}}, {{"from": "gpt", "value": "A cat."}}]}}"#
        )
    };
    let rows = [
        row("a.png", "human"),
        row("../a.png", "human"),
        row("no.png", "human"),
        row("a.png", "cat"),
        "7".to_owned(),
    ];
    fs::write(&data, format!("[{}]", rows.join(","))).unwrap();
    let command = Mobilevlm::new();
    let arguments = |more: &[&str]| {
        let (data, images) = (path(&data), golden("images"));
        let first = ["data", "check", &data, "--images", &images];
        let all = first.iter().chain(more);
        all.map(|argument| (*argument).to_owned())
            .collect::<Vec<_>>()
    };
    let model = golden("checkpoint");
    let done = command
        .run(&arguments(&["--tokenizer", &model, "--json"]))
        .expect(1);
    let json = done.json();
    assert_eq!(json["rows"], 5);
    assert_eq!(json["trainable"], 1);
    assert_eq!(json["left_out"], 4);
    for (problem, row) in [
        ("outside-root", 1),
        ("missing-picture", 2),
        ("refused", 3),
        ("broken-row", 4),
    ] {
        let found = &json["problems"][problem];
        assert_eq!(found["rows"], 1, "{problem}");
        assert_eq!(found["first"][0]["row"], row, "{problem}");
    }
    assert!(done.err.contains("leave out 4 of 5 rows"), "{}", done.err);
    // The index is in the cache, not beside the data.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let table = command.run(&arguments(&["--quick"])).expect(1).out;
    assert!(table.contains("missing pictures: 1 (left out)"), "{table}");
    assert!(table.contains("row 2: \"no.png\""), "{table}");

    fs::write(&data, format!("[{}]", rows[0])).unwrap();
    command.run(&arguments(&["--tokenizer", &model])).expect(0);
    fs::write(&data, "[{").unwrap();
    let error = command.run(&arguments(&[])).expect(1).err;
    assert!(error.contains("ends inside the array"), "{error}");
}

#[test]
fn data_mix_takes_weights_and_counts_and_writes_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str, image: &str| {
        let row = |i| {
            format!(
                r#"{{"id": {i}, {image}"conversations": [{{"from": "human", "value": "{name} {i}"}}]}}"#
            )
        };
        let rows: Vec<String> = (0..10).map(row).collect();
        fs::write(folder.path().join(name), rows.join("\n") + "\n7\n").unwrap();
    };
    set("a.jsonl", r#""image": "x.png", "#);
    set("b.jsonl", "");
    let recipe = folder.path().join("recipe.json");
    let text = r#"{"name": "test", "seed": 3, "sets": [
        {"name": "a", "file": "a.jsonl", "folder": "pictures/a", "count": 4},
        {"name": "b", "file": "b.jsonl", "weight": 2, "source": "nowhere"}]}"#;
    fs::write(&recipe, text).unwrap();
    let output = folder.path().join("mix.json");
    let (recipe_path, output_path) = (path(&recipe), path(&output));
    let line = ["data", "mix", &recipe_path, "-o", &output_path];
    let command = Mobilevlm::new();
    let done = command.run(&line).expect(0);
    assert!(done.err.contains("no samples"), "{}", done.err);
    let first = fs::read(&output).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&first).unwrap();
    let manifest = fs::read(folder.path().join("mix.json.manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["rows"], rows.len());
    assert_eq!(manifest["sets"][1]["taken"], 20);
    assert_eq!(manifest["sets"][1]["broken"], 1);
    assert_eq!(manifest["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(rows[0]["image"], "pictures/a/x.png");

    // The same again, byte for byte; not without being asked.
    let error = command.run(&line).expect(1).err;
    assert!(error.contains("--force"), "{error}");
    command.run(&[&line[..], &["--force"]].concat()).expect(0);
    assert_eq!(fs::read(&output).unwrap(), first);

    fs::remove_file(folder.path().join("b.jsonl")).unwrap();
    let error = command
        .run(&[&line[..], &["--force"]].concat())
        .expect(1)
        .err;
    assert!(error.contains("b: b.jsonl (nowhere)"), "{error}");
    fs::write(&recipe, text.replace("weight", "wait")).unwrap();
    let error = command
        .run(&[&line[..], &["--force"]].concat())
        .expect(1)
        .err;
    assert!(
        error.contains("wait") && error.contains("line 3"),
        "{error}"
    );
    assert_eq!(fs::read(&output).unwrap(), first);
}
