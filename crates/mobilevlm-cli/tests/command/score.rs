//! `score`: the recorded answers of the six benchmarks, what is refused, and what is said.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Done, Mobilevlm, copy, keys, path};

const TASKS: [&str; 6] = ["gqa", "sqa", "textvqa", "pope", "mme", "mmbench"];

/// The recorded cases.
fn cases(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../mobilevlm-eval/tests/golden")
        .join(below)
}

fn score(task: &str, data: &Path, answers: &Path, more: &[&str]) -> Done {
    let (data, answers) = (path(data), path(answers));
    let mut all = vec!["score", task, "--data", &data, "--answers", &answers];
    all.extend(more);
    Mobilevlm::new().run(&all)
}

#[test]
fn json_has_the_official_figures() {
    for task in TASKS {
        let expected: Value =
            serde_json::from_slice(&fs::read(cases(task).join("expected.json")).unwrap()).unwrap();
        let answers = cases(task).join("answers.jsonl");
        for data in [cases(""), cases(task)] {
            let done = score(task, &data, &answers, &["--json"]).expect(0);
            assert_eq!(done.err, "");
            let json = done.json();
            let names = [
                "figures",
                "items",
                "notes",
                "paper_table_figure",
                "paper_table_figure_is",
                "paper_table_printed",
                "partial",
                "task",
            ];
            assert_eq!(keys(&json), names);
            for key in ["task", "paper_table_figure_is", "paper_table_printed"] {
                assert_eq!(json[key], expected[key], "{task} {key}");
            }
            assert_eq!(json["partial"], Value::Null);
            assert_eq!(keys(&json["figures"]), keys(&expected["figures"]), "{task}");
            let figure = |json: &Value| json["paper_table_figure"].as_f64().unwrap();
            assert!((figure(&json) - figure(&expected)).abs() < 1e-9, "{task}");
        }
        let table = score(task, &cases(""), &answers, &[]).expect(0).out;
        let first = table.lines().next().unwrap();
        let printed = expected["paper_table_printed"].as_str().unwrap();
        assert!(
            first.starts_with("in the paper's table") && first.ends_with(printed),
            "{table}"
        );
        assert!(!table.contains("partial"), "{table}");
    }
}

#[test]
fn a_figure_with_nothing_to_divide_by_fails_after_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("no.jsonl");
    let lines = fs::read_to_string(cases("pope/answers.jsonl")).unwrap();
    let say_no = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["text"] = json!("No");
        line.to_string()
    };
    let lines: Vec<String> = lines.lines().map(say_no).collect();
    fs::write(&answers, lines.join("\n")).unwrap();
    let done = score("pope", &cases(""), &answers, &["--json"]).expect(1);
    let json = done.json();
    assert_eq!(json["paper_table_figure"], Value::Null);
    assert_eq!(json["figures"]["random"]["precision"], Value::Null);
    assert!(json["figures"]["random"]["accuracy"].is_f64());
    assert!(
        done.err.contains("no answer of lines 1 to 28 says yes"),
        "{}",
        done.err
    );
}

#[test]
fn missing_data_is_named_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    copy(&cases("gqa"), folder.path());
    fs::remove_file(folder.path().join("testdev_balanced_questions.json")).unwrap();
    let answers = cases("gqa/answers.jsonl");
    for partial in [&[][..], &["--partial"]] {
        let done = score("gqa", folder.path(), &answers, partial).expect(1);
        assert!(
            done.err.contains("\n  testdev_balanced_questions.json\n"),
            "{}",
            done.err
        );
        assert!(done.err.contains("benchmark_data.zip"), "{}", done.err);
    }
    let empty = folder.path().join("images");
    let done = score("mmbench", &empty, &cases("mmbench/answers.jsonl"), &[]).expect(1);
    assert!(
        done.err.contains("mmbench_dev_en_20231003.tsv"),
        "{}",
        done.err
    );
}

#[test]
fn a_part_is_marked_at_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("some.jsonl");
    for task in TASKS {
        let lines = fs::read_to_string(cases(task).join("answers.jsonl")).unwrap();
        let some: Vec<&str> = lines.lines().skip(4).collect();
        fs::write(&answers, some.join("\n")).unwrap();
        let json = score(task, &cases(""), &answers, &["--partial", "--json"])
            .expect(0)
            .json();
        let questions = some.len() + 4;
        let part = json!({"scored": some.len(), "questions": questions});
        assert_eq!(json["partial"], part, "{task}");
        assert!(json["paper_table_figure"].is_f64(), "{task}");

        let table = score(task, &cases(""), &answers, &["--partial"])
            .expect(0)
            .out;
        let mut lines = table.lines();
        let first = lines.next().unwrap();
        assert_eq!(
            first,
            format!("partial: {} of {questions} questions", some.len())
        );
        for line in lines.filter(|line| line.contains(|c: char| c.is_ascii_digit())) {
            assert!(
                line.ends_with("partial") || !line.contains("  "),
                "{task}: {line}"
            );
        }
    }
}

#[test]
fn wrong_usage_lists_the_benchmarks() {
    let done = Mobilevlm::new().run(&["score", "nothing"]).expect(2);
    for task in TASKS {
        assert!(done.err.contains(task), "{}", done.err);
    }
}
