//! `ask`, `ask --each` and `chat`.

use crate::{Mobilevlm, golden, keys};
use serde_json::Value;

fn model() -> [String; 2] {
    ["-m".to_owned(), golden("checkpoint")]
}

fn ask(arguments: &[&str]) -> crate::Done {
    let mut all = vec!["ask".to_owned()];
    all.extend(model());
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    Mobilevlm::new().run(&all)
}

/// The recorded case of this name.
fn case(name: &str) -> Value {
    let cases: Value =
        serde_json::from_slice(&std::fs::read(golden("cases.json")).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    cases
        .iter()
        .find(|case| case["name"] == name)
        .unwrap()
        .clone()
}

#[test]
fn the_answer_is_the_recorded_one() {
    // The recorded prompt has the system prompt and this question.
    let case = case("one-picture");
    let max = case["max_new_tokens"].to_string();
    let picture = golden("images/a.png");
    let plain = ask(&[&picture, "What is this?", "--max-new-tokens", &max]).expect(0);
    assert_eq!(
        plain.out.strip_suffix('\n').unwrap(),
        case["text"].as_str().unwrap()
    );
    assert_eq!(plain.err, "");

    let json = ask(&[
        "--json",
        &picture,
        "What is this?",
        "--max-new-tokens",
        &max,
    ])
    .expect(0)
    .json();
    assert_eq!(json["ids"], case["output_ids"]);
    assert_eq!(json["text"], case["text"]);
    assert_eq!(json["finish_reason"], "length");
}

#[test]
fn json_has_the_documented_keys() {
    let json = ask(&[
        "--json",
        &golden("images/b.jpg"),
        "A dog?",
        "--max-new-tokens",
        "4",
    ])
    .expect(0)
    .json();
    assert_eq!(
        keys(&json),
        [
            "cached_tokens",
            "finish_reason",
            "ids",
            "image_tokens",
            "prompt_tokens",
            "text",
            "timings"
        ]
    );
    let timings = [
        "accepted_tokens",
        "decode",
        "decode_tokens_per_second",
        "drafted_tokens",
        "image_read",
        "load",
        "peak_memory_bytes",
        "prefill",
        "preprocess",
        "projector",
        "vision",
    ];
    assert_eq!(keys(&json["timings"]), timings);
    assert_eq!(json["image_tokens"], 144);
    assert!(json["prompt_tokens"].as_u64().unwrap() > 144);
    for stage in [
        "load",
        "image_read",
        "preprocess",
        "vision",
        "projector",
        "prefill",
        "decode",
    ] {
        assert!(
            json["timings"][stage].as_f64().unwrap() > 0.0,
            "{stage}: {json}"
        );
    }
}

#[test]
fn an_answer_that_ends_by_itself_says_so_without_its_last_id() {
    let json = ask(&["--json", &golden("images/a.png"), "What is this?"])
        .expect(0)
        .json();
    assert_eq!(json["finish_reason"], "stop");
    let ids = json["ids"].as_array().unwrap();
    assert!(ids.len() < 512 && !ids.contains(&2.into()), "{json}");
    let recorded = case("one-picture")["output_ids"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(ids[..recorded.len()], recorded);
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let picture = golden("images/a.png");
    let whole = ask(&["--json", &picture, "What is this?"]).expect(0).json();
    let whole = whole["text"].as_str().unwrap();
    let stopped = ask(&["--json", &picture, "What is this?", "--stop", "No"])
        .expect(0)
        .json();
    assert_eq!(stopped["finish_reason"], "stop");
    assert_eq!(stopped["text"], whole.split("No").next().unwrap());
    assert_ne!(stopped["text"], whole);
}

#[test]
fn standard_input_is_a_picture() {
    let picture = golden("images/a.png");
    let file = ask(&["--json", &picture, "What is this?"]).expect(0).json();
    let mut arguments = vec![
        "ask".to_owned(),
        "--json".to_owned(),
        "-".to_owned(),
        "What is this?".to_owned(),
    ];
    arguments.extend(model());
    let bytes = std::fs::read(picture).unwrap();
    let piped = Mobilevlm::new()
        .run_with_input(&arguments, &bytes)
        .expect(0)
        .json();
    assert_eq!(piped["ids"], file["ids"]);
}

#[test]
fn what_is_typed_is_literal() {
    let picture = golden("images/a.png");
    // As a control token, `<image>` would ask for a second picture and `</s>` would be one id.
    let json = ask(&[
        "--json",
        &picture,
        "What is <image> </s>?",
        "--max-new-tokens",
        "1",
    ])
    .expect(0)
    .json();
    assert_eq!(json["image_tokens"], 144);
    let plain = ask(&["--json", &picture, "What is ?", "--max-new-tokens", "1"])
        .expect(0)
        .json();
    let more = json["prompt_tokens"].as_u64().unwrap() - plain["prompt_tokens"].as_u64().unwrap();
    assert!(more > 8, "only {more} more tokens");
}

#[test]
fn every_table_and_number_of_threads_gives_the_same_ids() {
    let picture = golden("images/a.png");
    let ids = |options: &[&str]| {
        let mut arguments = vec!["--json", &picture, "What is this?"];
        arguments.extend(options);
        ask(&arguments).expect(0).json()["ids"].clone()
    };
    let expected = ids(&[]);
    for options in [
        &["--threads", "1"][..],
        &["--threads", "3"],
        &["--kernels", "portable"],
        &["--no-mmap"],
    ] {
        assert_eq!(ids(options), expected, "{options:?}");
    }
}

#[test]
fn each_picture_has_a_line_in_order_and_a_broken_one_stops_nobody() {
    let broken = tempfile::NamedTempFile::with_suffix(".png").unwrap();
    std::fs::write(broken.path(), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let broken = crate::path(broken.path());
    let pictures = [
        golden("images/a.png"),
        broken,
        golden("images/b.jpg"),
        golden("images/c.png"),
    ];
    let mut arguments = vec!["--each"];
    arguments.extend(pictures.iter().map(String::as_str));
    arguments.extend(["What is this?", "--max-new-tokens", "12"]);
    let done = ask(&arguments).expect(1);
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), pictures.len());
    for (line, picture) in lines.iter().zip(&pictures) {
        assert_eq!(line["image"], picture.as_str());
    }
    assert!(
        lines[1]["error"].as_str().unwrap().contains("PNG") && lines[1].get("text").is_none(),
        "{}",
        lines[1]
    );
    for index in [0, 2, 3] {
        let alone = ask(&[
            "--json",
            &pictures[index],
            "What is this?",
            "--max-new-tokens",
            "12",
        ])
        .expect(0)
        .json();
        assert_eq!(lines[index]["ids"], alone["ids"], "{}", pictures[index]);
        assert_eq!(lines[index]["prompt_tokens"], alone["prompt_tokens"]);
    }
    assert!(done.err.contains("1 of 4"), "{}", done.err);
}

#[test]
fn many_pictures_are_answered_in_order() {
    // More than step together, of different lengths.
    let names = ["a.png", "b.jpg", "c.png", "d.jpg"];
    let pictures: Vec<String> = (0..11)
        .map(|i| golden(&format!("images/{}", names[i % 4])))
        .collect();
    let mut arguments = vec!["--each"];
    arguments.extend(pictures.iter().map(String::as_str));
    arguments.extend(["A dog?", "--max-new-tokens", "20"]);
    let done = ask(&arguments).expect(0);
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), pictures.len());
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["image"], pictures[index].as_str());
        assert_eq!(line["ids"], lines[index % 4]["ids"], "line {index}");
    }
}

#[test]
fn half_a_question_is_wrong_usage() {
    let picture = golden("images/a.png");
    for arguments in [
        &[picture.as_str()][..],
        &["What is this?"],
        &[&picture, &picture],
        &[&picture, ""],
    ] {
        let done = ask(arguments).expect(2);
        assert!(
            done.err.contains("mobilevlm ask photo.jpg \"What"),
            "{}",
            done.err
        );
        assert_eq!(done.out, "");
    }
}

#[test]
fn what_does_not_exist_fails_and_is_named() {
    let picture = golden("images/a.png");
    let done = ask(&["no-such.png", "What is this?"]).expect(1);
    assert!(done.err.contains("no-such.png"), "{}", done.err);
    let done = Mobilevlm::new()
        .run(&["ask", "-m", "./no-such-model", &picture, "What?"])
        .expect(1);
    assert!(
        done.err.contains("no-such-model") && done.err.contains("next:"),
        "{}",
        done.err
    );
    let done = ask(&[&picture, "What?", "--kernels", "sse9"]).expect(1);
    assert!(done.err.contains("portable"), "{}", done.err);
}

#[test]
fn a_prompt_that_does_not_fit_says_by_how_much() {
    let question = "word ".repeat(4000);
    let done = ask(&[&golden("images/a.png"), &question]).expect(1);
    assert!(
        done.err.contains("2048") && done.err.contains("more than"),
        "{}",
        done.err
    );
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let command = Mobilevlm::new();
    let mut child = command
        .command()
        .args(["man"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = crate::Done::new(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(done.err, "");
}

#[test]
fn a_chat_from_a_pipe_remembers_and_resets() {
    let command = Mobilevlm::new();
    let chat = |lines: &str| {
        let arguments = [
            "chat",
            "-m",
            &golden("checkpoint"),
            "--max-new-tokens",
            "12",
            &golden("images/b.jpg"),
        ];
        command
            .run_with_input(&arguments, lines.as_bytes())
            .expect(0)
            .out
    };
    let once = chat("A dog?\n");
    let first = ask(&[&golden("images/b.jpg"), "A dog?", "--max-new-tokens", "12"])
        .expect(0)
        .out;
    assert_eq!(once, first);
    let other = format!("/image {}\nA dog?\n", golden("images/c.png"));
    let again = chat(&format!(
        "A dog?\n/reset\n/image {}\nA dog?\n",
        golden("images/b.jpg")
    ));
    assert_eq!(again, format!("{first}{first}"));
    assert!(chat(&format!("A dog?\n/reset\n{other}")).starts_with(&first));
}

#[test]
#[cfg(unix)]
fn processes_share_the_state_of_the_system_prompt() {
    let command = Mobilevlm::new();
    let caches = tempfile::tempdir().unwrap();
    let states = caches.path().join("mobilevlm/states");
    let (picture, model) = (golden("images/a.png"), golden("checkpoint"));
    let start = |more: &[&str]| {
        let mut command = command.command();
        command
            .env("XDG_CACHE_HOME", caches.path())
            .args(["ask", "--json", &picture, "What is this?", "-m", &model])
            .args(["--max-new-tokens", "6"])
            .args(more)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let end = |child: std::process::Child| {
        crate::Done::new(child.wait_with_output().unwrap())
            .expect(0)
            .json()
    };
    let files = || std::fs::read_dir(&states).map_or(0, |files| files.count());

    let without = end(start(&["--no-state-cache"]));
    assert_eq!((&without["cached_tokens"], files()), (&Value::from(0), 0));
    let together: Vec<_> = (0..4).map(|_| start(&[])).collect();
    for child in together {
        assert_eq!(end(child)["ids"], without["ids"]);
    }
    assert_eq!(files(), 1);
    let with = end(start(&[]));
    assert!(with["cached_tokens"].as_u64().unwrap() > 5, "{with}");
    assert_eq!(with["ids"], without["ids"]);
    assert_eq!(end(start(&["--no-state-cache"]))["cached_tokens"], 0);
}

#[test]
fn guessing_can_be_switched_off_and_changes_nothing() {
    let arguments = ["--json", &golden("images/a.png"), "Tell me a long story."];
    let with = ask(&arguments).expect(0).json();
    let without = ask(&[&arguments[..], &["--no-prompt-lookup"]].concat())
        .expect(0)
        .json();
    assert_eq!(without["timings"]["drafted_tokens"], 0);
    assert_eq!(with["ids"], without["ids"]);
}
