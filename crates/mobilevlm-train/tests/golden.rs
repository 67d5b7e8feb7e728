//! What upstream's own code recorded when it trained, repeated; and copies of the record with
//! mistakes, which must be found.

use std::fs;
use std::path::Path;

use mobilevlm_testing::shared_golden;
use mobilevlm_train::{CheckReport, check};

/// Everything that is not as recorded, in words.
fn failures(report: &CheckReport) -> Vec<String> {
    let failed = report.items.iter().filter(|item| !item.passed);
    failed
        .map(|item| {
            let place = item.place.as_deref().unwrap_or("nothing compared");
            format!(
                "{}: {} > {} at {place}",
                item.name, item.largest, item.tolerance
            )
        })
        .collect()
}

/// The names of the items that failed.
fn failed(folder: &Path) -> Vec<String> {
    let report = check(folder, &mut |_, _, _| {});
    let items = report.items.into_iter().filter(|item| !item.passed);
    let names: Vec<String> = items.map(|item| item.name).collect();
    assert_eq!(names.is_empty(), report.passed);
    names
}

/// A copy that can be changed.
fn copied(folder: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            match from.is_dir() {
                true => copy(&from, &to),
                // Not `fs::copy`, which copies that files may not be written.
                false => fs::write(to, fs::read(from).unwrap()).unwrap(),
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(folder, to.path());
    to
}

/// Changes the first number that stands behind all of `marks`, each after the one before.
fn change(file: &Path, marks: &[&str], with: impl Fn(f64) -> f64) {
    let text = fs::read_to_string(file).unwrap();
    let start = marks.iter().fold(0, |start, mark| {
        let found = text[start..].find(mark);
        start + found.unwrap_or_else(|| panic!("{}: no {mark}", file.display())) + mark.len()
    });
    let is_digit = |c: char| c == '-' || c.is_ascii_digit();
    let start = start + text[start..].find(is_digit).unwrap();
    let length = text[start..].find(|c: char| !is_digit(c) && !"+.eE".contains(c));
    let end = start + length.unwrap();
    let old = &text[start..end];
    let new = with(old.parse().unwrap());
    let new = match old.contains(['.', 'e']) {
        true => format!("{new:?}"),
        false => format!("{new}"),
    };
    fs::write(file, [&text[..start], &new, &text[end..]].concat()).unwrap();
}

#[test]
fn upstreams_training_is_repeated() {
    let Some(folder) = shared_golden("train", "upstreams_training_is_repeated") else {
        return;
    };
    let report = check(&folder, &mut |_, _, _| {});
    for item in &report.items {
        println!(
            "{:<50} {:>7} {:>9.1e} {:>8.0e}",
            item.name, item.compared, item.largest, item.tolerance
        );
    }
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(report.passed);
}

#[test]
fn every_mistake_in_a_record_is_found() {
    let Some(folder) = shared_golden("train", "every_mistake_in_a_record_is_found") else {
        return;
    };
    let copy = copied(&folder);
    let file = |name: &str| copy.path().join(name);
    // One mistake for each kind of record, in different runs.
    change(&file("labels.json"), &["\"cases\"", "\"labels\""], |x| {
        x + 1.0
    });
    change(
        &file("splice.json"),
        &["\"cases\"", "\"new_labels\""],
        |x| x + 1.0,
    );
    change(&file("sampler.json"), &["\"cases\"", "\"order\""], |x| {
        x + 1.0
    });
    let one_bit = |x: f64| f64::from_bits(x.to_bits() + 1);
    change(
        &file("schedule.json"),
        &["\"total_steps\":33", "\"rates\"", "0.0,"],
        one_bit,
    );
    change(&file("edges.json"), &["\"loss\""], |x| x + 2e-5);
    let stage1 = file("trajectory-stage1.json");
    change(&stage1, &["\"steps\"", "\"step\": 9", "\"loss\""], |x| {
        x + 2e-5
    });
    let pooled = file("trajectory-pooled.json");
    change(
        &pooled,
        &["\"steps\"", "\"step\": 4", "\"gradient_norm\""],
        |x| x * (1.0 + 1e-5),
    );
    let accumulate = file("trajectory-accumulate.json");
    change(&accumulate, &["\"final\"", "\"first\""], |x| x + 1e-5);
    let lora = file("trajectory-lora.json");
    // Zero is zero: B of an adapter begins at 0, so A has no gradient in the first step.
    let a = "q_proj.lora_A.default.weight\"";
    change(&lora, &["\"gradient_norms_step_1\"", a], |_| 1e-9);
    let v1 = file("trajectory-v1-stage1.json");
    change(
        &v1,
        &["\"steps\"", "\"step\": 2", "\"learning_rates\""],
        one_bit,
    );
    // A norm of the language model that would not decay.
    let decay = fs::read_to_string(file("trajectory-decay.json")).unwrap();
    let name = "\"model.norm.weight\"";
    let groups = decay.find("\"groups\"").unwrap();
    let start = groups + decay[groups..].find(name).unwrap();
    let renamed = [
        &decay[..start],
        "\"model.norm.bias\"",
        &decay[start + name.len()..],
    ]
    .concat();
    fs::write(file("trajectory-decay.json"), renamed).unwrap();
    // The last value of a tensor that only the file of tensors has.
    let mut tensors = fs::read(file("stage2_final.safetensors")).unwrap();
    let last = tensors.len() - 4;
    let value = f32::from_le_bytes(tensors[last..].try_into().unwrap());
    tensors[last..].copy_from_slice(&(value + 1e-5).to_le_bytes());
    fs::write(file("stage2_final.safetensors"), tensors).unwrap();

    let expected = [
        "labels",
        "splices",
        "orders",
        "schedules",
        "edges: losses",
        "accumulate: parameters, means and first values",
        "decay: groups",
        "pooled: gradient norms",
        "stage1: losses",
        "v1-stage1: learning rates",
        "lora: gradient norms of step 1",
        "stage2: parameters",
    ];
    assert_eq!(failed(copy.path()), expected);
}

#[test]
fn what_a_folder_lacks_is_compared_by_its_summary_or_fails() {
    let Some(folder) = shared_golden(
        "train",
        "what_a_folder_lacks_is_compared_by_its_summary_or_fails",
    ) else {
        return;
    };
    let copy = copied(&folder);
    let remove = |name: &str| fs::remove_file(copy.path().join(name)).unwrap();
    // Runs that begin where another ends go on from its end as it is repeated here.
    for name in [
        "stage1_final",
        "stage1_gradients",
        "stage2_final",
        "lora_final",
        "lora_merged",
    ] {
        remove(&format!("{name}.safetensors"));
    }
    assert_eq!(failed(copy.path()), Vec::<String>::new());

    remove("edges.json");
    remove("lora_initial.safetensors");
    let labels = copy.path().join("labels.json");
    fs::write(&labels, r#"{"cases": []}"#).unwrap();
    fs::write(copy.path().join("splice.json"), "{").unwrap();
    assert_eq!(failed(copy.path()), ["labels", "splices", "edges", "lora"]);
    let empty = tempfile::tempdir().unwrap();
    let all = [
        "labels",
        "splices",
        "orders",
        "schedules",
        "edges",
        "trajectories",
    ];
    assert_eq!(failed(empty.path()), all);
}
