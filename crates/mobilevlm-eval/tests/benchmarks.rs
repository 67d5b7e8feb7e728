//! Questions, answers files and scores against what upstream's programs and the official scripts
//! made of the same items: `golden/README.md`.

use std::path::{Path, PathBuf};

use mobilevlm_eval::{
    AnswerLine, Answers, BENCHMARKS, Benchmark, Score, answer_text, benchmark, questions, score,
    write_answer,
};
use mobilevlm_processor::{Template, Turn};
use serde_json::{Value, json};

fn golden(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(below)
}

fn golden_json(task: &dyn Benchmark, file: &str) -> Value {
    let path = golden(task.name()).join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn score_file(task: &dyn Benchmark, path: &Path, partial: bool) -> Result<Score, String> {
    Answers::read(path)
        .and_then(|answers| score(task, &golden(""), &answers, partial))
        .map_err(|error| error.to_string())
}

/// Equal, numbers within 1e-9.
fn assert_close(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-9, "{place}: {a}, expected {b}");
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                assert_close(&found[key], &expected[key], &format!("{place}.{key}"));
                assert!(a.contains_key(key) && b.contains_key(key), "{place}.{key}");
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                assert_close(a, b, &format!("{place}[{index}]"));
            }
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

#[test]
fn questions_are_upstreams() {
    for task in BENCHMARKS {
        let recorded = golden_json(*task, "prompts.json");
        let questions = questions(*task, &golden(task.name()), false).unwrap();
        let items = recorded["items"].as_array().unwrap();
        assert_eq!(questions.len(), items.len());
        for (question, item) in questions.iter().zip(items) {
            assert_eq!(json!(question.id), item["question_id"]);
            assert_eq!(question.prompt, item["answers_file_prompt"]);
            let picture = question.picture.as_ref().map(|picture| picture.name());
            assert_eq!(json!(picture), item["picture"]);
            let turn = Turn {
                pictures: picture.iter().count(),
                question: &question.text,
                answer: None,
            };
            assert_eq!(Template::v1().render(&[turn]), item["prompt"]);
            let most = &recorded["generation"][0]["max_new_tokens"];
            assert_eq!(json!(question.max_new_tokens), *most);
        }
    }
}

#[test]
fn answers_are_written_as_upstream_writes_them() {
    for task in BENCHMARKS {
        let recorded = golden_json(*task, "prompts.json");
        let lines = std::fs::read_to_string(golden(task.name()).join("answers.jsonl")).unwrap();
        let questions = questions(*task, &golden(""), false).unwrap();
        assert_eq!(questions.len(), lines.lines().count());
        let items = recorded["items"].as_array().unwrap();
        for ((question, item), expected) in questions.iter().zip(items).zip(lines.lines()) {
            // These two are upstream's own.
            let fields: Value = serde_json::from_str(expected).unwrap();
            let text = |key: &str| fields[key].as_str().unwrap();
            let line = AnswerLine {
                id: &question.id,
                prompt: &question.prompt,
                text: answer_text(item["raw_text"].as_str().unwrap()),
                choices: question.choices.as_ref(),
                answer_id: text("answer_id"),
                model_id: text("model_id"),
            };
            let mut written = Vec::new();
            write_answer(&mut written, &line).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), format!("{expected}\n"));
        }
    }
}

#[test]
fn scores_are_the_official_ones() {
    for task in BENCHMARKS {
        let expected = golden_json(*task, "expected.json");
        let score = score_file(*task, &golden(task.name()).join("answers.jsonl"), false).unwrap();
        let found = json!({
            "figures": score.figures,
            "items": score.listing,
            "paper_table_figure": score.paper_table_figure,
        });
        for key in ["paper_table_figure", "figures", "items"] {
            assert_close(
                &found[key],
                &expected[key],
                &format!("{}.{key}", task.name()),
            );
        }
        assert_eq!(score.notes, [""; 0], "{}", task.name());
        assert_eq!(score.partial, None);
        let printed = format!("{:.1}", score.paper_table_figure.unwrap());
        assert_eq!(printed, expected["paper_table_printed"]);
    }
}

/// An answers file as `variants.json` describes it.
fn edited(lines: &[Value], edit: &Value) -> Vec<Value> {
    let mut lines = lines.to_vec();
    let at = |number: &Value| number.as_u64().unwrap() as usize - 1;
    if edit["reverse"] == true {
        lines.reverse();
    }
    for number in edit["drop_lines"].as_array().into_iter().flatten().rev() {
        lines.remove(at(number));
    }
    if !edit["append_copy_of_line"].is_null() {
        let mut copy = lines[at(&edit["append_copy_of_line"])].clone();
        if !edit["with_text"].is_null() {
            copy["text"] = edit["with_text"].clone();
        }
        lines.push(copy);
    }
    if !edit["append"].is_null() {
        lines.push(edit["append"].clone());
    }
    for (number, text) in edit["set_text"].as_object().into_iter().flatten() {
        lines[number.parse::<usize>().unwrap() - 1]["text"] = text.clone();
    }
    if !edit["set_all_texts"].is_null() {
        for line in &mut lines {
            line["text"] = edit["set_all_texts"].clone();
        }
    }
    lines
}

#[test]
fn edited_answers_score_as_the_rule_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edited.jsonl");
    for task in BENCHMARKS {
        let lines = std::fs::read_to_string(golden(task.name()).join("answers.jsonl")).unwrap();
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let variants = golden_json(*task, "variants.json");
        let variants = variants.as_array().unwrap();
        assert_eq!(variants.len(), 9);
        for variant in variants {
            let name = format!("{} {}", task.name(), variant["name"]);
            let edit = &variant["edit_of_answers"];
            let edited: Vec<String> = edited(&lines, edit).iter().map(Value::to_string).collect();
            std::fs::write(&path, edited.join("\n")).unwrap();
            let found = score_file(*task, &path, false);
            match (&variant["rule_in_full"], found) {
                (Value::String(_), Ok(score)) => {
                    // Nothing to divide by: the command prints what there is and fails.
                    assert_eq!(score.paper_table_figure, None, "{name}");
                    assert!(
                        score.notes.iter().any(|note| note.contains("line")),
                        "{name}"
                    );
                }
                (Value::String(_), Err(error)) => {
                    assert!(error.contains(": line "), "{name}: {error}");
                }
                (rule, Ok(score)) => {
                    assert_close(&json!(score.paper_table_figure), rule, &name);
                    let is_quiet = match variant["official_scripts"].as_str() {
                        Some(said) if said.starts_with("fails") => false,
                        _ => ["set_text", "set_all_texts"]
                            .iter()
                            .any(|key| !edit[key].is_null()),
                    };
                    assert_eq!(
                        score.notes.is_empty(),
                        is_quiet,
                        "{name}: {:?}",
                        score.notes
                    );
                }
                (rule, Err(error)) => panic!("{name}: expected {rule}: {error}"),
            }
        }
    }
}

#[test]
fn a_name_is_a_benchmark() {
    for task in BENCHMARKS {
        assert_eq!(benchmark(task.name()).unwrap().name(), task.name());
    }
    assert!(benchmark("world").is_none());
}
