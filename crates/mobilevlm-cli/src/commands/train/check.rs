//! `mobilevlm train --check`: this crate against upstream's recorded training.

use std::io::{self, Write};
use std::path::Path;

use mobilevlm_train::{CheckItem, CheckReport, check};

use crate::error::CliError;
use crate::terminal::{Terminal, print_json};

pub(super) fn run(folder: &Path, json: bool, terminal: Terminal) -> Result<(), CliError> {
    let mut progress = terminal.progress("comparing");
    let report = check(folder, &mut |_, part, parts| {
        progress.show(part as u64, parts as u64)
    });
    progress.finish();
    match json {
        true => print_json(&report)?,
        false => print(&report)?,
    }
    match report.items.iter().filter(|item| !item.passed).count() {
        0 if report.passed => Ok(()),
        failed => Err(CliError::Failed(format!(
            "{}: {failed} of {} comparisons failed",
            folder.display(),
            report.items.len()
        ))),
    }
}

fn print(report: &CheckReport) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let width = report.items.iter().map(|item| item.name.len()).max();
    let width = width.unwrap_or(0).max(10);
    writeln!(
        out,
        "{:width$} {:>9} {:>9} {:>9}",
        "compared", "number", "largest", "allowed"
    )?;
    for item in &report.items {
        let CheckItem {
            name,
            compared,
            largest,
            tolerance,
            passed,
            place,
        } = item;
        let mark = if *passed { "" } else { "  FAILED" };
        writeln!(
            out,
            "{name:width$} {compared:>9} {largest:>9.1e} {tolerance:>9.1e}{mark}"
        )?;
        if !passed {
            // What a file holds is shown without its control characters.
            let place = place.as_deref().unwrap_or("nothing was compared");
            let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            let place: String = place.chars().map(clean).collect();
            writeln!(out, "  {place}")?;
        }
    }
    writeln!(out, "{}", if report.passed { "passed" } else { "FAILED" })?;
    Ok(out.flush()?)
}
