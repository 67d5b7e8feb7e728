//! `mobilevlm report`: evaluations beside the paper's figures and beside each other.

use std::io::{self, Write};

use mobilevlm_data::replace_file;
use mobilevlm_eval::report::{Report, flipped_page, markdown, svg, text};

use crate::args::{ReportArgs, ReportFormat};
use crate::error::CliError;
use crate::terminal::{Terminal, print_json};

pub(crate) fn run(args: &ReportArgs, terminal: Terminal) -> Result<(), CliError> {
    if args.flipped.is_some() && args.runs.len() < 2 {
        return Err(CliError::usage(
            "--flipped compares answers: it needs two runs or more",
            "mobilevlm report runs/f16 runs/q4 --flipped flipped.html",
        ));
    }
    let report = {
        let _waiting = terminal.waiting("scoring");
        Report::new(&args.runs, args.data.as_deref())?
    };
    for note in report.notes() {
        terminal.note(note);
    }
    if let Some(path) = &args.flipped {
        let page = flipped_page(&report);
        replace_file(path, |out: &mut dyn Write| out.write_all(page.as_bytes())).map_err(
            |source| CliError::File {
                path: path.display().to_string(),
                doing: "written",
                source,
            },
        )?;
    }
    let form = match args.format {
        _ if args.json => return print_json(&report),
        ReportFormat::Json => return print_json(&report),
        ReportFormat::Terminal => text(&report),
        ReportFormat::Markdown => markdown(&report),
        ReportFormat::Svg => svg(&report),
    };
    let mut out = io::stdout().lock();
    out.write_all(form.as_bytes())?;
    Ok(out.flush()?)
}
