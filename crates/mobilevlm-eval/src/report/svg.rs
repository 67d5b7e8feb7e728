//! A report as a picture: every figure with its interval, beside the paper's.

use std::fmt::Write as _;

use super::paper::scale;
use super::table::figure;
use super::{Measured, Report, escape};

/// Pixels: of the names on the left, of the scale from 0 to 100, of the figures on the right.
const COLUMNS: [f64; 3] = [110.0, 400.0, 210.0];

/// Pixels of a run's row, and of what stands between two benchmarks.
const ROW: f64 = 18.0;

/// Colours of the runs, one after the other; told apart by the colour-blind too (Okabe and Ito).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// The report as SVG. MME is shown by the scale of the others, a twentieth of its own.
pub fn svg(report: &Report) -> String {
    let names = report.tasks.iter().map(|task| task.name);
    let has_average = report.runs.iter().any(|run| run.average.is_some());
    let names: Vec<&str> = names.chain(has_average.then_some("average")).collect();
    let runs = report.runs.len() as f64;
    let top = 30.0 + ROW * runs;
    let height = top + names.len() as f64 * ROW * (runs + 1.0) + 20.0;
    let width: f64 = COLUMNS.iter().sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    // Writing to a string cannot fail.
    for (at, run) in report.runs.iter().enumerate() {
        let y = 20.0 + ROW * at as f64;
        let _ = writeln!(
            svg,
            "<circle cx=\"14\" cy=\"{}\" r=\"4\" fill=\"{}\"/><text x=\"24\" y=\"{y}\">{}</text>",
            y - 4.0,
            colour(at),
            escape(&super::table::title(run))
        );
    }
    let bottom = height - 20.0;
    for level in (0..=100).step_by(20) {
        let x = x(f64::from(level));
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {top}V{bottom}\" stroke=\"#ddd\"/><text x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\" fill=\"#666\">{level}</text>",
            bottom + 14.0
        );
    }
    let mut y = top;
    for name in names {
        y += ROW;
        let label = match scale(name) {
            1.0 => name.to_owned(),
            scale => format!("{name} / {scale}"),
        };
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{label}</text>", y + 4.0);
        for (at, run) in report.runs.iter().enumerate() {
            let measured = match name {
                "average" => run.average.as_ref(),
                name => run.tasks.get(name),
            };
            if let Some(measured) = measured {
                row(&mut svg, name, measured, y, colour(at));
            }
            y += ROW;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The paper's value as an upright stroke, the interval as a line, the figure as a dot and in
/// digits.
fn row(svg: &mut String, name: &str, measured: &Measured, y: f64, colour: &str) {
    let place = |figure: f64| x(figure / scale(name));
    if let Some(paper) = measured.paper {
        let (x, top, bottom) = (place(paper), y - 7.0, y + 7.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"black\" stroke-width=\"2\"/>"
        );
    }
    if let Some([low, high]) = measured.interval {
        let (low, high) = (place(low), place(high));
        let _ = writeln!(
            svg,
            "<path d=\"M{low:.1} {y}H{high:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
    }
    let Some(found) = measured.figure else {
        return;
    };
    let mut digits = figure(Some(found));
    if let Some(paper) = measured.paper {
        let _ = write!(digits, " (paper {})", figure(Some(paper)));
    }
    if measured.partial.is_some() {
        digits += " partial";
    }
    let (x, right) = (place(found), COLUMNS[0] + COLUMNS[1] + 15.0);
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"4\" fill=\"{colour}\"/>\
         <text x=\"{right}\" y=\"{}\" fill=\"{colour}\">{digits}</text>",
        y + 4.0
    );
}

/// Where a percentage stands.
fn x(percent: f64) -> f64 {
    COLUMNS[0] + COLUMNS[1] * percent.clamp(0.0, 100.0) / 100.0
}

fn colour(run: usize) -> &'static str {
    COLOURS[run % COLOURS.len()]
}
