//! Reports of runs with known answers.

use std::fs;
use std::path::{Path, PathBuf};

use mobilevlm::{CancelToken, Model, OpenOptions};
use mobilevlm_eval::report::{Report, flipped_page, markdown, svg, text};
use mobilevlm_eval::run::{ANSWERS_FILE, ModelIdentity, Plan, Run};
use mobilevlm_eval::{Answers, BENCHMARKS, score};
use mobilevlm_testing::micro_golden;
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The recorded answers to all benchmarks as a run of a model that the paper has.
fn recorded(out: &Path, paper: &str) {
    let path = micro_golden("checkpoint");
    let model = Model::open(&path, &OpenOptions::default()).unwrap();
    let identity = ModelIdentity {
        name: "recorded".to_owned(),
        sha256: String::new(),
        paper: Some(paper.to_owned()),
    };
    for benchmark in BENCHMARKS.iter().copied() {
        let plan = Plan::new(benchmark, &golden(), false).unwrap();
        let run = Run {
            model: &model,
            identity: &identity,
            plan: &plan,
            out,
            shard: None,
            batch: 1,
            cancel: CancelToken::new(),
        };
        drop(run.prepare().unwrap());
        let answers = golden().join(benchmark.name()).join(ANSWERS_FILE);
        fs::copy(answers, out.join(benchmark.name()).join(ANSWERS_FILE)).unwrap();
    }
}

#[test]
fn weights_of_one_give_the_papers_figure() {
    for benchmark in BENCHMARKS.iter().copied() {
        let path = golden().join(benchmark.name()).join(ANSWERS_FILE);
        let answers = Answers::read(&path).unwrap();
        let score = score(benchmark, &golden(), &answers, false).unwrap();
        let expected = score.paper_table_figure.unwrap();
        for weight in [1.0, 3.0] {
            let weights = vec![weight; score.items.len()];
            let found = benchmark.weighted_figure(&score.items, &weights).unwrap();
            let far = (found - expected).abs();
            assert!(far < 1e-9, "{}: {found} {expected}", benchmark.name());
        }
    }
}

#[test]
fn a_run_stands_beside_the_paper_with_intervals_around_its_figures() {
    let out = tempfile::tempdir().unwrap();
    recorded(out.path(), "MobileVLM V2 1.7B");
    let report = Report::new(&[out.path().to_owned()], None).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let run = &json["runs"][0];
    assert_eq!(run["paper"], "MobileVLM V2 1.7B");
    let mut sum = 0.0;
    for (task, paper) in [
        ("gqa", 59.3),
        ("sqa", 66.7),
        ("textvqa", 52.1),
        ("pope", 84.3),
        ("mme", 1302.8),
        ("mmbench", 57.7),
    ] {
        let measured = &run["tasks"][task];
        let recorded = fs::read(golden().join(task).join("expected.json")).unwrap();
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        let figure = number(&measured["figure"]);
        let expected = number(&recorded["paper_table_figure"]);
        assert!((figure - expected).abs() < 1e-9, "{task}");
        assert_eq!(measured["paper"], paper);
        assert!((number(&measured["difference"]) - (figure - paper)).abs() < 1e-9);
        let ends = &measured["interval"];
        let [low, high] = [0, 1].map(|at| ends[at].as_f64().expect(task));
        assert!(
            low < figure && figure < high,
            "{task}: {low} {figure} {high}"
        );
        sum += if task == "mme" { figure / 20.0 } else { figure };

        let shown = format!("{figure:.1}");
        for form in [text(&report), markdown(&report), svg(&report)] {
            assert!(
                form.contains(&shown) && form.contains(&format!("{paper}")),
                "{form}"
            );
        }
    }
    let average = run["average"]["figure"].as_f64().unwrap();
    assert!((average - sum / 6.0).abs() < 1e-9);
    assert_eq!(run["average"]["paper"], 64.2);
    // The same report whenever it is made.
    let again = Report::new(&[out.path().to_owned()], None).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
}

#[test]
fn runs_are_compared_question_by_question() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    recorded(first.path(), "none");
    recorded(second.path(), "none");
    // In the second run a right answer to GQA is wrong, and another one says the same otherwise.
    let recorded = fs::read(golden().join("gqa/expected.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&recorded).unwrap();
    let items = recorded["items"].as_array().unwrap();
    let right = |item: &&Value| item["score"] == 1.0;
    let lines: Vec<usize> = items
        .iter()
        .filter(right)
        .map(|item| item["line"].as_u64().unwrap() as usize - 1)
        .collect();
    let path = second.path().join("gqa").join(ANSWERS_FILE);
    let answers = fs::read_to_string(&path).unwrap();
    let mut answers: Vec<Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let upper = answers[lines[1]]["text"].as_str().unwrap().to_uppercase();
    answers[lines[0]]["text"] = "<b>no</b> idea & none".into();
    answers[lines[1]]["text"] = upper.into();
    let answers: Vec<String> = answers.iter().map(Value::to_string).collect();
    fs::write(&path, answers.join("\n")).unwrap();

    let folders = [first.path().to_owned(), second.path().to_owned()];
    let report = Report::new(&folders, None).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    let compared = &json["comparisons"][0]["tasks"];
    let gqa = &compared["gqa"];
    assert_eq!((&gqa["gained"], &gqa["lost"]), (&0.into(), &1.into()));
    let questions = gqa["questions"].as_f64().unwrap();
    let agreement = gqa["agreement"].as_f64().unwrap();
    assert!((agreement - (questions - 1.0) / questions).abs() < 1e-12);
    assert!(gqa["difference"].as_f64().unwrap() < 0.0);
    assert!(gqa["interval"][0].as_f64().unwrap() < 0.0);
    assert_eq!(gqa["interval"][1], 0.0);
    assert_eq!(compared["mme"]["agreement"], 1.0);
    assert_eq!(compared["mme"]["interval"], serde_json::json!([0.0, 0.0]));

    let page = flipped_page(&report);
    assert!(
        page.contains("&lt;b&gt;no&lt;/b&gt; idea &amp; none"),
        "{page}"
    );
    assert_eq!(page.matches("<img ").count(), 1);
    assert!(page.contains("src=\"data:image/jpeg;base64,"));
    assert!(
        !page.contains("http"),
        "the page needs nothing from elsewhere"
    );
    assert_eq!(page.matches("<tr class=\"wrong\">").count(), 1);
    assert_eq!(page.matches("<tr class=\"right\">").count(), 1);
}

#[test]
fn a_folder_without_a_run_and_data_that_moved_are_said() {
    let empty = tempfile::tempdir().unwrap();
    let report = |folder: &Path, data: Option<&Path>| {
        let report = Report::new(&[folder.to_owned()], data);
        report.err().unwrap().to_string()
    };
    let error = report(empty.path(), None);
    assert!(error.contains("mobilevlm eval"), "{error}");
    let out = tempfile::tempdir().unwrap();
    recorded(out.path(), "none");
    let error = report(out.path(), Some(empty.path()));
    assert!(error.contains("missing"), "{error}");
}
