//! `verify`: passes on what is right, fails on what is not, and never passes on nothing.

use std::fs;
use std::path::Path;

use crate::{Done, Mobilevlm, copy_of_golden, golden, path};
use serde_json::Value;

fn verify(arguments: &[&str]) -> Done {
    let mut all = vec!["verify"];
    all.extend(arguments);
    Mobilevlm::new().run(&all)
}

fn verify_set(set: &Path) -> Done {
    verify(&[
        "-m",
        &path(&set.join("checkpoint")),
        "--golden",
        &path(set),
        "--json",
    ])
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut json);
    fs::write(file, json.to_string()).unwrap();
}

#[test]
fn the_micro_set_passes_with_every_table() {
    for table in mobilevlm_tensor::tables() {
        if !table.missing.is_empty() {
            eprintln!(
                "skipped: {} (this machine lacks {})",
                table.name,
                table.missing.join(", ")
            );
            continue;
        }
        let arguments = [
            "-m",
            &golden("checkpoint"),
            "--golden",
            &golden(""),
            "--kernels",
            table.name,
            "--json",
        ];
        let json = verify(&arguments).expect(0).json();
        assert_eq!(json["passed"], true);
        assert_eq!(json["model"]["kernels"], table.name);
        assert_eq!(json["model"]["cases"].as_array().unwrap().len(), 7);
        for stage in ["vision_features", "image_embeds", "logits"] {
            let stage = &json["model"]["stages"][stage];
            assert!(stage["tensors"].as_u64().unwrap() > 0);
            assert!(
                stage["max_over_std"].as_f64().unwrap() <= stage["tolerance"].as_f64().unwrap()
            );
        }
    }
}

#[test]
fn a_wrong_weight_is_noticed() {
    let set = copy_of_golden();
    let weights = set.path().join("checkpoint/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let offset = header["lm_head.weight"]["data_offsets"][0]
        .as_u64()
        .unwrap() as usize;
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // The sign of one float16 number.
    bytes[data + offset + 1] ^= 0x80;
    fs::write(&weights, bytes).unwrap();
    let done = verify_set(set.path()).expect(1);
    let json = done.json();
    assert_eq!(json["passed"], false);
    assert_eq!(json["model"]["stages"]["logits"]["passed"], false);
    assert_eq!(json["model"]["stages"]["image_embeds"]["passed"], true);
    assert!(done.err.contains("verification failed"), "{}", done.err);
}

#[test]
fn a_wrong_id_is_noticed_unless_the_record_was_undecided() {
    for (margin, code, ids) in [(0.5, 1, "differ"), (9e-4, 0, "tie"), (1.1e-3, 1, "differ")] {
        let set = copy_of_golden();
        edit(&set.path().join("cases.json"), |cases| {
            let id = cases[0]["output_ids"][3].as_u64().unwrap();
            cases[0]["output_ids"][3] = (id + 1).into();
            cases[0]["margins"][3] = margin.into();
        });
        let json = verify_set(set.path()).expect(code).json();
        assert_eq!(json["model"]["cases"][0]["ids"], ids, "margin {margin}");
        assert_eq!(json["model"]["cases"][0]["equal_ids"], 3);
        assert_eq!(json["model"]["cases"][1]["ids"], "equal");
    }
}

#[test]
fn an_answer_of_another_length_is_noticed() {
    let set = copy_of_golden();
    edit(&set.path().join("cases.json"), |cases| {
        cases[0]["max_new_tokens"] = 23.into()
    });
    let json = verify_set(set.path()).expect(1).json();
    assert_eq!(json["model"]["cases"][0]["ids"], "differ");
    assert_eq!(json["model"]["cases"][0]["equal_ids"], 23);
}

#[test]
fn a_prompt_that_tokenises_otherwise_is_noticed() {
    let set = copy_of_golden();
    edit(&set.path().join("cases.json"), |cases| {
        let prompt = cases[2]["prompt"]
            .as_str()
            .unwrap()
            .replace("colour", "color");
        cases[2]["prompt"] = prompt.into();
    });
    let json = verify_set(set.path()).expect(1).json();
    assert_eq!(json["model"]["cases"][2]["prompt_equal"], false);
    assert_eq!(json["failures"].as_array().unwrap().len(), 1);
}

#[test]
fn recorded_pixels_go_before_the_picture() {
    let set = copy_of_golden();
    // Another picture under the name of a recorded one: only its pixels count.
    fs::copy(
        set.path().join("images/c.png"),
        set.path().join("images/a.png"),
    )
    .unwrap();
    verify_set(set.path()).expect(0);
    fs::remove_dir_all(set.path().join("preprocess")).unwrap();
    verify_set(set.path()).expect(1);
}

#[test]
fn pictures_and_pixels_can_be_elsewhere() {
    let set = copy_of_golden();
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in ["images", "preprocess"] {
        fs::rename(set.path().join(folder), elsewhere.path().join(folder)).unwrap();
    }
    let (model, set) = (path(&set.path().join("checkpoint")), path(set.path()));
    let images = path(&elsewhere.path().join("images"));
    let pixels = path(&elsewhere.path().join("preprocess"));
    let mut arguments = vec!["-m", &model, "--golden", &set];
    let done = verify(&arguments).expect(1);
    assert!(done.err.contains("--images"), "{}", done.err);
    arguments.extend(["--images", &images, "--preprocess", &pixels]);
    verify(&arguments).expect(0);
}

#[test]
fn what_is_missing_is_an_error_and_never_a_pass() {
    let remove = |below: &'static str| {
        move |set: &Path| match set.join(below) {
            folder if folder.is_dir() => fs::remove_dir_all(folder).unwrap(),
            file => fs::remove_file(file).unwrap(),
        }
    };
    type Damage = Box<dyn Fn(&Path)>;
    let damages: Vec<(&str, Damage)> = vec![
        ("cases.json", Box::new(remove("cases.json"))),
        (
            "reference.safetensors",
            Box::new(remove("reference.safetensors")),
        ),
        ("a.png", Box::new(remove("images/a.png"))),
        (
            "a.png.pad.168.png",
            Box::new(remove("preprocess/a.png.pad.168.png")),
        ),
        ("tokenizer", Box::new(remove("checkpoint/tokenizer.model"))),
        (
            "cases.json",
            Box::new(|set| fs::write(set.join("cases.json"), "[]").unwrap()),
        ),
        (
            "margins",
            Box::new(|set| {
                edit(&set.join("cases.json"), |cases| {
                    cases[0]["margins"] = Value::Array(vec![])
                })
            }),
        ),
        (
            "other.logits",
            Box::new(|set| {
                edit(&set.join("cases.json"), |cases| {
                    cases[0]["name"] = "other".into()
                })
            }),
        ),
        ("checkpoint", Box::new(remove("checkpoint"))),
    ];
    for (named, damage) in damages {
        let set = copy_of_golden();
        damage(set.path());
        let done = verify_set(set.path()).expect(1);
        assert!(done.err.contains(named), "{named}: {}", done.err);
    }
}

#[test]
fn features_must_be_recorded_where_there_are_pictures() {
    let set = copy_of_golden();
    // Other names, so that no case has features: the header's text keeps its length.
    let file = set.path().join("reference.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let name = b"vision_features";
    let places: Vec<usize> = (0..bytes.len() - name.len())
        .filter(|&at| bytes[at..].starts_with(name))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'V';
    }
    fs::write(&file, bytes).unwrap();
    let done = verify_set(set.path()).expect(1);
    assert!(done.err.contains("vision_features"), "{}", done.err);
}

#[test]
fn the_preparation_of_pictures_passes_and_fails() {
    let json = verify(&["--preprocess", &golden("preprocess"), "--json"])
        .expect(0)
        .json();
    assert_eq!(json["preprocess"]["pictures"].as_array().unwrap().len(), 5);

    let set = copy_of_golden();
    fs::copy(
        set.path().join("images/c.png"),
        set.path().join("images/a.png"),
    )
    .unwrap();
    let pixels = path(&set.path().join("preprocess"));
    let json = verify(&["--preprocess", &pixels, "--json"])
        .expect(1)
        .json();
    assert_eq!(json["failures"].as_array().unwrap().len(), 1);
    // The pictures of the untouched set are the right ones.
    verify(&["--preprocess", &pixels, "--images", &golden("images")]).expect(0);

    for missing in [
        "images/b.jpg",
        "preprocess/d.jpg.pad.168.png",
        "preprocess/index.json",
    ] {
        let set = copy_of_golden();
        fs::remove_file(set.path().join(missing)).unwrap();
        let done = verify(&["--preprocess", &path(&set.path().join("preprocess"))]).expect(1);
        assert!(
            done.err.contains(missing.rsplit('/').next().unwrap()),
            "{}",
            done.err
        );
    }
}

#[test]
fn the_full_preparation_and_tokenizer_pass() {
    let name = "the_full_preparation_and_tokenizer_pass";
    let Some(pixels) = mobilevlm_testing::shared_golden("preprocess", name) else {
        return;
    };
    let Some(tokenizer) = mobilevlm_testing::shared_golden("tokenizer", name) else {
        return;
    };
    let json = verify(&[
        "--preprocess",
        &path(&pixels),
        "--tokenizer",
        &path(&tokenizer),
        "--json",
    ])
    .expect(0)
    .json();
    assert_eq!(
        json["preprocess"]["pictures"].as_array().unwrap().len(),
        107
    );
    assert_eq!(json["preprocess"]["float_tensors"], 4);
    let files = json["tokenizer"]["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file["failures"] == 0));
}

/// A folder with the micro set's tokenizer and these cases.
fn tokenizer_folder(cases: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        golden("checkpoint/tokenizer.model"),
        folder.path().join("tokenizer.model"),
    )
    .unwrap();
    fs::write(folder.path().join("cases-a.json"), cases.to_string()).unwrap();
    folder
}

#[test]
fn a_tokenizer_passes_and_fails() {
    // `e` and `ll` are pieces of the micro vocabulary, `</s>` is a control token for upstream only.
    let text = |ids: &[u32]| {
        serde_json::json!({"model": "tokenizer.model", "vocab": 384, "texts": [
            {"text": "</s>", "ids": ids, "decoded": "", "sentencepiece_ids": [346, 63, 50, 355, 65]}]})
    };
    let right = tokenizer_folder(&text(&[1, 2]));
    verify(&["--tokenizer", &path(right.path())]).expect(0);
    let wrong = tokenizer_folder(&text(&[1, 1]));
    let done = verify(&["--tokenizer", &path(wrong.path())]).expect(1);
    assert!(
        done.out.contains("FAILED") && done.out.contains("</s>"),
        "{}",
        done.out
    );

    fs::remove_file(right.path().join("tokenizer.model")).unwrap();
    let done = verify(&["--tokenizer", &path(right.path())]).expect(1);
    assert!(done.err.contains("tokenizer.model"), "{}", done.err);
    let empty = tokenizer_folder(&serde_json::json!({"model": "tokenizer.model", "texts": []}));
    verify(&["--tokenizer", &path(empty.path())]).expect(1);
    fs::remove_file(empty.path().join("cases-a.json")).unwrap();
    verify(&["--tokenizer", &path(empty.path())]).expect(1);
}

#[test]
fn half_a_form_is_wrong_usage() {
    for arguments in [
        &[][..],
        &["-m", "x"],
        &["--golden", "x"],
        &["--images", "x"],
    ] {
        verify(arguments).expect(2);
    }
}

/// `verify` of a file of `golden/gguf` against the records in `folder`.
fn verify_gguf(model: &str, folder: &str, more: &[&str]) -> Done {
    let (model, golden) = (golden(&format!("gguf/{model}")), golden(""));
    let arguments = ["-m", &model, "--golden", &golden, "--gguf-expected", folder];
    verify(&[&arguments, more].concat())
}

#[test]
fn gguf_files_pass_in_both_arithmetics() {
    for (model, arithmetic, largest) in [
        ("micro-f16.gguf", None, 5e-4),
        ("micro-mixed.gguf", None, 5e-4),
        ("micro-mixed.gguf", Some("fast"), 0.2),
    ] {
        let mut more = vec!["--json"];
        more.extend(arithmetic.iter().flat_map(|name| ["--arithmetic", name]));
        let json = verify_gguf(model, &golden("gguf"), &more).expect(0).json();
        let report = &json["gguf"];
        assert_eq!(report["arithmetic"], arithmetic.unwrap_or("f32"));
        assert_eq!(report["file"], model);
        assert_eq!(report["cases"].as_array().unwrap().len(), 7);
        let found = report["max_over_std"].as_f64().unwrap();
        assert!(0.0 < found && found < largest, "{model}: {found}");
        // Whole numbers round, and float32 hardly does.
        assert_eq!(found > 5e-4, arithmetic.is_some(), "{model}: {found}");
    }
    // As the checkpoint that the pair was made from.
    let pair = golden("gguf/micro-f16.gguf");
    verify(&["-m", &pair, "--golden", &golden("")]).expect(0);
}

#[test]
fn a_gguf_file_without_a_record_or_with_another_one_fails() {
    let folder = tempfile::tempdir().unwrap();
    let expected = folder.path().join("expected.json");
    for name in ["expected.json", "expected.safetensors"] {
        fs::copy(golden(&format!("gguf/{name}")), folder.path().join(name)).unwrap();
    }
    let folder = path(folder.path());
    verify_gguf("micro-mixed.gguf", &folder, &[]).expect(0);
    edit(&expected, |json| {
        let record = json["files"]["micro-mixed.gguf"].take();
        json["files"]["micro-f16.gguf"]["sha256"] = record["sha256"].clone();
        json["files"]
            .as_object_mut()
            .unwrap()
            .remove("micro-mixed.gguf");
    });
    // The logits of the other file.
    let failed = verify_gguf("micro-mixed.gguf", &folder, &[]).expect(1);
    assert!(
        failed.out.contains("largest difference of the logits"),
        "{}",
        failed.out
    );
    edit(&expected, |json| {
        json["files"]["micro-f16.gguf"]["sha256"] = "0".into();
    });
    let failed = verify_gguf("micro-mixed.gguf", &folder, &[]).expect(1);
    assert!(
        failed
            .err
            .contains("expected the record of a file with SHA-256"),
        "{}",
        failed.err
    );
}
