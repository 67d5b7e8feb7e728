//! `convert --calibrate`: other bytes of the same size, and words for what is no folder to read.

use std::fs;

use crate::{Mobilevlm, golden, path};

#[test]
fn a_calibrated_file_has_the_same_size_and_other_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let examples = tempfile::tempdir().unwrap();
    fs::copy(golden("images/a.png"), examples.path().join("a.png")).unwrap();
    fs::write(examples.path().join("b.txt"), b"A river.\n\xff A boat.").unwrap();
    fs::write(examples.path().join("c.json"), "{}").unwrap();
    let (model, examples) = (golden("checkpoint"), path(examples.path()));
    let command = Mobilevlm::new();
    let convert = |name: &str, more: &[&str]| {
        let file = path(&folder.path().join(name));
        let mut all = vec!["convert", &model, "-o", &file, "--language", "q4_0"];
        all.extend(more);
        command.run(&all).expect(0);
        (fs::read(&file).unwrap(), file)
    };
    let (plain, _) = convert("plain.gguf", &[]);
    let (weighed, file) = convert("weighed.gguf", &["--calibrate", &examples]);
    let (again, _) = convert("again.gguf", &["--calibrate", &examples]);
    assert_eq!(plain.len(), weighed.len());
    assert!(plain != weighed, "calibration changed nothing");
    assert!(weighed == again, "the same conversion gave other bytes");
    let json = command
        .run(&["compare", &model, &file, "--limit", "2", "--json"])
        .expect(0)
        .json();
    assert!(json["divergence_mean"].as_f64() > Some(0.0), "{json}");
}

#[test]
fn what_is_no_folder_of_examples_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("a.png"), "no picture").unwrap();
    let out = path(&folder.path().join("out.gguf"));
    let nowhere = path(&folder.path().join("nowhere"));
    let (model, empty) = (golden("checkpoint"), path(folder.path()));
    for (examples, expected) in [
        (&nowhere, "cannot be read"),
        (&empty, "to calibrate with, found none"),
        (&path(broken.path()), "a.png"),
        (&golden("images/a.png"), "cannot be read"),
    ] {
        let all = ["convert", &model, "-o", &out, "--calibrate", examples];
        let done = Mobilevlm::new().run(&all).expect(1);
        assert!(done.err.contains(expected), "{examples}: {}", done.err);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "{examples}"
        );
    }
}
