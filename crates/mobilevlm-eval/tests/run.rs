//! Whole runs of the benchmarks on the recorded data, with the micro model that the repository
//! carries.

use std::path::{Path, PathBuf};

use mobilevlm::{CancelToken, Chat, GenerateOptions, Model, OpenOptions, Picture};
use mobilevlm_eval::run::{
    ANSWERS_FILE, ModelIdentity, Plan, Run, RunError, Shard, decode, merge, picture_bytes,
};
use mobilevlm_eval::{BENCHMARKS, Crop, answer_text, benchmark, questions};
use mobilevlm_processor::{Aspect, Preprocessor};
use mobilevlm_testing::micro_golden;
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn model(threads: usize) -> Model {
    let options = OpenOptions {
        threads: Some(threads),
        ..OpenOptions::default()
    };
    Model::open(&micro_golden("checkpoint"), &options).unwrap()
}

fn identity() -> ModelIdentity {
    let path = micro_golden("checkpoint");
    ModelIdentity::read("golden/micro", &path, &Default::default())
}

/// A run of all questions by default.
fn run<'a>(
    model: &'a Model,
    identity: &'a ModelIdentity,
    plan: &'a Plan,
    out: &'a Path,
) -> Run<'a> {
    Run {
        model,
        identity,
        plan,
        out,
        shard: None,
        batch: 8,
        cancel: CancelToken::new(),
    }
}

fn plans() -> Vec<Plan> {
    let plan = |benchmark| Plan::new(benchmark, &golden(), false).unwrap();
    BENCHMARKS.iter().copied().map(plan).collect()
}

fn answers(run: &Run<'_>) -> String {
    let outcome = run.prepare().unwrap().run(&mut |_, _| {}).unwrap();
    std::fs::read_to_string(outcome.folder.join(ANSWERS_FILE)).unwrap()
}

#[test]
fn answers_are_those_of_each_question_alone() {
    let (model, identity) = (model(2), identity());
    for plan in plans() {
        let out = tempfile::tempdir().unwrap();
        let answers = answers(&run(&model, &identity, &plan, out.path()));
        let answers: Vec<&str> = answers.lines().collect();
        let questions = questions(plan.benchmark(), &golden(), false).unwrap();
        assert_eq!(answers.len(), questions.len());
        for (answer, question) in answers.iter().zip(&questions) {
            let picture = question.picture.as_ref().map(|source| {
                let image = decode(&picture_bytes(source, &plan.data().folder).unwrap()).unwrap();
                match question.crop {
                    Crop::Model => Picture::from_image(image),
                    Crop::Centre => Picture::from_prepared(
                        Preprocessor {
                            aspect: Aspect::Square,
                            ..model.preprocessor().clone()
                        }
                        .prepare(&image),
                    ),
                }
            });
            let options = GenerateOptions {
                max_new_tokens: question.max_new_tokens,
                ..GenerateOptions::default()
            };
            let alone = Chat::new(&model)
                .ask(picture.as_slice(), &question.text, &options, &mut |_| {
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
            let answer: Value = serde_json::from_str(answer).unwrap();
            assert_eq!(answer["text"], answer_text(&alone.text), "{}", question.id);
        }
    }
}

#[test]
fn answers_depend_on_neither_batch_nor_threads() {
    let identity = identity();
    for plan in plans() {
        let mut first = None;
        for (threads, batch) in [(1, 1), (2, 3), (3, 16)] {
            let model = model(threads);
            let out = tempfile::tempdir().unwrap();
            let mut run = run(&model, &identity, &plan, out.path());
            run.batch = batch;
            let answers = answers(&run);
            assert_eq!(*first.get_or_insert_with(|| answers.clone()), answers);
        }
    }
}

/// All files below a folder with their bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn parts_merge_to_the_bytes_of_a_single_run() {
    let (model, identity, plans) = (model(2), identity(), plans());
    let (single, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = [shared.path().to_owned()];
    let refused = |expected: &[&str]| {
        let error = merge(&runs, shared.path()).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    refused(&["1-of-3"]);
    for plan in &plans {
        answers(&run(&model, &identity, plan, single.path()));
        for index in [3, 1] {
            let mut run = run(&model, &identity, plan, shared.path());
            run.shard = Shard::new(index, 3);
            answers(&run);
        }
    }
    refused(&["missing: 2/3", BENCHMARKS[0].name()]);
    for plan in &plans {
        let mut run = run(&model, &identity, plan, shared.path());
        run.shard = Shard::new(2, 3);
        answers(&run);
    }

    // A part twice, under another number and under its own.
    let name = BENCHMARKS[0].name();
    let part = |index: usize| {
        shared
            .path()
            .join(format!("shards/{index}-of-3"))
            .join(name)
    };
    let content = files(&part(1));
    let copy = |to: &Path| {
        for (path, bytes) in &content {
            std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
        }
    };
    let second = files(&part(2));
    copy(&part(2));
    refused(&["1/3 is there twice", "1-of-3", "2-of-3"]);
    second
        .iter()
        .for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());

    // A part of which the last line is missing.
    let path = part(2).join(ANSWERS_FILE);
    let lines = std::fs::read_to_string(&path).unwrap();
    let half = lines.len() - 5;
    std::fs::write(&path, &lines[..half]).unwrap();
    refused(&["2/3 is not finished"]);
    std::fs::write(&path, &lines).unwrap();

    merge(&runs, shared.path()).unwrap();
    for benchmark in BENCHMARKS {
        let folder = |run: &tempfile::TempDir| run.path().join(benchmark.name());
        let content = |folder: &Path| -> Vec<Vec<u8>> {
            files(folder).into_iter().map(|(_, bytes)| bytes).collect()
        };
        assert_eq!(content(&folder(&single)), content(&folder(&shared)));
    }
}

#[test]
fn another_model_data_set_or_file_is_not_mixed_in() {
    let (model, identity) = (model(2), identity());
    let gqa = benchmark("gqa").unwrap();
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy_folder(&golden().join("gqa"), data.path());
    let plan = Plan::new(gqa, data.path(), false).unwrap();
    let mut run = run(&model, &identity, &plan, out.path());
    let whole = answers(&run);
    // Nothing is left to do, and nothing is done.
    assert_eq!(answers(&run), whole);

    let other = ModelIdentity {
        sha256: "0".repeat(64),
        ..identity.clone()
    };
    run.identity = &other;
    let error = run.prepare().err().unwrap().to_string();
    assert!(
        error.contains("model's SHA-256") && error.contains("--out"),
        "{error}"
    );
    run.identity = &identity;

    let file = data.path().join("llava_gqa_testdev_balanced.jsonl");
    let questions = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, questions.replacen('?', "??", 1)).unwrap();
    let changed = Plan::new(gqa, data.path(), false).unwrap();
    run.plan = &changed;
    let error = run.prepare().err().unwrap().to_string();
    assert!(error.contains("data's SHA-256"), "{error}");
    run.plan = &plan;

    let path = out.path().join("gqa").join(ANSWERS_FILE);
    let mut lines: Vec<&str> = whole.split_inclusive('\n').collect();
    lines.swap(3, 4);
    std::fs::write(&path, lines.concat()).unwrap();
    let error = run.prepare().err().unwrap().to_string();
    assert!(error.contains("answers.jsonl: line 4: "), "{error}");

    std::fs::remove_file(out.path().join("gqa/record.json")).unwrap();
    assert!(matches!(run.prepare(), Err(RunError::Foreign(_))));
}

#[test]
fn missing_and_broken_pictures_are_named() {
    let (model, identity) = (model(2), identity());
    let gqa = benchmark("gqa").unwrap();
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy_folder(&golden().join("gqa"), data.path());
    let all = questions(gqa, data.path(), false).unwrap();
    let picture = all[5].picture.as_ref().unwrap();
    let path = data.path().join(picture.name());
    let first = all
        .iter()
        .position(|question| question.picture.as_ref() == Some(picture));
    let first = first.unwrap();

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let plan = Plan::new(gqa, data.path(), false).unwrap();
    let mut run = run(&model, &identity, &plan, out.path());
    let error = run.prepare().unwrap().run(&mut |_, _| {}).unwrap_err();
    let error = error.to_string();
    let place = format!("gqa: question {}, picture {}", first + 1, picture.name());
    assert!(error.contains(&place), "{error}");
    // What was asked before it is answered.
    let answers_file = out.path().join("gqa").join(ANSWERS_FILE);
    let there = std::fs::read_to_string(&answers_file).unwrap();
    assert_eq!(there.lines().count(), first);

    std::fs::remove_file(&path).unwrap();
    let error = Plan::new(gqa, data.path(), false)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains(&picture.name()) && error.contains("from "),
        "{error}"
    );

    let other = tempfile::tempdir().unwrap();
    let partial = Plan::new(gqa, data.path(), true).unwrap();
    assert_eq!(partial.missing(), [picture.name()]);
    run.out = other.path();
    run.plan = &partial;
    let outcome = run.prepare().unwrap().run(&mut |_, _| {}).unwrap();
    let left_out = outcome.record.data.left_out;
    let without = all
        .iter()
        .filter(|question| question.picture.as_ref() == Some(picture));
    assert_eq!(left_out, without.count());
    assert_eq!(outcome.questions, all.len() - left_out);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}
