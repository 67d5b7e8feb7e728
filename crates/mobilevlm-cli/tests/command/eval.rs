//! `eval`: the figures of the micro set's model, which knows nothing, and its answers.

use std::fs;

use serde_json::Value;

use crate::{Mobilevlm, golden, keys, path};

#[test]
fn figures_are_those_of_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answers.jsonl");
    let model = golden("checkpoint");
    let command = |more: &[&str]| {
        let mut all = vec![
            "eval", "world", "-m", &model, "--limit", "3", "--size", "64",
        ];
        all.extend(more);
        Mobilevlm::new().run(&all).expect(0)
    };
    let answers = path(&file);
    let json = command(&["--json", "--answers", &answers]).json();
    assert_eq!(keys(&json), ["figures", "model", "n"]);
    assert_eq!(json["n"], 21);
    let figures = &json["figures"];
    let kinds = [
        "choice",
        "colour",
        "comparison",
        "counting",
        "existence",
        "reading",
        "relation",
    ];
    assert_eq!(keys(figures), kinds);

    let lines: Vec<Value> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 21);
    for kind in kinds {
        let figures = &figures[kind];
        assert_eq!(keys(figures), ["accuracy", "majority", "n", "text_only"]);
        assert_eq!(figures["n"], 3);
        let right = |key: &str| {
            let of_kind = lines.iter().filter(|line| line["kind"] == kind);
            let right = of_kind.filter(|line| {
                let answer = |key: &str| line[key].as_str().unwrap().trim().to_lowercase();
                answer(key).trim_end_matches('.') == answer("expected")
            });
            Some(right.count() as f64 / 3.0)
        };
        assert_eq!(figures["accuracy"].as_f64(), right("answer"));
        assert_eq!(figures["text_only"].as_f64(), right("answer_to_grey"));
        assert!(figures["majority"].as_f64() >= Some(1.0 / 3.0));
    }

    let table = command(&[]).out;
    assert_eq!(table.lines().count(), 1 + kinds.len());
    let other = command(&["--seed", "1", "--answers", &answers]).out;
    assert_eq!(other.lines().count(), 1 + kinds.len());
    let other = fs::read_to_string(&file).unwrap();
    assert!(
        other
            .lines()
            .next()
            .unwrap()
            .contains("held-out-1-existence-0")
    );
}

#[test]
fn what_makes_no_sense_is_said() {
    let model = golden("checkpoint");
    for (arguments, code, expected) in [
        (vec!["eval", "-m", &model], 2, "TASK"),
        (vec!["eval", "nothing", "-m", &model], 2, "world"),
        (
            vec!["eval", "world", "-m", &model, "--limit", "0"],
            2,
            "--limit",
        ),
        (
            vec!["eval", "world", "-m", &model, "--size", "3"],
            1,
            "from 16 to 4096",
        ),
    ] {
        let done = Mobilevlm::new().run(&arguments).expect(code);
        assert!(done.err.contains(expected), "{arguments:?}: {}", done.err);
    }
}
