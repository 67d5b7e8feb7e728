//! docs/ablation.svg: accuracy and loss of every variant, with what seeds do.

use std::fmt::Write;

use super::cells::{Cell, TABLE_6, TABLE_7};
use super::page::Report;
use super::statistics::Spread;

const WIDTH: f64 = 940.0;
/// Between the left edge and the first panel: names.
const LEFT: f64 = 300.0;
const PANEL: f64 = 270.0;
const GAP: f64 = 50.0;
const TOP: f64 = 70.0;
const ROW: f64 = 30.0;
/// Above a table's first row.
const HEADING: f64 = 34.0;

/// Okabe and Ito's colours.
const INK: &str = "#0072B2";
const GREY: &str = "#D55E00";

/// A panel's values of a cell.
struct Values {
    spread: Spread,
    each: Vec<f64>,
}

/// Draws it. The same report gives the same text.
pub(super) fn picture(report: &Report) -> String {
    let tables: [(&str, &[Cell]); 2] = [
        ("Table 6: projector, and what learns in stage 1", &TABLE_6),
        ("Table 7: parts of LDPv2", &TABLE_7),
    ];
    let rows: usize = tables.iter().map(|(_, cells)| cells.len()).sum();
    let bottom = TOP + rows as f64 * ROW + 2.0 * HEADING;
    let height = bottom + 60.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Ablation on the synthetic world</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let accuracy = |cell: Cell| values(report, cell, &|row| row.0 * 100.0);
    let loss = |cell: Cell| values(report, cell, &|row| row.1);
    let majority = Some(100.0 * report.majority());
    panel(
        &mut svg,
        LEFT,
        bottom,
        "accuracy, %",
        &tables,
        &accuracy,
        majority,
    );
    panel(
        &mut svg,
        LEFT + PANEL + GAP,
        bottom,
        "loss of stage 2",
        &tables,
        &loss,
        None,
    );
    let mut y = TOP;
    for (title, cells) in tables {
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>",
            y + 22.0
        );
        y += HEADING;
        for cell in cells {
            let learns = match cell.language_in_stage1 {
                true => "",
                false => ", stage 1 frozen",
            };
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}{learns}</text>",
                LEFT - 16.0,
                y + 0.5 * ROW + 4.5,
                cell.projector.title()
            );
            y += ROW;
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"16\" y=\"{:.1}\" fill=\"#555\">Rings: seeds. Dot and bar: mean ± standard \
         deviation. Dashed: the most frequent answer.</text>\n</svg>",
        bottom + 48.0
    );
    svg
}

/// Accuracy and loss of each run of a cell, summed up by `value`.
fn values(report: &Report, cell: Cell, value: &dyn Fn((f64, f64)) -> f64) -> Option<Values> {
    let outcomes = report.outcomes.iter();
    let each: Vec<f64> = outcomes
        .filter(|outcome| outcome.cell == cell)
        .map(|outcome| {
            value((
                outcome.mean(|figures| figures.accuracy),
                outcome.stage2.loss,
            ))
        })
        .collect();
    Some(Values {
        spread: Spread::of(&each)?,
        each,
    })
}

fn panel(
    svg: &mut String,
    left: f64,
    bottom: f64,
    title: &str,
    tables: &[(&str, &[Cell])],
    values: &dyn Fn(Cell) -> Option<Values>,
    line: Option<f64>,
) {
    let cells: Vec<Cell> = tables
        .iter()
        .flat_map(|(_, cells)| cells.to_vec())
        .collect();
    let mut all: Vec<f64> = line.into_iter().collect();
    for found in cells.iter().filter_map(|cell| values(*cell)) {
        all.extend(&found.each);
        all.extend([
            found.spread.mean - found.spread.sd,
            found.spread.mean + found.spread.sd,
        ]);
    }
    let axis = Axis::of(&all);
    let x = |value: f64| left + axis.place(value) * PANEL;
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-weight=\"bold\">{title}</text>",
        left + 0.5 * PANEL,
        TOP - 26.0
    );
    for tick in axis.ticks() {
        let at = x(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            TOP,
            bottom + 18.0,
            axis.text(tick)
        );
    }
    if let Some(line) = line {
        let at = x(line);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP:.1}\" y2=\"{bottom:.1}\" \
             stroke=\"{GREY}\" stroke-dasharray=\"5 4\"/>"
        );
    }
    let mut y = TOP;
    for (_, cells) in tables {
        y += HEADING;
        for cell in *cells {
            let middle = y + 0.5 * ROW;
            y += ROW;
            let Some(Values { spread, each }) = values(*cell) else {
                continue;
            };
            let (low, high) = (x(spread.mean - spread.sd), x(spread.mean + spread.sd));
            let _ = writeln!(
                svg,
                "<line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" \
                 stroke=\"{INK}\" stroke-width=\"2\"/>"
            );
            for value in each {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"3.5\" fill=\"none\" \
                     stroke=\"{INK}\"/>",
                    x(value)
                );
            }
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"5\" fill=\"{INK}\"/>",
                x(spread.mean)
            );
        }
    }
}

/// An axis with round ticks.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Holds all values; they are finite.
    fn of(values: &[f64]) -> Axis {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (mut low, mut high) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        );
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = (high - low).max(1e-3);
        let rough = span / 4.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let factors = [1.0, 2.0, 5.0, 10.0];
        let factor = factors.into_iter().find(|factor| factor * power >= rough);
        let step = factor.unwrap_or(10.0) * power;
        Axis {
            low: (low / step).floor() * step,
            high: ((high / step).ceil() * step).max((low / step).floor() * step + step),
            step,
        }
    }

    /// Where a value is, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        (0..=count)
            .map(|tick| self.low + tick as f64 * self.step)
            .collect()
    }

    /// A tick's value with as many digits as its distance to the next needs.
    fn text(&self, tick: f64) -> String {
        let digits = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{tick:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablation::page::tests::report;

    #[test]
    fn axes_hold_their_values_and_have_a_few_round_ticks() {
        for values in [
            &[41.0, 56.5][..],
            &[0.4312, 0.4357],
            &[0.5],
            &[],
            &[-3.0, 1e4],
        ] {
            let axis = Axis::of(values);
            let inside = |value: &f64| (-1e-9..=1.0 + 1e-9).contains(&axis.place(*value));
            assert!(values.iter().all(inside), "{values:?}");
            assert!((2..=7).contains(&axis.ticks().len()), "{values:?}");
        }
        let axis = Axis::of(&[41.0, 56.5]);
        let texts: Vec<String> = axis.ticks().iter().map(|tick| axis.text(*tick)).collect();
        assert_eq!(texts, ["40", "45", "50", "55", "60"]);
    }

    #[test]
    fn every_run_is_in_the_picture() {
        let report = report(|place, seed| 0.3 + 0.05 * place as f64 + 0.01 * seed as f64);
        let svg = picture(&report);
        // Two panels, eight rows, three seeds and a mean.
        assert_eq!(svg.matches("<circle").count(), 2 * 8 * (3 + 1));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg, picture(&report));
    }
}
