//! `mobilevlm score`: the official figures of recorded answers.

use std::io::{self, Write};

use mobilevlm_eval::{Answers, Benchmark, Figure, Figures, Partial, Score, benchmark, score};
use serde::Serialize;
use serde_json::Value;

use crate::args::ScoreArgs;
use crate::error::CliError;
use crate::terminal::{Terminal, print_json};

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    task: &'a str,
    /// `null` if there is nothing to divide by.
    paper_table_figure: Option<f64>,
    /// Its place among the figures.
    paper_table_figure_is: String,
    /// As the paper prints it.
    paper_table_printed: Option<String>,
    /// `null` if the figures are those of the whole benchmark.
    partial: Option<Partial>,
    figures: &'a Figures,
    notes: &'a [String],
    items: &'a Value,
}

pub(crate) fn run(args: &ScoreArgs, terminal: Terminal) -> Result<(), CliError> {
    let task = benchmark(&args.task)
        .ok_or_else(|| CliError::Failed(format!("{}: no such benchmark", args.task)))?;
    let answers = Answers::read(&args.answers)?;
    let score = score(task, &args.data, &answers, args.partial)?;
    for note in &score.notes {
        terminal.note(&format!("{}: {note}", args.answers.display()));
    }
    let (path, factor) = task.paper_table_figure();
    let report = Report {
        task: task.name(),
        paper_table_figure: score.paper_table_figure,
        paper_table_figure_is: match factor {
            1.0 => path.to_owned(),
            factor => format!("{path} * {factor}"),
        },
        paper_table_printed: score
            .paper_table_figure
            .map(|figure| format!("{figure:.1}")),
        partial: score.partial,
        figures: &score.figures,
        notes: &score.notes,
        items: &score.listing,
    };
    match args.json {
        true => print_json(&report)?,
        false => print(task, &report, &score)?,
    }
    match score.paper_table_figure {
        Some(_) => Ok(()),
        None => Err(undefined(args, &report)),
    }
}

/// Where the official script divides by zero.
fn undefined(args: &ScoreArgs, report: &Report<'_>) -> CliError {
    let answers = args.answers.display();
    let is = &report.paper_table_figure_is;
    let why = report.notes.join("; ");
    CliError::Failed(format!("{answers}: `{is}` has nothing to divide by: {why}"))
}

fn print(task: &dyn Benchmark, report: &Report<'_>, score: &Score) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let mark = match score.partial {
        Some(partial) => {
            let Partial { scored, questions } = partial;
            writeln!(out, "partial: {scored} of {questions} questions\n")?;
            "  partial"
        }
        None => "",
    };
    let mut rows = Vec::new();
    let place = match task.is_in_paper() {
        true => "in the paper's table",
        false => "in a table",
    };
    let name = format!("{place} ({})", report.paper_table_figure_is);
    rows.push((
        name,
        report
            .paper_table_printed
            .clone()
            .unwrap_or("undefined".to_owned()),
    ));
    collect(&score.figures, 0, task.decimals(), &mut rows);
    let width = rows
        .iter()
        .map(|row| row.0.chars().count())
        .max()
        .unwrap_or(0);
    for (name, value) in &rows {
        match value.is_empty() {
            true => writeln!(out, "{name}")?,
            false => writeln!(out, "{name:width$}  {value:>9}{mark}")?,
        }
    }
    Ok(out.flush()?)
}

/// A row for each figure, groups with their own indented below.
fn collect(figures: &Figures, depth: usize, decimals: usize, rows: &mut Vec<(String, String)>) {
    for (name, figure) in figures.iter() {
        let name = format!("{:1$}{name}", "", 2 * depth);
        match figure {
            Figure::Number(number) => rows.push((name, format!("{number:.decimals$}"))),
            Figure::Count(count) => rows.push((name, count.to_string())),
            Figure::Undefined => rows.push((name, "undefined".to_owned())),
            Figure::Group(figures) => {
                rows.push((name, String::new()));
                collect(figures, depth + 1, decimals, rows);
            }
        }
    }
}
