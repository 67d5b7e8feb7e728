//! `eval`, `merge` and `report` on the recorded benchmarks, with the micro set's model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::{Mobilevlm, golden, path};

const TASKS: [&str; 6] = ["gqa", "sqa", "textvqa", "pope", "mme", "mmbench"];

fn data() -> String {
    path(&mobilevlm_testing::workspace().join("crates/mobilevlm-eval/tests/golden"))
}

/// The arguments of a run of all benchmarks.
fn arguments(out: &Path, more: &[&str]) -> Vec<String> {
    let mut all = vec!["eval".to_owned()];
    all.extend(TASKS.map(str::to_owned));
    let model = golden("checkpoint");
    for argument in ["-m", &model, "--data", &data(), "--out", &path(out)] {
        all.push(argument.to_owned());
    }
    all.extend(more.iter().map(|argument| (*argument).to_owned()));
    all
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                all.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Lines of the answers files of the six benchmarks.
fn answered(out: &Path) -> usize {
    let count = |task: &str| {
        let lines = std::fs::read(out.join(task).join("answers.jsonl")).unwrap_or_default();
        lines.iter().filter(|byte| **byte == b'\n').count()
    };
    TASKS.into_iter().map(count).sum()
}

#[test]
fn a_run_that_was_killed_ten_times_leaves_the_same_bytes() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mobilevlm = Mobilevlm::new();
    let start = Instant::now();
    mobilevlm.run(&arguments(whole.path(), &[])).expect(0);
    let whole_run = start.elapsed().as_secs_f64();
    let total = answered(whole.path());

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut random = mobilevlm_data::Mt19937::new(now.subsec_nanos());
    let mut within = 0;
    for _ in 0..10 {
        let mut command = mobilevlm.command();
        command.args(arguments(killed.path(), &["--batch", "5"]));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let share = 0.02 + 0.13 * f64::from(random.next_u32()) / f64::from(u32::MAX);
        std::thread::sleep(Duration::from_secs_f64(share * whole_run));
        child.kill().unwrap();
        child.wait().unwrap();
        within += usize::from((1..total).contains(&answered(killed.path())));
    }
    assert!(within > 0, "no kill came while questions were asked");
    // What a kill leaves between the record's being written and its getting its name; seldom, but
    // then it would be there for ever.
    std::fs::write(killed.path().join("gqa/record.json.1.part"), "{").unwrap();
    let done = mobilevlm.run(&arguments(killed.path(), &[])).expect(0);
    assert!(done.err.contains("were answered before"), "{}", done.err);
    assert_eq!(files(whole.path()), files(killed.path()));
}

#[test]
fn three_parts_by_schedulers_merge_to_a_single_run() {
    let (single, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mobilevlm = Mobilevlm::new();
    let whole = mobilevlm
        .run(&arguments(single.path(), &["--json"]))
        .expect(0)
        .json();

    let part = |more: &[&str], variables: &[(&str, &str)]| {
        let mut command = mobilevlm.command();
        command.args(arguments(shared.path(), more));
        let done = command.envs(variables.iter().copied()).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    part(&["--shard", "3/3", "-q"], &[]);
    part(&["--shard", "/3"], &[("JOB_COMPLETION_INDEX", "1")]);
    let run = path(shared.path());
    let refused = mobilevlm.run(&["merge", &run]).expect(1);
    assert!(refused.err.contains("missing: 1/3"), "{}", refused.err);
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "7"),
        ("SLURM_ARRAY_TASK_MIN", "7"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ];
    part(&[], &slurm);

    let merged = mobilevlm.run(&["merge", &run]).expect(0);
    let lines: Vec<&str> = merged.out.lines().collect();
    assert_eq!(lines.len(), TASKS.len());
    for (line, task) in lines.iter().zip(whole["tasks"].as_array().unwrap()) {
        assert!(line.starts_with(task["task"].as_str().unwrap()), "{line}");
        if let Some(figure) = task["score"]["paper_table_figure"].as_f64() {
            assert!(line.ends_with(&format!("{figure:.1}")), "{line}");
        }
    }
    std::fs::remove_dir_all(shared.path().join("shards")).unwrap();
    assert_eq!(files(single.path()), files(shared.path()));

    let report = mobilevlm
        .run(&["report", &path(single.path()), &run, "--json"])
        .expect(0);
    let report: Value = report.json();
    assert_eq!(report["comparisons"][0]["tasks"]["gqa"]["agreement"], 1.0);
    let page = single.path().join("flipped.html");
    let arguments = [
        "report",
        &path(single.path()),
        &run,
        "--flipped",
        &path(&page),
    ];
    let table = mobilevlm.run(&arguments).expect(0).out;
    assert!(TASKS.iter().all(|task| table.contains(task)), "{table}");
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("gqa: 0 of 70")
    );
}

#[test]
fn what_makes_no_sense_is_said_before_the_model_is_opened() {
    let empty = tempfile::tempdir().unwrap();
    let nothing = path(empty.path());
    let data = data();
    for (arguments, code, expected) in [
        (vec!["eval", "gqa"], 2, "--data is missing"),
        (
            vec!["eval", "gqa", "world", "--data", &data],
            2,
            "by itself",
        ),
        (
            vec!["eval", "gqa", "--data", &data, "--limit", "3"],
            2,
            "--limit",
        ),
        (vec!["eval", "world", "--data", &data], 2, "--data"),
        (
            vec!["eval", "gqa", "--data", &data, "--shard", "4/3"],
            2,
            "2/8",
        ),
        (
            vec!["eval", "gqa", "--data", &data, "--shard", "/3"],
            2,
            "--shard 1/3",
        ),
        (
            vec!["eval", "gqa", "pope", "--data", &nothing],
            1,
            "llava_pope_test.jsonl",
        ),
        (vec!["merge", &nothing], 1, "1-of-3"),
        (vec!["merge", &nothing, &nothing], 2, "--out"),
        (vec!["report", &nothing], 1, "mobilevlm eval"),
        (
            vec!["report", &nothing, "--flipped", "x.html"],
            2,
            "two runs",
        ),
    ] {
        let done = Mobilevlm::new().run(&arguments).expect(code);
        assert!(done.err.contains(expected), "{arguments:?}: {}", done.err);
    }
}
