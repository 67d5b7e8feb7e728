//! `cargo xtask check`: every check of a change; `.ci/run` is this command.

use crate::steps::{self, Done, cargo, output, say};

/// Checks a change as CI does: format, dependencies, lints, documentation, tests, hostile input.
///
/// Stops at the first check that fails. The check of dependencies needs cargo-deny; without it,
/// it is skipped by name.
#[derive(clap::Args)]
pub(crate) struct Options {}

/// A check: what it looks at, and the arguments of `cargo`.
type Check = (&'static str, &'static [&'static str]);

/// Cheapest first.
#[rustfmt::skip] // A line for each, as it could be typed.
const CHECKS: [Check; 12] = [
    ("format", &["fmt", "--all", "--check"]),
    ("dependencies", &["deny", "--all-features", "--locked", "check", "bans", "licenses", "sources"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--features", "train", "--locked", "--", "-D", "warnings"]),
    ("documentation", &["doc", "--workspace", "--features", "train", "--no-deps", "--locked"]),
    ("README: the main job", &["run", "--release", "--locked", "--", "ask", "docs/demo.png", "What does the sign say?"]),
    ("micro reference set", &["run", "--release", "--locked", "--", "verify", "-m", "golden/checkpoint", "--golden", "golden"]),
    ("micro GGUF pair", &["run", "--release", "--locked", "--", "verify", "-m", "golden/gguf/micro-f16.gguf", "--golden", "golden"]),
    ("micro GGUF pair, quantised", &["run", "--release", "--locked", "--", "verify", "-m", "golden/gguf/micro-mixed.gguf", "--golden", "golden", "--gguf-expected", "golden/gguf"]),
    ("hostile input", &["xtask", "hostile", "--quick"]),
    ("faults are noticed", &["test", "--locked", "--package", "xtask", "--features", "broken-parser", "--test", "broken_parser"]),
    ("README: the tests", &["test", "--workspace", "--features", "train"]),
    ("a model from nothing", &["xtask", "toy", "--tenth", "--dev"]),
];

pub(crate) fn run(_: &Options) -> Done {
    for (name, arguments) in CHECKS {
        let line = format!("{name}: cargo {}", arguments.join(" "));
        if arguments[0] == "deny" && output(&mut cargo(&["deny", "--version"])).is_err() {
            say(&format!("skipped {line} (cargo-deny is not installed)"));
            continue;
        }
        say(&line);
        steps::run(cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    say("all checks passed");
    Ok(())
}
