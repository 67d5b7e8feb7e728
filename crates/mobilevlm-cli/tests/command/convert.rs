//! `convert`, and `inspect` of what it writes.

use std::path::Path;

use serde_json::Value;

use crate::{Mobilevlm, golden, path};

const KEEP: [&str; 6] = [
    "--language",
    "keep",
    "--vision",
    "keep",
    "--projector",
    "keep",
];

/// Converts `model` to `output`, and returns the paths that were printed.
fn convert(model: &str, output: &Path, options: &[&str]) -> Vec<String> {
    let output = path(output);
    let mut arguments = vec!["convert", model, "-o", &output];
    arguments.extend(options);
    let done = Mobilevlm::new().run(&arguments).expect(0);
    assert_eq!(done.err, "");
    done.out.lines().map(str::to_owned).collect()
}

fn inspect(model: &str) -> Value {
    Mobilevlm::new()
        .run(&["inspect", model, "--json"])
        .expect(0)
        .json()
}

/// A property of each of the three parts.
fn of_parts<'a>(inspected: &'a Value, key: &str) -> Vec<&'a Value> {
    let parts = inspected["parts"].as_array().unwrap();
    parts.iter().map(|part| &part[key]).collect()
}

#[test]
fn a_model_in_one_file_answers_as_the_folder_that_it_is_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("micro.gguf");
    let written = convert(&golden("checkpoint"), &file, &KEEP);
    assert_eq!(written, [path(&file)]);
    let picture = golden("images/a.png");
    let ask = |model: &str| {
        let arguments = ["ask", "-m", model, "--json", &picture, "What is this?"];
        Mobilevlm::new().run(&arguments).expect(0).json()
    };
    let (expected, found) = (ask(&golden("checkpoint")), ask(&path(&file)));
    assert_eq!(found["ids"], expected["ids"]);
    assert_eq!(found["prompt_tokens"], expected["prompt_tokens"]);
}

#[test]
fn a_quantised_model_answers_and_says_what_it_is_stored_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("micro.gguf");
    let model = golden("relatives/llava-1.5/checkpoint");
    convert(&model, &file, &["--language", "q8_0"]);
    let inspected = inspect(&path(&file));
    assert_eq!(inspected["usable"], true);
    let language = &inspected["parts"][2];
    // Rows of 32 and of 48 numbers; the embedding is read row by row.
    let dtypes: Vec<&str> = language["dtypes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dtype| dtype.as_str().unwrap())
        .collect();
    assert_eq!(dtypes, ["F16", "F32", "q8_0", "q8_0_x16"]);
    let bits = language["bits_per_weight"].as_f64().unwrap();
    assert!((8.5..16.0).contains(&bits), "{bits}");
    let plain = inspect(&model);
    assert_eq!(of_parts(&plain, "bits_per_weight"), [16.0, 16.0, 16.0]);
    let (image, question) = (golden("images/a.png"), "What is this?");
    let file = path(&file);
    Mobilevlm::new()
        .run(&[
            "ask",
            "-m",
            &file,
            &image,
            question,
            "--max-new-tokens",
            "4",
        ])
        .expect(0);
    let table = Mobilevlm::new().run(&["inspect", &file]).expect(0).out;
    let hash = language["sha256"].as_str().unwrap();
    assert!(
        table.contains(hash) && table.contains("q8_0_x16"),
        "{table}"
    );
    let quick = Mobilevlm::new()
        .run(&["inspect", &file, "--quick", "--json"])
        .expect(0)
        .json();
    assert!(of_parts(&quick, "sha256").iter().all(|hash| hash.is_null()));
}

#[test]
fn a_pair_and_one_file_of_the_same_formats_have_the_same_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("relatives/llava-1.5/checkpoint");
    let one = folder.path().join("one.gguf");
    convert(&model, &one, &[]);
    // The ending is added.
    let written = convert(&model, &folder.path().join("two"), &["--split"]);
    let two = path(&folder.path().join("two.gguf"));
    let projector = path(&folder.path().join("mmproj-two.gguf"));
    assert_eq!(written, [two.clone(), projector]);
    let (one, two) = (inspect(&path(&one)), inspect(&two));
    assert_eq!(of_parts(&one, "sha256"), of_parts(&two, "sha256"));
    assert_ne!(of_parts(&one, "dtypes"), of_parts(&two, "dtypes"));
    let other = inspect(&model);
    assert_ne!(of_parts(&one, "sha256"), of_parts(&other, "sha256"));
}

#[test]
fn without_a_name_the_file_is_called_after_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Mobilevlm::new().command();
    command
        .args(["convert", &golden("checkpoint"), "--language", "q5_0"])
        .current_dir(folder.path());
    let done = crate::Done::new(command.output().unwrap()).expect(0);
    assert_eq!(done.out, "checkpoint-q5_0.gguf\n");
    assert!(folder.path().join("checkpoint-q5_0.gguf").is_file());
}

#[test]
fn files_are_replaced_only_by_force_and_failures_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("there.gguf");
    std::fs::write(&file, "mine").unwrap();
    let (model, output) = (golden("checkpoint"), path(&file));
    let refused = Mobilevlm::new()
        .run(&["convert", &model, "-o", &output])
        .expect(1);
    assert!(
        refused.err.contains("`--force` replaces it"),
        "{}",
        refused.err
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");

    let split = path(&folder.path().join("pair"));
    let refused = Mobilevlm::new()
        .run(&["convert", &model, "-o", &split, "--split"])
        .expect(1);
    assert!(
        refused.err.contains("expected 24 × 24 patches"),
        "{}",
        refused.err
    );

    let nowhere = path(&folder.path().join("no/such/file.gguf"));
    let failed = Mobilevlm::new()
        .run(&["convert", &model, "-o", &nowhere])
        .expect(1);
    assert!(failed.err.contains("cannot be written"), "{}", failed.err);

    Mobilevlm::new()
        .run(&["convert", &model, "-o", &output, "--language", "q7"])
        .expect(2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    convert(&model, &file, &["--force"]);
    assert_eq!(inspect(&output)["usable"], true);
}

#[test]
fn quantising_twice_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.gguf"), folder.path().join("b.gguf"));
    let model = golden("relatives/llava-1.5/checkpoint");
    convert(&model, &first, &["--language", "q8_0"]);
    let (first, second) = (path(&first), path(&second));
    let done = Mobilevlm::new()
        .run(&["convert", &first, "-o", &second, "--language", "q4_0"])
        .expect(0);
    assert!(done.err.contains("quantised already"), "{}", done.err);
    // The name inside the file is the model's own, whatever the file is called.
    let named = folder.path().join("c");
    std::fs::create_dir(&named).unwrap();
    let done = Mobilevlm::new()
        .run(&["convert", &first, "-o", &path(&named)])
        .expect(0);
    assert_eq!(
        done.out,
        format!("{}\n", path(&named.join("checkpoint.gguf")))
    );
}
