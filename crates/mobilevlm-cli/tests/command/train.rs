//! `train`.

use mobilevlm_testing::shared_golden;

use crate::{Mobilevlm, path};

#[test]
fn train_check_repeats_upstreams_runs() {
    let Some(folder) = shared_golden("train", "train_check_repeats_upstreams_runs") else {
        return;
    };
    let command = Mobilevlm::new();
    let done = command
        .run(&["train", "--check", &path(&folder), "--json"])
        .expect(0);
    let json = done.json();
    assert_eq!(json["passed"], true);
    let items = json["items"].as_array().unwrap();
    for name in ["labels", "stage1: losses", "lora: merged parameters"] {
        assert!(items.iter().any(|item| item["name"] == name), "{name}");
    }
}

#[test]
fn train_check_of_a_folder_without_records_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let command = Mobilevlm::new();
    let done = command
        .run(&["train", "--check", &path(folder.path())])
        .expect(1);
    assert!(done.out.contains("splice.json"), "{}", done.out);
    assert!(done.out.ends_with("FAILED\n"), "{}", done.out);
    command.run(&["train", "--json"]).expect(2);
}
