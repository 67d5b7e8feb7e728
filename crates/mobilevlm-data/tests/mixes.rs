//! Mixes: the recipes that are kept, and how many rows of what are taken.

use std::fs;
use std::ops::ControlFlow;

use mobilevlm_data::{IndexPlace, MixError, MixRecipe};
use mobilevlm_testing::workspace;

#[test]
fn kept_recipes_are_recipes() {
    let mut count = 0;
    for entry in fs::read_dir(workspace().join("recipes")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with("-mix.json") {
            let recipe = MixRecipe::parse(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(
                path.file_stem().unwrap().to_str(),
                Some(recipe.name.as_str())
            );
            assert!(recipe.sets.iter().all(|set| !set.source.is_empty()));
            count += 1;
        }
    }
    assert!(count >= 2);
}

#[test]
fn weights_and_counts_take_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: i32| format!(r#"{{"conversations": [{{"from": "human", "value": "{i}"}}]}}"#);
    let rows: Vec<String> = (0..10).map(row).collect();
    fs::write(
        folder.path().join("a.json"),
        format!("[{}]", rows.join(",")),
    )
    .unwrap();
    let output = folder.path().join("out.json");
    for (take, expected) in [
        ("", 10),
        (r#", "weight": 0"#, 0),
        (r#", "weight": 0.5"#, 5),
        (r#", "weight": 2.3"#, 23),
        (r#", "count": 0"#, 0),
        (r#", "count": 25"#, 25),
    ] {
        let text = format!(r#"{{"name": "x", "sets": [{{"name": "a", "file": "a.json"{take}}}]}}"#);
        let recipe = MixRecipe::parse(text.as_bytes()).unwrap();
        let on_progress = &mut |_: u64, _: u64| ControlFlow::Continue(());
        let manifest = recipe
            .write(folder.path(), &output, &IndexPlace::Nowhere, on_progress)
            .unwrap();
        assert_eq!(manifest.rows, expected, "{take}");
        let written: Vec<serde_json::Value> =
            serde_json::from_slice(&fs::read(&output).unwrap()).unwrap();
        assert_eq!(written.len() as u64, expected);
        // No row is taken twice more often than another.
        let times = |row: &serde_json::Value| written.iter().filter(|other| *other == row).count();
        let most = written.iter().map(times).max().unwrap_or(0) as u64;
        assert!(most <= expected.div_ceil(10), "{take}: {most}");
    }
    for wrong in [r#", "weight": -1"#, r#", "weight": 1, "count": 2"#] {
        let text =
            format!(r#"{{"name": "x", "sets": [{{"name": "a", "file": "a.json"{wrong}}}]}}"#);
        let error = MixRecipe::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, MixError::Set { .. }), "{error}");
    }
}
