//! `cargo xtask aarch64`: the kernel tests and the micro-golden test for aarch64, emulated.
//!
//! An x86-64 toolchain from a package has no aarch64 standard library. Debian carries a Rust
//! compiler (`rustc-web`) with its standard library for arm64; the two conflict with other Rust
//! packages, so they are unpacked below `target/aarch64/`, not installed. `qemu-user` then runs
//! the tests. Emulation says whether the numbers are right, never how fast they come.

use crate::steps::{self, Done, cargo, output, say, workspace};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the kernel tests and the micro-golden test for aarch64 under qemu-user.
///
/// Needs an x86-64 Debian with apt, its network, and root for the packages that are missing. The
/// first run downloads about 130 MB of compiler and unpacks it below target/aarch64.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What `cargo test` gets instead of the usual tests, such as `-p mobilevlm-tensor`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Where Debian's cross C library lies; qemu resolves the dynamic loader below it.
const CROSS_LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Debian packages to install, each with a file that shows that it is there.
const PACKAGES: [(&str, &str); 3] = [
    ("qemu-user", "/usr/bin/qemu-aarch64"),
    ("gcc-aarch64-linux-gnu", "/usr/bin/aarch64-linux-gnu-gcc"),
    (
        "libc6-dev-arm64-cross",
        "/usr/aarch64-linux-gnu/include/stdio.h",
    ),
];

/// The emulated processors: one with every extension, one with the dot product only, one without.
const PROCESSORS: [&str; 3] = ["max", "cortex-a76", "cortex-a53"];

/// What is tested: arguments of `cargo test`.
///
/// `--tests` leaves out the examples in the documentation: each is a program of its own to link
/// and emulate, and they test no kernel. The full golden set is skipped because it takes emulation
/// many minutes; `cargo xtask aarch64 -- -p mobilevlm --test golden` runs it.
const TESTS: [&[&str]; 2] = [
    &["-p", "mobilevlm-tensor", "--tests", "--", "--show-output"],
    &[
        "-p",
        "mobilevlm",
        "--test",
        "golden",
        "--",
        "--show-output",
        "--skip",
        "the_full_set",
    ],
];

pub(crate) fn run(options: &Options) -> Done {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(
            "aarch64: this emulates aarch64 on x86-64 Linux; on an aarch64 machine \
                    `cargo test` runs the same tests natively"
                .into(),
        );
    }
    let folder = workspace().join("target/aarch64");
    install_packages()?;
    let compiler = compiler(&folder)?;
    let given: Vec<&str> = options.arguments.iter().map(String::as_str).collect();
    let tests: Vec<&[&str]> = if given.is_empty() {
        TESTS.to_vec()
    } else {
        vec![&given]
    };
    for processor in PROCESSORS {
        for arguments in &tests {
            say(&format!(
                "cargo test {} on an emulated {processor}",
                arguments.join(" ")
            ));
            steps::run(&mut emulated_test(&folder, &compiler, processor, arguments))?;
        }
    }
    say(&format!("passed on {}", PROCESSORS.join(", ")));
    Ok(())
}

/// `cargo test` for aarch64 with `compiler`, its binaries run by qemu as `processor`.
fn emulated_test(folder: &Path, compiler: &Path, processor: &str, arguments: &[&str]) -> Command {
    let mut command = cargo(&["test", "--target", TARGET]);
    command
        .args(arguments)
        // A folder of its own, so that this build and the native one do not lock each other.
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .env("RUSTC", compiler)
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            "aarch64-linux-gnu-gcc",
        )
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
            format!("qemu-aarch64 -L {CROSS_LIBRARIES} -cpu {processor}"),
        );
    command
}

/// Installs what is missing of [`PACKAGES`].
fn install_packages() -> Done {
    let missing = PACKAGES
        .iter()
        .filter(|(_, file)| !Path::new(file).exists());
    let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        say("qemu and the cross linker are installed");
        return Ok(());
    }
    say(&format!("installing {}", missing.join(" ")));
    let mut install = Command::new("apt-get");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    steps::run(&mut install).map_err(|error| {
        let packages = missing.join(" ");
        format!(
            "{error}\naarch64: these Debian packages are needed; as root, run `apt-get update` \
             and `apt-get install {packages}`, then this command again"
        )
        .into()
    })
}

/// Unpacks Debian's Rust compiler with its aarch64 library, unless that is done, and returns the
/// script that runs it.
fn compiler(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    // Written last: an interrupted run leaves no script and starts again.
    let script = folder.join("rustc");
    if script.exists() {
        say("the compiler for aarch64 is unpacked");
        return Ok(script);
    }
    say("looking up Debian's compiler for aarch64");
    let apt = Apt::new(folder)?;
    let packages = apt.compiler_packages()?;
    say(&format!("downloading {}", packages.join(" ")));
    let archives = apt.download(&packages)?;
    let root = folder.join("root");
    for archive in archives {
        say(&format!("unpacking {}", file_name(&archive)));
        steps::run(Command::new("dpkg").arg("-x").arg(&archive).arg(&root))?;
        fs::remove_file(&archive)?;
    }
    write_script(&script, &root)?;
    let version = output(Command::new(&script).arg("--version"));
    let version = version.inspect_err(|_| drop(fs::remove_file(&script)))?;
    say(&format!("unpacked {}", version.trim_end()));
    Ok(script)
}

/// Writes a `rustc` that finds its libraries and its sysroot below `root`.
fn write_script(script: &Path, root: &Path) -> Done {
    use std::os::unix::fs::PermissionsExt;

    let usr = root.join("usr");
    let usr = usr.display();
    let text = format!(
        "#!/bin/sh\n\
         export LD_LIBRARY_PATH='{usr}/lib/x86_64-linux-gnu:{usr}/lib'\n\
         exec '{usr}/bin/rustc' --sysroot '{usr}' \"$@\"\n"
    );
    fs::write(script, text)?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// apt with lists and archives of its own, for amd64 and arm64; the system's stay as they are.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Fetches the package lists below `folder`.
    fn new(folder: &Path) -> Result<Apt, Box<dyn Error>> {
        let folder = folder.join("apt");
        for below in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join(below))?;
        }
        let apt = Apt { folder };
        steps::run(apt.command("apt-get").args(["--quiet", "update"])).map_err(|error| {
            format!("{error}\naarch64: this needs apt and the network to Debian's archive")
        })?;
        Ok(apt)
    }

    /// `program` (`apt-get` or `apt-cache`) with the private folders and both architectures.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.join("packages"))
            .args([
                "-o",
                "APT::Architectures=amd64,arm64",
                "-o",
                "APT::Architectures::=arm64",
            ])
            .args([
                "-o",
                &format!("Dir::State::lists={}", self.folder.join("lists").display()),
            ])
            .args([
                "-o",
                &format!("Dir::Cache={}", self.folder.join("cache").display()),
            ]);
        command
    }

    /// The compiler, what it loads, and the libraries of both architectures, as `NAME=VERSION`.
    ///
    /// The names of the parts carry version numbers (`libllvm22`), so they are read from the
    /// packages' dependencies. Compiler and libraries have one version: others do not fit.
    fn compiler_packages(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let compiler = self.fields("rustc-web")?;
        let version = field(&compiler, "Version")?;
        let development = self.fields(&format!("libstd-rust-web-dev={version}"))?;
        let runtime = dependency(&development, "libstd-rust-web-")?;
        let library = self.fields(&format!("{runtime}={version}"))?;
        let llvm = dependency(&library, "libllvm")?;
        Ok(vec![
            format!("rustc-web={version}"),
            format!("{runtime}={version}"),
            format!("libstd-rust-web-dev={version}"),
            format!("libstd-rust-web-dev:arm64={version}"),
            llvm,
        ])
    }

    /// The control fields of the candidate of `package` (`NAME` or `NAME=VERSION`).
    fn fields(&self, package: &str) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
        let mut show = self.command("apt-cache");
        let text = output(show.args(["show", "--no-all-versions", package])).map_err(|error| {
            format!(
                "{error}\naarch64: Debian's security suite (bookworm or later) has the package; \
                 is it among apt's sources?"
            )
        })?;
        let fields = text.lines().take_while(|line| !line.is_empty());
        let fields = fields.filter_map(|line| line.split_once(": "));
        Ok(fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Downloads `packages` and returns the archives.
    fn download(&self, packages: &[String]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        steps::run(
            self.command("apt-get")
                .args(["--quiet", "download"])
                .args(packages),
        )?;
        let entries = fs::read_dir(self.folder.join("packages"))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        Ok(paths.collect::<Result<_, _>>()?)
    }
}

fn field<'a>(fields: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, String> {
    let value = fields.get(name).map(String::as_str);
    value.ok_or_else(|| format!("aarch64: apt-cache shows a package without the field {name}"))
}

/// The first package among the dependencies whose name begins with `prefix` and then a digit.
fn dependency(fields: &BTreeMap<String, String>, prefix: &str) -> Result<String, String> {
    let depends = field(fields, "Depends")?;
    let names = depends
        .split([',', '|'])
        .filter_map(|entry| entry.split_whitespace().next());
    let versioned = |name: &&str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut names = names.filter(versioned);
    names.next().map(str::to_owned).ok_or_else(|| {
        format!("aarch64: expected a package {prefix}NUMBER among the dependencies: {depends}")
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_by_prefix_and_number() {
        let depends = "libc6 (>= 2.34), libstd-rust-web-dev (= 1.96.0), libstd-rust-web-1.96 (= 1)";
        let fields = BTreeMap::from([("Depends".to_owned(), depends.to_owned())]);
        assert_eq!(
            dependency(&fields, "libstd-rust-web-").unwrap(),
            "libstd-rust-web-1.96"
        );
        assert!(
            dependency(&fields, "libllvm")
                .unwrap_err()
                .contains("libllvmNUMBER")
        );
    }
}
