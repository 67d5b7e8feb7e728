//! `data world`: what is written, and what is refused.

use std::fs;

use crate::{Mobilevlm, path};

#[test]
fn a_preview_is_a_picture_and_its_questions() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(&folder.path().join("one.png"));
    let arguments = ["data", "world", "--preview", &file, "--size", "112"];
    let command = Mobilevlm::new();
    let done = command.run(&arguments).expect(0);
    assert!(done.out.starts_with(&file), "{}", done.out);
    assert!(done.out.matches("\nQ: ").count() >= 2, "{}", done.out);
    let picture = fs::read(&file).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    // What is there is kept, unless it may be replaced.
    let again = command.run(&arguments).expect(1);
    assert!(again.err.contains("--force"), "{}", again.err);
    let other = [&arguments[..], &["--force", "--seed", "7"]].concat();
    command.run(&other).expect(0);
    assert_ne!(fs::read(&file).unwrap(), picture);
}

#[test]
fn a_folder_holds_the_samples_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder.path().join("world"));
    let arguments = [
        "data", "world", "--out", &out, "--count", "5", "--size", "64", "--split", "held-out",
        "--kind", "counting",
    ];
    let command = Mobilevlm::new();
    let done = command.run(&arguments).expect(0);
    let rows: serde_json::Value =
        serde_json::from_slice(&fs::read(done.out.trim()).unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 5);
    for row in rows.as_array().unwrap() {
        assert_eq!(row["kinds"][0], "counting");
        let picture = folder
            .path()
            .join("world")
            .join(row["image"].as_str().unwrap());
        assert!(picture.exists(), "{}", picture.display());
    }
    let again = command.run(&arguments).expect(1);
    assert!(again.err.contains("is there already"), "{}", again.err);
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let command = Mobilevlm::new();
    for arguments in [
        &["data"][..],
        &["data", "world"],
        &["data", "world", "--out", "x"],
        &["data", "world", "--count", "3"],
        &["data", "world", "--preview", "--kind", "nonsense"],
    ] {
        command.run(arguments).expect(2);
    }
    let small = ["data", "world", "--preview", "--size", "3"];
    let done = command.run(&small).expect(1);
    assert!(done.err.contains("from 16 to 4096"), "{}", done.err);
}
