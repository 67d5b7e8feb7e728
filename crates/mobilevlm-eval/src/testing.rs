//! The recorded cases of the official scripts, for the tests beside each benchmark.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the recorded cases.
pub(crate) fn golden(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(below)
}

/// A JSON file of the recorded cases.
pub(crate) fn golden_json(below: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(below)).unwrap()).unwrap()
}

/// The texts of `parse_cases.json` with what the official script makes of each.
pub(crate) fn parse_cases(task: &str) -> Vec<Vec<Value>> {
    let cases = golden_json(&format!("{task}/parse_cases.json"))["cases"].take();
    let cases: Vec<Vec<Value>> = serde_json::from_value(cases).unwrap();
    assert_eq!(cases.len(), 208);
    cases
}
