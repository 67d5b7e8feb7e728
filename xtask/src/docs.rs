//! `cargo xtask docs`: documents that are made from the code, so that they cannot drift from it.

use std::fmt::Write;

use clap::Command;

use crate::steps::{Done, say, workspace};

/// Writes `docs/cli.md` from the definition of the command line.
///
/// A test compares the committed page with the definition and names this command.
#[derive(clap::Args)]
pub(crate) struct Options {}

/// Where the page is, below the root.
const PAGE: &str = "docs/cli.md";

/// The verb that only builds with the feature of that name have.
const TRAIN: &str = "train";

/// Columns of the help texts, whatever the terminal has.
const WIDTH: usize = 100;

pub(crate) fn run(_: &Options) -> Done {
    std::fs::write(workspace().join(PAGE), page())?;
    say(&format!("wrote {PAGE}"));
    Ok(())
}

fn page() -> String {
    // The verbs' own names are complete only in a command that has been built.
    let mut command = mobilevlm_cli::command().term_width(WIDTH);
    // A build of its own, described in docs/recipes.md: the page is the same with it and without.
    if command.find_subcommand(TRAIN).is_some() {
        command = command.mut_subcommand(TRAIN, |verb| verb.hide(true));
    }
    command.build();
    let mut page = String::from(
        "# The command `mobilevlm`\n\n\
         Made by `cargo xtask docs` from `crates/mobilevlm-cli/src/args`; do not edit.\n",
    );
    add(&mut page, "mobilevlm", &command);
    for verb in command
        .get_subcommands()
        .filter(|verb| !["help", TRAIN].contains(&verb.get_name()))
    {
        let name = format!("mobilevlm {}", verb.get_name());
        add(&mut page, &name, verb);
        let parts = verb.get_subcommands();
        for part in parts.filter(|part| part.get_name() != "help") {
            add(&mut page, &format!("{name} {}", part.get_name()), part);
        }
    }
    page
}

fn add(page: &mut String, name: &str, command: &Command) {
    let help = command
        .clone()
        .term_width(WIDTH)
        .render_long_help()
        .to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_current() {
        let committed = std::fs::read_to_string(workspace().join(PAGE)).unwrap_or_default();
        let differing = page()
            .lines()
            .zip(committed.lines())
            .position(|(now, then)| now != then);
        assert!(
            page() == committed,
            "{PAGE} is not what the command line says (first at line {:?}): run `cargo xtask docs`",
            differing.map(|line| line + 1)
        );
    }
}
