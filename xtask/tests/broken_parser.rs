//! `cargo xtask hostile` notices faults: each parser that is broken on purpose is reported, and the
//! command fails.

use std::process::Command;

use serde_json::Value;

/// Name of a broken parser, and the count in the report that its fault must raise.
const FAULTS: [(&str, &str); 5] = [
    ("broken-panics", "panics"),
    ("broken-allocates", "over_limit"),
    ("broken-loops", "hangs"),
    ("broken-recurses", "deaths"),
    ("broken-prints", "unclean_messages"),
];

#[test]
fn every_fault_is_reported_as_what_it_is() {
    for (parser, count) in FAULTS {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args([
                "hostile",
                "--json",
                "--quick",
                "--patience",
                "2",
                "--parser",
                parser,
            ])
            .output()
            .expect("xtask runs");
        assert_eq!(output.status.code(), Some(1), "{parser}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        for (_, other) in FAULTS {
            let found = report["parsers"][0][other].as_u64().expect("a count");
            assert_eq!(
                found > 0,
                other == count,
                "{parser}: {other} is {found}: {report:#}"
            );
        }
    }
}
