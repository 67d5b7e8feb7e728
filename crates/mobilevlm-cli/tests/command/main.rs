//! The built command on the micro set in `golden/`, as a person or a script runs it.

mod ask;
mod benchmarks;
mod calibrate;
mod compare;
mod convert;
mod data;
mod data_sets;
mod demo;
mod eval;
mod hub;
mod other;
mod score;
#[cfg(feature = "train")]
mod train;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mobilevlm_testing::micro_golden;
use serde_json::Value;

/// The command in an environment of its own: no settings, models or variables of this machine.
struct Mobilevlm {
    home: tempfile::TempDir,
}

/// What a run ended with.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Mobilevlm {
    fn new() -> Mobilevlm {
        Mobilevlm {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobilevlm"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("HF_") || text.starts_with("XDG_") || text.starts_with("MOBILEVLM_")
            {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", self.home.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Done {
        Done::new(self.command().args(arguments).output().unwrap())
    }

    /// Runs with these bytes on standard input.
    fn run_with_input<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S], input: &[u8]) -> Done {
        let mut command = self.command();
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Done::new(child.wait_with_output().unwrap())
    }
}

impl Done {
    fn new(output: Output) -> Done {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Demands this exit code; the message shows everything.
    fn expect(self, code: i32) -> Done {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- out\n{}\n--- err\n{}",
            self.out,
            self.err
        );
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// A path in the micro set, as an argument.
fn golden(below: &str) -> String {
    path(&micro_golden(below))
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

/// A copy of the micro set that can be damaged.
fn copy_of_golden() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&micro_golden(""), folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
