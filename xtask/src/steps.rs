//! Running other programs, one announced step at a time.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every developer command returns; the error is for a person to read.
pub(crate) type Done = Result<(), Box<dyn Error>>;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask
        .parent()
        .expect("this crate lies one level below the root")
        .to_path_buf()
}

/// A `cargo` command in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    // Cargo sets `CARGO` for `cargo xtask` to itself, so a `+toolchain` choice carries over.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    command
}

/// Announces `step` on standard error.
pub(crate) fn say(step: &str) {
    eprintln!("==> {step}");
}

/// Lets a command that trains use freed memory again as it is, without asking the system for other
/// pages (docs/training.md has figures). They are settings of glibc's allocator; other systems do
/// not read them.
pub(crate) fn keep_pages(command: &mut Command) {
    let settings = "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592:\
                    glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1";
    command.env("GLIBC_TUNABLES", settings);
}

/// Runs `command` with its output shown.
///
/// # Errors
/// If it cannot be started or ends with another code than 0.
pub(crate) fn run(command: &mut Command) -> Done {
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", line(command)).into())
    }
}

/// Runs `command` and returns what it printed on standard output.
///
/// # Errors
/// If it cannot be started, ends with another code than 0, or prints what is no UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .output()
        .map_err(|error| not_started(command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{}", line(command), output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!(
        "{}: cannot be started: {error}",
        command.get_program().display()
    )
}

/// The command as it could be typed, for messages.
fn line(command: &Command) -> String {
    let arguments = command
        .get_args()
        .map(|argument| argument.display().to_string());
    let program = command.get_program().display().to_string();
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
