//! `mobilevlm eval world`: how often a model is right about pictures that no training has shown.

use std::collections::BTreeMap;
use std::io::{self, Write};

use mobilevlm_data::replace_file;
use mobilevlm_eval::world::{Exam, ExamError, Examined, KindFigures, examine, figures};
use serde::Serialize;

use crate::args::EvalArgs;
use crate::error::CliError;
use crate::interrupt;
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};

/// What was found.
#[derive(Serialize)]
struct Report {
    model: String,
    /// Questions of all kinds.
    n: usize,
    figures: BTreeMap<&'static str, KindFigures>,
}

pub(super) fn run(args: &EvalArgs, terminal: Terminal) -> Result<(), CliError> {
    let (world, usual) = (&args.world, Exam::default());
    let exam = Exam {
        limit: world.limit.map_or(usual.limit, Into::into),
        seed: world.seed.unwrap_or(usual.seed),
        size: world.size.unwrap_or(usual.size),
    };
    let found = plan::find_model(args.model.model.as_deref(), Network::Allowed, terminal)?;
    let model = plan::open_model(&args.model, &args.compute, Network::Allowed, terminal)?;
    let mut bar = terminal.progress("answering");
    let cancel = interrupt::stoppable();
    let examined = examine(&model, &exam, &cancel, &mut |done, total| {
        bar.show(done, total);
    });
    bar.finish();
    interrupt::done();
    let examined = examined.map_err(|error| match error {
        ExamError::World(error) => CliError::World(error),
        ExamError::Engine(error) => CliError::Engine(error),
        ExamError::Cancelled => CliError::Interrupted,
        other => CliError::Failed(other.to_string()),
    })?;
    if let Some(path) = &world.answers {
        replace_file(path, |out| write_lines(&examined, out)).map_err(|source| CliError::File {
            path: path.display().to_string(),
            doing: "written",
            source,
        })?;
    }
    let report = Report {
        model: found.name,
        n: examined.len(),
        figures: figures(&examined),
    };
    match args.json {
        true => print_json(&report),
        false => report.print(),
    }
}

/// Each question with its answers as a line of JSON.
fn write_lines(examined: &[Examined], out: &mut dyn Write) -> io::Result<()> {
    for one in examined {
        serde_json::to_writer(&mut *out, one)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

impl Report {
    fn print(&self) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let heads = ["accuracy", "majority", "text only"];
        write!(out, "{:<12} {:>5}", "", "n")?;
        writeln!(out, "  {:>9}  {:>9}  {:>9}", heads[0], heads[1], heads[2])?;
        for (kind, figures) in &self.figures {
            write!(out, "{kind:<12} {:>5}", figures.n)?;
            for share in [figures.accuracy, figures.majority, figures.text_only] {
                write!(out, "  {:>7.1} %", 100.0 * share)?;
            }
            writeln!(out)?;
        }
        Ok(out.flush()?)
    }
}
