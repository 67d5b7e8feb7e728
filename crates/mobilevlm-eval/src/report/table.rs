//! A report as columns for a terminal and as tables for a document.

use std::fmt::Write as _;

use super::{Interval, Measured, Report, RunReport};

/// Cells by row; the first row is the heading.
type Table = Vec<Vec<String>>;

/// The report in columns.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for (title, table) in tables(report) {
        if !text.is_empty() {
            text.push('\n');
        }
        let width = |column: usize| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{title}");
        for row in &table {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = match at {
                    0 => write!(line, "{cell:<width$}"),
                    _ => write!(line, "  {cell:>width$}"),
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for (title, table) in tables(report) {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{title}\n");
        for (at, row) in table.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if at == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
    }
    text
}

/// A table for each run, then one for each comparison.
fn tables(report: &Report) -> Vec<(String, Table)> {
    let mut tables: Vec<(String, Table)> = report
        .runs
        .iter()
        .map(|run| (title(run), run_table(report, run)))
        .collect();
    for comparison in &report.comparisons {
        let heading = [
            "",
            "difference",
            "95 % interval",
            "agreement",
            "gained",
            "lost",
            "questions",
        ];
        let mut table: Table = vec![heading.map(str::to_owned).to_vec()];
        for task in &report.tasks {
            if let Some(compared) = comparison.tasks.get(task.name) {
                table.push(vec![
                    task.name.to_owned(),
                    signed(compared.shift.difference),
                    signed_span(compared.shift.interval),
                    format!("{:.1} %", 100.0 * compared.agreement),
                    compared.gained.to_string(),
                    compared.lost.to_string(),
                    compared.questions.to_string(),
                ]);
            }
        }
        if let Some(shift) = &comparison.average {
            let mut row = vec![
                "average".to_owned(),
                signed(shift.difference),
                signed_span(shift.interval),
            ];
            row.resize(table[0].len(), String::new());
            table.push(row);
        }
        tables.push((
            format!("{} against {}", comparison.run, comparison.with),
            table,
        ));
    }
    tables
}

/// What stands above a run's figures.
pub(super) fn title(run: &RunReport) -> String {
    match run.paper {
        Some(paper) => format!("{}, beside the paper's {paper}", run.name),
        None => run.name.clone(),
    }
}

fn run_table(report: &Report, run: &RunReport) -> Table {
    let heading = ["", "paper", "run", "difference", "95 % interval"];
    let mut table: Table = vec![heading.map(str::to_owned).to_vec()];
    let mut push = |name: &str, measured: &Measured| {
        let mut row = vec![
            name.to_owned(),
            figure(measured.paper),
            figure(measured.figure),
            signed(measured.difference),
            span(measured.interval),
        ];
        if let Some(partial) = measured.partial {
            row[2] += " partial";
            // The average has no questions of its own.
            if name != "average" {
                row[0] = format!("{name} ({} of {})", partial.scored, partial.questions);
            }
        }
        table.push(row);
    };
    for task in &report.tasks {
        if let Some(measured) = run.tasks.get(task.name) {
            push(task.name, measured);
        }
    }
    if let Some(average) = &run.average {
        push("average", average);
    }
    table
}

/// With one digit after the point, as the paper's.
pub(super) fn figure(figure: Option<f64>) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.1}"))
}

fn signed(difference: Option<f64>) -> String {
    difference.map_or("–".to_owned(), |difference| format!("{difference:+.1}"))
}

fn span(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |[low, high]| {
        format!("{low:.1} to {high:.1}")
    })
}

fn signed_span(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |[low, high]| {
        format!("{low:+.1} to {high:+.1}")
    })
}
