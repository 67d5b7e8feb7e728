//! `cargo xtask check`: every check of a change, the cheapest first; CI runs these steps.

use crate::steps::{Done, cargo, output, say};

/// Checks a change as CI does: format, licences, lints, documentation, tests.
///
/// Stops at the first check that fails. Licences and advisories of the dependencies need
/// cargo-deny; without it that check is skipped by name.
#[derive(clap::Args)]
pub(crate) struct Options {}

/// A check: what it looks at, and the arguments of `cargo`.
type Check = (&'static str, &'static [&'static str]);

/// Cheapest first.
const CHECKS: [Check; 7] = [
    ("format", &["fmt", "--all", "--check"]),
    (
        "dependencies",
        &[
            "deny",
            "--all-features",
            "check",
            "bans",
            "licenses",
            "sources",
        ],
    ),
    (
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("documentation", &["doc", "--workspace", "--no-deps"]),
    ("tests", &["test", "--workspace"]),
    (
        "faults are noticed",
        &[
            "test",
            "--package",
            "xtask",
            "--features",
            "broken-parser",
            "--test",
            "broken_parser",
        ],
    ),
    (
        "hostile input",
        &[
            "run",
            "--release",
            "--package",
            "xtask",
            "--",
            "hostile",
            "--quick",
        ],
    ),
];

pub(crate) fn run(_: &Options) -> Done {
    for (name, arguments) in CHECKS {
        let line = format!("{name}: cargo {}", arguments.join(" "));
        if arguments[0] == "deny" && output(&mut cargo(&["deny", "--version"])).is_err() {
            say(&format!(
                "skipped {line} (to have it: cargo install cargo-deny)"
            ));
            continue;
        }
        say(&line);
        crate::steps::run(cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    say("all checks passed");
    Ok(())
}
