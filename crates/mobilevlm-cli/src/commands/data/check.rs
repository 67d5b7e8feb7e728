//! `mobilevlm data check`: what is wrong with a data set.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mobilevlm_data::{
    Checker, DataError, IndexPlace, LabelOptions, Labeller, Pictures, Problem, Report, Rows,
    TrainTemplate,
};
use mobilevlm_processor::Limits;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::args::{DataCheckArgs, TemplateName};
use crate::commands::tokenize::tokenizer_of;
use crate::error::CliError;
use crate::interrupt;
use crate::plan::{self, Network};
use crate::settings;
use crate::terminal::{Terminal, print_json};

/// How often what is done is written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct ReportJson<'a> {
    file: String,
    #[serde(flatten)]
    report: &'a Report,
    left_out: u64,
}

/// What an interrupted run has seen.
#[derive(Serialize, Deserialize)]
struct State {
    key: String,
    report: Report,
}

pub(crate) fn run(args: &DataCheckArgs, terminal: Terminal) -> Result<(), CliError> {
    let template = match args.template {
        TemplateName::Plain => TrainTemplate::Plain,
        TemplateName::V1 => TrainTemplate::V1,
    };
    let options = LabelOptions {
        model_max_length: args.max_length.get(),
        ..LabelOptions::new(template)
    };
    let labeller = match &args.tokenizer {
        None => None,
        Some(model) => {
            let found = plan::find_model(Some(model), Network::Allowed, terminal)?;
            Some(Labeller::new(tokenizer_of(&found.files()?.path)?, options))
        }
    };
    let token = interrupt::stoppable();
    let go_on = || match token.is_cancelled() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let cache = settings::cache_folder().map(|folder| folder.join("data"));
    let place = cache.clone().map_or(IndexPlace::Beside, IndexPlace::Folder);
    let mut bar = terminal.progress("finding the rows");
    let rows = Rows::open(&args.file, &place, &mut |done, total| {
        bar.show(done, total);
        go_on()
    });
    bar.finish();
    let rows = rows.map_err(|error| match error {
        DataError::Stopped => CliError::Interrupted,
        error => CliError::Data(error),
    })?;
    let pictures = match &args.images[..] {
        [] => None,
        images => Some(Pictures::open(images, Limits::default())?),
    };
    let checker = Checker {
        rows: &rows,
        pictures: pictures.as_ref(),
        decode: !args.quick,
        template,
        labeller: labeller.as_ref(),
    };

    let key = key(args, rows.identity());
    let saved = cache.map(|folder| folder.join(format!("{}.check", &key[..16])));
    let state = saved.as_deref().filter(|_| !args.restart);
    let mut report = state.and_then(|path| load(path, &key)).unwrap_or_default();
    if report.checked > 0 {
        let checked = report.checked;
        terminal.note(&format!(
            "going on after row {checked}, where the last run ended"
        ));
    }
    let threads = args.threads.or(std::thread::available_parallelism().ok());
    let threads = threads.map_or(1, Into::into);
    let mut bar = terminal.progress("checking");
    let mut last_saved = Instant::now();
    let done = mobilevlm_data::check(&checker, &mut report, threads, &mut |report| {
        bar.show(report.checked, report.rows);
        if last_saved.elapsed() > SAVE_EVERY {
            last_saved = Instant::now();
            save(saved.as_deref(), &key, report);
        }
        go_on()
    });
    bar.finish();
    interrupt::done();
    // Asked to stop after the last row, it is done all the same.
    if done.is_break() && report.checked < report.rows {
        save(saved.as_deref(), &key, &report);
        terminal.note(&format!(
            "{} of {} rows are checked; the same command goes on from there",
            report.checked, report.rows
        ));
        return Err(CliError::Interrupted);
    }
    if let Some(path) = &saved {
        // There may be none.
        let _ = std::fs::remove_file(path);
    }
    tell(args, &report)
}

fn tell(args: &DataCheckArgs, report: &Report) -> Result<(), CliError> {
    if args.json {
        print_json(&ReportJson {
            file: args.file.display().to_string(),
            report,
            left_out: report.left_out(),
        })?;
    } else {
        print(args, report)?;
    }
    match report.left_out() {
        0 => Ok(()),
        left_out => Err(CliError::Failed(format!(
            "{}: training would leave out {left_out} of {} rows",
            args.file.display(),
            report.rows
        ))),
    }
}

fn print(args: &DataCheckArgs, report: &Report) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "rows          {}", report.rows)?;
    writeln!(out, "with picture  {}", report.with_picture)?;
    writeln!(out, "trainable     {}", report.trainable)?;
    if args.tokenizer.is_some() {
        writeln!(out, "tokens        {}", report.ids)?;
        writeln!(out, "supervised    {}", report.supervised)?;
        writeln!(out, "longest       {}", report.longest)?;
    }
    for problem in Problem::ALL {
        let Some(found) = report.problems.get(&problem) else {
            continue;
        };
        let then = match problem.is_left_out() {
            true => "left out",
            false => "trained",
        };
        writeln!(out, "\n{problem}: {} ({then})", found.rows)?;
        for example in &found.first {
            // Names and texts of a file can hold anything.
            let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
            let message: String = example.message.chars().map(clean).collect();
            writeln!(out, "  row {}: {message}", example.row)?;
        }
    }
    Ok(out.flush()?)
}

/// What the result depends on, as hexadecimal digits.
fn key(args: &DataCheckArgs, data: &[u8; 32]) -> String {
    let mut digest = Sha256::new();
    digest.update(data);
    let settings = format!(
        "{:?} {:?} {:?} {} {}",
        args.images, args.tokenizer, args.template, args.max_length, args.quick
    );
    digest.update(settings);
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn load(path: &Path, key: &str) -> Option<Report> {
    let file = std::fs::read(path).ok()?;
    let state: State = serde_json::from_slice(&file).ok()?;
    (state.key == key).then_some(state.report)
}

/// Where it cannot be written, the next run begins anew.
fn save(path: Option<&Path>, key: &str, report: &Report) {
    let Some(path) = path.map(PathBuf::from) else {
        return;
    };
    let state = State {
        key: key.to_owned(),
        report: report.clone(),
    };
    let written = |out: &mut dyn Write| serde_json::to_writer(out, &state).map_err(Into::into);
    let _ = path.parent().map(std::fs::create_dir_all);
    let _ = mobilevlm_data::replace_file(&path, written);
}
