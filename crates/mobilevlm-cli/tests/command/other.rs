//! `inspect`, `tokenize`, `doctor`, `use`, `bench`, `man`, `completions`.

use crate::{Done, Mobilevlm, copy_of_golden, golden, keys, path};

#[test]
fn inspect_lists_parts_and_tensors() {
    let json = Mobilevlm::new()
        .run(&["inspect", &golden("checkpoint"), "--json"])
        .expect(0)
        .json();
    assert_eq!(json["usable"], true);
    assert_eq!(json["config"]["language"]["hidden"], 48);
    assert_eq!(json["config"]["projector"], "ldpnetv2");
    let parts = json["parts"].as_array().unwrap();
    assert_eq!(
        parts
            .iter()
            .map(|part| part["name"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["vision", "projector", "language"]
    );
    let counted: u64 = parts
        .iter()
        .map(|part| part["tensors"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, json["tensors"].as_array().unwrap().len() as u64);
    let table = Mobilevlm::new()
        .run(&["inspect", &golden("checkpoint")])
        .expect(0)
        .out;
    assert!(table.contains("168 x 168"), "{table}");
}

#[test]
fn inspect_says_what_is_wrong() {
    let set = copy_of_golden();
    let config = set.path().join("checkpoint/config.json");
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("\"vocab_size\": 384", "\"vocab_size\": 385");
    std::fs::write(&config, text).unwrap();
    let done = Mobilevlm::new()
        .run(&["inspect", &path(&set.path().join("checkpoint"))])
        .expect(1);
    assert!(
        done.out
            .contains("lm_head.weight: expected weights [385, 48]"),
        "{}",
        done.out
    );
}

#[test]
fn tokenize_prints_ids_and_pieces() {
    let command = Mobilevlm::new();
    let model = golden("checkpoint");
    let json = command
        .run(&["tokenize", "-m", &model, "--json", "Hello"])
        .expect(0)
        .json();
    assert_eq!(
        json,
        serde_json::json!({"ids": [1, 335, 347, 342, 349], "pieces": ["<s>", "▁H", "e", "ll", "o"]})
    );
    let literal = command
        .run(&["tokenize", "-m", &model, "--json", "</s>"])
        .expect(0)
        .json();
    assert!(literal["ids"].as_array().unwrap().len() > 2, "{literal}");
    let control = command
        .run(&["tokenize", "-m", &model, "--json", "--control", "</s>"])
        .expect(0)
        .json();
    assert_eq!(control["ids"], serde_json::json!([1, 2]));
}

#[test]
fn doctor_lists_every_table_format_and_operation() {
    let json = Mobilevlm::new().run(&["doctor", "--json"]).expect(0).json();
    assert_eq!(json["problems"], serde_json::json!([]));
    let tables = json["machine"]["tables"].as_array().unwrap();
    let portable = tables
        .iter()
        .find(|table| table["name"] == "portable")
        .unwrap();
    assert_eq!(portable["runs_here"], true);
    for table in tables {
        let operations = table["operations"].as_array().unwrap();
        for operation in operations {
            assert_eq!(keys(operation), ["format", "operation", "origin"]);
            assert!(["own", "shared", "portable"].contains(&operation["origin"].as_str().unwrap()));
        }
        for format in ["F32", "F16", "BF16"] {
            let of_format = |operation: &&serde_json::Value| {
                operation["format"]
                    .as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case(format))
            };
            assert!(
                operations.iter().any(|operation| of_format(&operation)),
                "{format} is not in {table}"
            );
        }
    }
    let chosen = json["machine"]["kernels"].as_str().unwrap();
    assert!(
        tables
            .iter()
            .any(|table| table["name"] == chosen && table["runs_here"] == true)
    );
}

#[test]
fn doctor_finds_problems() {
    let command = Mobilevlm::new();
    let mut forced = command.command();
    let done = crate::Done::new(
        forced
            .arg("doctor")
            .env("MOBILEVLM_KERNELS", "sse9")
            .output()
            .unwrap(),
    )
    .expect(1);
    assert!(done.out.contains("sse9"), "{}", done.out);
    let set = copy_of_golden();
    std::fs::write(set.path().join("checkpoint/model.safetensors"), "damaged").unwrap();
    let done = command
        .run(&["doctor", &path(&set.path().join("checkpoint"))])
        .expect(1);
    assert!(
        done.out.contains("model.safetensors") && done.out.contains("not usable"),
        "{}",
        done.out
    );
    let done = command.run(&["doctor", "org/missing"]).expect(1);
    assert!(
        done.out.contains("mobilevlm pull org/missing"),
        "{}",
        done.out
    );
}

#[test]
fn the_default_model_is_used_until_it_is_forgotten() {
    let command = Mobilevlm::new();
    let picture = golden("images/a.png");
    assert_eq!(command.run(&["use"]).expect(0).out, "");
    command.run(&["use", &golden("checkpoint")]).expect(0);
    let shown = command.run(&["use"]).expect(0).out;
    assert!(std::path::Path::new(shown.trim()).is_absolute(), "{shown}");
    let ask = ["ask", &picture, "What?", "--max-new-tokens", "2"];
    let is_demo = |done: Done| done.expect(0).err.contains("demo model");
    assert!(!is_demo(command.run(&ask)));
    command.run(&["use", "--none"]).expect(0);
    assert!(is_demo(command.run(&ask)));
    command.run(&["use", "./no-such-folder"]).expect(1);
}

#[test]
fn bench_reports_the_documented_keys() {
    let arguments = [
        "bench",
        "-m",
        &golden("checkpoint"),
        "--threads",
        "1",
        "--kernels",
        "portable",
        "--json",
    ];
    let json = Mobilevlm::new().run(&arguments).expect(0).json();
    assert_eq!(json["kernels"], "portable");
    assert_eq!(
        keys(&json["limits"]),
        ["f32_gflops", "int8_gops", "read_gb_s"]
    );
    assert_eq!(
        keys(&json["stages"]),
        ["batch_step", "prefill", "projector", "step", "vision"]
    );
    let always = [
        "limit",
        "matrix_ms",
        "matrix_share",
        "median_ms",
        "p95_ms",
        "rate",
        "share",
        "unit",
    ];
    for (name, stage) in json["stages"].as_object().unwrap() {
        for key in always {
            assert!(!stage[key].is_null(), "{name} has no {key}: {stage}");
        }
        let number = |key: &str| stage[key].as_f64().unwrap();
        assert!(
            number("median_ms") > 0.0 && number("p95_ms") >= number("median_ms"),
            "{name}: {stage}"
        );
        let limit = stage["limit"].as_str().unwrap();
        let limit = json["limits"][limit].as_f64().unwrap();
        assert!(
            (number("share") * limit / number("rate") - 1.0).abs() < 1e-9,
            "{name}: {stage}"
        );
    }
    assert!(json["first_word_ms"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        assert!(json["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    }
}

#[test]
fn the_manual_and_completions_name_every_verb() {
    let command = Mobilevlm::new();
    let verbs = [
        "ask",
        "chat",
        "pull",
        "use",
        "inspect",
        "tokenize",
        "bench",
        "verify",
        "doctor",
        "completions",
        "man",
    ];
    let mut documents = vec![command.run(&["man"]).expect(0).out];
    for shell in ["bash", "zsh", "fish"] {
        documents.push(command.run(&["completions", shell]).expect(0).out);
    }
    for document in documents {
        for verb in verbs {
            assert!(document.contains(verb), "{verb} is missing");
        }
    }
}

#[test]
fn help_is_success_and_nonsense_is_wrong_usage() {
    let command = Mobilevlm::new();
    assert!(command.run(&["--help"]).expect(0).out.contains("Examples:"));
    assert!(
        command
            .run(&["ask", "--help"])
            .expect(0)
            .out
            .contains("mobilevlm ask photo.jpg")
    );
    command.run(&["--version"]).expect(0);
    command.run(&["nonsense"]).expect(2);
    command.run::<&str>(&[]).expect(2);
    command.run(&["pull", "not-an-id"]).expect(2);
}

/// Ctrl-C while a picture is awaited on standard input, as a shell reports it.
#[cfg(unix)]
#[test]
fn an_interrupted_command_ends_at_once_with_130() {
    let command = Mobilevlm::new();
    let mut child = command
        .command()
        .args(["ask", "-m", &golden("checkpoint"), "-", "What?"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The handler is installed before standard input is read; a moment is enough for both.
    std::thread::sleep(std::time::Duration::from_millis(700));
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    // Waiting closes what the child reads, unless it is held; it would see the end before the signal.
    let _input = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
