//! Files that are not what they should be: each is told with its name and line, and nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use mobilevlm_eval::{Answers, BENCHMARKS, Score, benchmark, questions, score};

/// A copy of a benchmark's recorded cases that can be damaged.
struct Copy {
    task: &'static str,
    folder: tempfile::TempDir,
}

fn golden(task: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(task)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}

impl Copy {
    fn new(task: &'static str) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        copy(&golden(task), folder.path());
        Copy { task, folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(golden(self.task).join(file)).unwrap()
    }

    fn score(&self, partial: bool) -> Result<Score, String> {
        let task = benchmark(self.task).unwrap();
        Answers::read(&self.path("answers.jsonl"))
            .and_then(|answers| score(task, self.folder.path(), &answers, partial))
            .map_err(|error| error.to_string())
    }

    /// Scores with another content of a file, which is restored.
    fn with(&self, file: &str, content: impl AsRef<[u8]>) -> Result<Score, String> {
        fs::write(self.path(file), content).unwrap();
        let found = self.score(false);
        fs::copy(golden(self.task).join(file), self.path(file)).unwrap();
        found
    }

    fn refuses(&self, file: &str, content: impl AsRef<[u8]>, expected: &[&str]) {
        let place = format!("{} {file}", self.task);
        let error = match self.with(file, content) {
            Ok(_) => panic!("{place}: scored; expected {expected:?}"),
            Err(error) => error,
        };
        for part in expected {
            assert!(
                error.contains(part),
                "{place}: expected {part:?} in {error}"
            );
        }
    }
}

#[test]
fn questions_and_labels_of_every_kind_of_damage() {
    for (task, files) in [
        (
            "gqa",
            &[
                "llava_gqa_testdev_balanced.jsonl",
                "testdev_balanced_questions.json",
            ][..],
        ),
        (
            "sqa",
            &["llava_test_CQM-A.json", "pid_splits.json", "problems.json"],
        ),
        (
            "textvqa",
            &["llava_textvqa_val_v051_ocr.jsonl", "TextVQA_0.5.1_val.json"],
        ),
        (
            "pope",
            &["llava_pope_test.jsonl", "coco/coco_pope_random.json"],
        ),
        ("mme", &["llava_mme.jsonl", "images/color/3334.txt"]),
        ("mmbench", &["mmbench_dev_en_20231003.tsv"]),
        ("seed_bench", &["llava-seed-bench.jsonl", "SEED-Bench.json"]),
    ] {
        let copy = Copy::new(task);
        for file in files {
            let whole = copy.read(file);
            let bytes = whole.as_bytes();
            let name = file.rsplit('/').next().unwrap();
            let half = &bytes[..bytes.len() / 2];
            // A cut table or text file can end with a whole row.
            if file.ends_with("json") || file.ends_with("jsonl") {
                copy.refuses(file, half, &[name, "line "]);
                for wrong in ["3", "\"no\"", "[[", "[3]", "null", "{\"a\": 1}"] {
                    copy.refuses(file, wrong, &[name]);
                }
            }
            let middle = bytes.len() / 2;
            let latin = [&bytes[..middle], b"\xff\xfe", &bytes[middle..]].concat();
            copy.refuses(file, latin, &[name, "line "]);
            if task != "mme" || name.ends_with("jsonl") {
                copy.refuses(file, "", &[]);
            }
        }
        assert!(copy.score(false).is_ok(), "restored");
    }
}

#[test]
fn rows_that_are_wrong_are_named() {
    let edit = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let first_twice = |text: &str| {
        let first = text.lines().next().unwrap();
        format!("{text}{first}\n")
    };

    let gqa = Copy::new("gqa");
    let file = "llava_gqa_testdev_balanced.jsonl";
    let text = gqa.read(file);
    gqa.refuses(
        file,
        first_twice(&text),
        &["line 71", "\"20027047\" stands in line 1 already"],
    );
    gqa.refuses(
        file,
        edit(&text, "\"image\"", "\"img\""),
        &["line 1", "missing field `image`"],
    );
    gqa.refuses(
        file,
        edit(&text, "\"20027047\"", "1.5"),
        &["line 1", "column"],
    );
    let file = "testdev_balanced_questions.json";
    gqa.refuses(
        file,
        edit(&gqa.read(file), "\"isBalanced\": true", "\"isBalanced\": 1"),
        &[file, "line 1", "expected a boolean"],
    );

    let sqa = Copy::new("sqa");
    let file = "problems.json";
    let text = sqa.read(file);
    sqa.refuses(
        file,
        edit(&text, "\"answer\": 0", "\"answer\": 9"),
        &[file, "\"602\"", "answer 9"],
    );
    sqa.refuses(
        file,
        edit(&text, "\"602\":", "\"603\":"),
        &[file, "no question \"602\""],
    );
    let file = "pid_splits.json";
    sqa.refuses(
        file,
        edit(&sqa.read(file), "\"792\"", "\"602\""),
        &["\"602\"", "twice"],
    );
    let file = "llava_test_CQM-A.json";
    sqa.refuses(
        file,
        edit(&sqa.read(file), "\"8571\"", "\"16728\""),
        &[file, "entry 2"],
    );

    let textvqa = Copy::new("textvqa");
    let file = "TextVQA_0.5.1_val.json";
    textvqa.refuses(
        file,
        edit(&textvqa.read(file), "[\"Norvik\", ", "["),
        &[file, "question 34602 has 9 answers; expected 10"],
    );

    let pope = Copy::new("pope");
    let file = "llava_pope_test.jsonl";
    let text = pope.read(file);
    pope.refuses(
        file,
        edit(&text, "\"adversarial\"", "\"hard\""),
        &["line 1", "\"hard\""],
    );
    pope.refuses(
        file,
        first_twice(&text),
        &["line 77", "stands in line 1 already"],
    );
    let file = "coco/coco_pope_random.json";
    let text = pope.read(file);
    let version = "e3e39262c85a6a83f26cf5094022a782cb0df58d";
    pope.refuses(
        file,
        first_twice(&text),
        &["coco_pope_random.json", "23 labels", version],
    );
    pope.refuses(
        file,
        edit(&text, "teapot", "kettle"),
        &["line 1", "teapot", version],
    );
    pope.refuses(
        file,
        edit(&text, "\"yes\"", "\"maybe\""),
        &["line 1", "`maybe`"],
    );

    let mme = Copy::new("mme");
    let file = "images/color/3334.txt";
    mme.refuses(
        file,
        edit(&mme.read(file), "\t", " "),
        &["3334.txt", "line 1", "a tab"],
    );
    mme.refuses(
        file,
        edit(&mme.read(file), "\tYes", "\tMaybe"),
        &["3334.txt", "Yes or No"],
    );
    let file = "llava_mme.jsonl";
    mme.refuses(
        file,
        edit(
            &mme.read(file),
            "\"code_reasoning/0426.png\"",
            "\"0426.png\"",
        ),
        &["line 1", "TASK/FILE"],
    );

    let mmbench = Copy::new("mmbench");
    let file = "mmbench_dev_en_20231003.tsv";
    let text = mmbench.read(file);
    mmbench.refuses(file, first_twice(&text), &[file, "line 1", "index"]);
    mmbench.refuses(
        file,
        edit(&text, "\tl2-category", "\tl3"),
        &["line 1", "l2-category"],
    );
    mmbench.refuses(
        file,
        edit(&text, "30986\t", "x\t"),
        &["line 2", "\"x\"; expected a whole"],
    );
    mmbench.refuses(
        file,
        edit(&text, "40043\t", "30986\t"),
        &["line 3", "30986", "twice"],
    );
    mmbench.refuses(
        file,
        edit(&text, "\tfence\tA\t", "\tfence\t\t"),
        &["line 2", "\"answer\""],
    );
    mmbench.refuses(
        file,
        edit(&text, "\tfence\tA\t", "\tfence\tF\t"),
        &["line 2", "\"F\""],
    );
    mmbench.refuses(
        file,
        edit(&text, "\tfence\tA\t", "\tA\t"),
        &["line 2", "fields; expected 14"],
    );
}

#[test]
fn answers_for_another_benchmark_are_refused() {
    for task in BENCHMARKS {
        let copy = Copy::new(task.name());
        for other in BENCHMARKS
            .iter()
            .filter(|other| other.name() != task.name())
        {
            fs::copy(
                golden(other.name()).join("answers.jsonl"),
                copy.path("answers.jsonl"),
            )
            .unwrap();
            let error = copy.score(false).map(|_| ()).unwrap_err();
            assert!(error.contains("answers.jsonl: line 1: "), "{error}");
            assert!(
                error.contains(&format!("no question of {}", task.name())),
                "{error}"
            );
        }
    }
}

#[test]
fn answers_without_a_prompt_are_refused_where_it_is_needed() {
    for (task, is_needed) in [
        ("gqa", false),
        ("sqa", true),
        ("textvqa", true),
        ("pope", false),
        ("mme", true),
        ("mmbench", false),
    ] {
        let copy = Copy::new(task);
        let without = copy
            .read("answers.jsonl")
            .replace("\"prompt\":", "\"ignored\":");
        match copy.with("answers.jsonl", without) {
            Ok(score) => {
                assert!(!is_needed, "{task}");
                assert_eq!(score.notes, [""; 0]);
            }
            Err(error) => {
                assert!(is_needed, "{task}: {error}");
                assert!(error.contains("missing field `prompt`"), "{error}");
                assert!(error.contains("line "), "{error}");
            }
        }
    }
}

#[test]
fn a_part_of_the_data_is_scored_on_request() {
    let pope = Copy::new("pope");
    fs::remove_file(pope.path("coco/coco_pope_random.json")).unwrap();
    let error = pope.score(false).map(|_| ()).unwrap_err();
    assert!(
        error.contains("\n  coco/coco_pope_random.json\n"),
        "{error}"
    );
    assert!(
        error.contains("https://github.com/AoiDragon/POPE"),
        "{error}"
    );
    let part = pope.score(true).unwrap();
    assert_eq!(part.partial.unwrap().scored, 54);
    // The mean of the two splits that are left, from `expected.json`.
    let mean = 50.0 * (0.7741935483870969 + 0.7741935483870968);
    assert!((part.paper_table_figure.unwrap() - mean).abs() < 1e-9);
    assert!(
        part.notes.iter().any(|note| note.contains("random")),
        "{:?}",
        part.notes
    );

    let mme = Copy::new("mme");
    fs::remove_dir_all(mme.path("images/artwork")).unwrap();
    fs::remove_file(mme.path("images/color/3334.txt")).unwrap();
    let error = mme.score(false).map(|_| ()).unwrap_err();
    for name in [
        "images/artwork/000000015183.txt",
        "images/color/3334.txt",
        "MME_Benchmark",
    ] {
        assert!(error.contains(name), "{error}");
    }
    let part = mme.score(true).unwrap();
    assert_eq!(part.partial.unwrap().scored, 62 - 4 - 2);
    assert_eq!(part.figures.number("tasks.artwork.acc"), None);
    assert_eq!(part.figures.number("tasks.color.questions"), Some(4.0));
    fs::remove_dir_all(mme.path("images")).unwrap();
    let error = mme.score(false).map(|_| ()).unwrap_err();
    assert!(error.contains("\n  images\n"), "{error}");

    // Whole data and whole answers are no part.
    assert_eq!(Copy::new("sqa").score(true).unwrap().partial, None);
}

#[test]
fn notes_say_what_is_wrong_with_the_answers() {
    let gqa = Copy::new("gqa");
    let lines: Vec<String> = gqa
        .read("answers.jsonl")
        .lines()
        .map(str::to_owned)
        .collect();
    let notes = |lines: &[String]| gqa.with("answers.jsonl", lines.join("\n")).unwrap().notes;
    let mut reversed = lines.clone();
    reversed.swap(3, 4);
    assert!(
        notes(&reversed)[0].contains("line 5 belongs before"),
        "{:?}",
        notes(&reversed)
    );
    let doubled = [lines.clone(), vec![lines[0].clone(), lines[6].clone()]].concat();
    assert!(
        notes(&doubled)[0].contains("line 71, 72"),
        "{:?}",
        notes(&doubled)
    );
    let mut unknown = lines.clone();
    unknown.push(lines[0].replace("20027047", "9"));
    assert!(
        notes(&unknown)[0].contains("line 71; the first is \"9\""),
        "{:?}",
        notes(&unknown)
    );
    let mut other = lines.clone();
    other[1] = other[1].replace("single word", "short word");
    assert!(
        notes(&other)[0].contains("another prompt"),
        "{:?}",
        notes(&other)
    );
    // Unbalanced: the official script does not miss it.
    let mut missing = lines.clone();
    missing.remove(4);
    assert!(
        notes(&missing)[0].contains("1 question without an answer"),
        "{:?}",
        notes(&missing)
    );

    let pope = Copy::new("pope");
    let mut lines: Vec<String> = pope
        .read("answers.jsonl")
        .lines()
        .map(str::to_owned)
        .collect();
    lines.remove(1);
    let score = pope.with("answers.jsonl", lines.join("\n")).unwrap();
    let shifted = score
        .notes
        .iter()
        .find(|note| note.contains("paired by position"))
        .unwrap();
    assert!(
        shifted.starts_with("adversarial") && shifted.contains("line 2 on"),
        "{shifted}"
    );
}

#[test]
fn the_folder_of_a_benchmark_is_found_from_the_one_above() {
    let folder = tempfile::tempdir().unwrap();
    for task in BENCHMARKS {
        let error = questions(*task, folder.path(), false)
            .map(|_| ())
            .unwrap_err();
        let error = error.to_string();
        for file in task.files() {
            assert!(
                error.contains(file.path) && error.contains(file.from),
                "{error}"
            );
        }
        copy(&golden(task.name()), &folder.path().join(task.name()));
        assert!(questions(*task, folder.path(), false).is_ok());
    }
}

#[test]
fn damage_at_random_places_never_panics_and_names_its_file() {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for (task, files) in [
        (
            "gqa",
            &[
                "llava_gqa_testdev_balanced.jsonl",
                "testdev_balanced_questions.json",
            ][..],
        ),
        ("sqa", &["llava_test_CQM-A.json", "problems.json"]),
        (
            "textvqa",
            &["llava_textvqa_val_v051_ocr.jsonl", "TextVQA_0.5.1_val.json"],
        ),
        (
            "pope",
            &["llava_pope_test.jsonl", "coco/coco_pope_random.json"],
        ),
        ("mme", &["llava_mme.jsonl", "images/color/3334.txt"]),
        ("mmbench", &["mmbench_dev_en_20231003.tsv"]),
        ("seed_bench", &["llava-seed-bench.jsonl", "SEED-Bench.json"]),
    ] {
        let copy = Copy::new(task);
        for file in files.iter().chain(&["answers.jsonl"]) {
            let whole = copy.read(file).into_bytes();
            for _ in 0..10 {
                let mut damaged = whole.clone();
                let place = random(damaged.len());
                match random(4) {
                    0 => damaged.truncate(place),
                    1 => damaged[place] = random(256) as u8,
                    2 => damaged.insert(place, b"\"{}[]\t\n,:\\"[random(10)]),
                    _ => _ = damaged.drain(place..(place + random(40)).min(whole.len())),
                }
                if let Err(error) = copy.with(file, damaged) {
                    let folder = copy.folder.path().display().to_string();
                    assert!(error.starts_with(&folder), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 70, "{refused}");
}
