//! A picture of a run: loss, learning rates, gradient norm and scores over the steps, as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::metrics::Record;

/// How values are laid out along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long; values that are not positive are left out.
    Log,
}

/// How a run is drawn.
#[derive(Clone, Debug, Default)]
pub struct PlotOptions {
    /// The heading.
    pub title: String,
    /// The scale of loss and gradient norm; nothing chooses for each of them: `Log` where the
    /// values span more than a factor of 30.
    pub scale: Option<Scale>,
}

const WIDTH: f64 = 900.0;
const PANEL: f64 = 230.0;
const TOP: f64 = 50.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 190.0;
/// Between a panel's frame and the next panel: labels of steps, the next heading.
const GAP: f64 = 60.0;

/// No value of a run that is of use is larger, and differences of these are finite.
const LARGEST: f64 = 1e100;

/// Columns that a curve is summed up in.
const COLUMNS: usize = 400;

/// Ratio of values from which on they are drawn in logarithms.
const WIDE: f64 = 30.0;

/// Okabe and Ito's colours, which people who see few colours can tell apart.
const COLOURS: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000",
];

/// Draws a run. The same records give the same text.
pub fn plot(records: &[Record], options: &PlotOptions) -> String {
    let panels = panels(records, options.scale);
    let panels: Vec<&Panel> = panels
        .iter()
        .filter(|panel| !panel.curves.is_empty())
        .collect();
    let last = records.iter().map(Record::step).max().unwrap_or(1).max(1);
    let steps = Axis::new(0.0, last as f64, Scale::Linear);
    let height = TOP + panels.len().max(1) as f64 * (PANEL + GAP);
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    text(
        &mut svg,
        (LEFT, 26.0),
        "start",
        "font-size=\"17\"",
        &options.title,
    );
    if panels.is_empty() {
        text(
            &mut svg,
            (LEFT, TOP + 40.0),
            "start",
            "",
            "no step is done yet",
        );
    }
    for (place, panel) in panels.iter().enumerate() {
        let top = TOP + 20.0 + place as f64 * (PANEL + GAP);
        panel.draw(&mut svg, top, &steps);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A diagram.
struct Panel {
    title: &'static str,
    curves: Vec<Curve>,
    scale: Option<Scale>,
    /// Whether single values are marked.
    dots: bool,
}

struct Curve {
    name: String,
    /// Steps and values, none beyond [`LARGEST`].
    points: Vec<(f64, f64)>,
}

fn panels(records: &[Record], scale: Option<Scale>) -> [Panel; 4] {
    let (mut loss, mut norm) = (Vec::new(), Vec::new());
    let mut rates: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    let mut scores: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for record in records {
        let step = record.step() as f64;
        match record {
            Record::Step(record) => {
                loss.extend(record.loss.map(|loss| (step, loss)));
                norm.extend(record.gradient_norm.map(|norm| (step, norm)));
                for (name, rate) in &record.learning_rates {
                    rates.entry(name).or_default().push((step, *rate));
                }
            }
            Record::Evaluation(record) => {
                for (name, score) in &record.scores {
                    scores.entry(name).or_default().push((step, *score));
                }
            }
        }
    }
    let panel = |title, curves: Vec<(&str, Vec<(f64, f64)>)>, scale, dots| Panel {
        title,
        curves: curves
            .into_iter()
            .map(|(name, mut points)| {
                points.retain(|point| point.1.abs() <= LARGEST);
                Curve {
                    name: name.to_owned(),
                    points,
                }
            })
            .filter(|curve| !curve.points.is_empty())
            .collect(),
        scale,
        dots,
    };
    [
        panel("loss", vec![("loss", loss)], scale, false),
        panel(
            "learning rate",
            rates.into_iter().collect(),
            Some(Scale::Linear),
            false,
        ),
        panel(
            "gradient norm before clipping",
            vec![("norm", norm)],
            scale,
            false,
        ),
        panel(
            "held-out data",
            scores.into_iter().collect(),
            Some(Scale::Linear),
            true,
        ),
    ]
}

impl Panel {
    fn draw(&self, svg: &mut String, top: f64, steps: &Axis) {
        let values = || self.curves.iter().flat_map(|curve| &curve.points);
        let scale = self.scale.unwrap_or_else(|| {
            let least = values().fold(f64::INFINITY, |least, point| least.min(point.1));
            let most = values().fold(0.0_f64, |most, point| most.max(point.1));
            match least > 0.0 && most / least > WIDE {
                true => Scale::Log,
                false => Scale::Linear,
            }
        });
        let shown = |value: f64| scale == Scale::Linear || value > 0.0;
        let shown_values = || values().map(|point| point.1).filter(|value| shown(*value));
        let least = shown_values().fold(f64::INFINITY, f64::min);
        let most = shown_values().fold(f64::NEG_INFINITY, f64::max);
        // All values left out: an axis without a curve.
        let (least, most) = match least <= most {
            true => (least, most),
            false => (1.0, 10.0),
        };
        let axis = Axis::new(least, most, scale);
        let heading = match scale {
            Scale::Linear => self.title.to_owned(),
            Scale::Log => format!("{} (logarithmic)", self.title),
        };
        let bold = "font-weight=\"bold\"";
        text(svg, (LEFT, top - 8.0), "start", bold, &heading);
        self.frame(svg, top, steps, &axis);
        let x = |step: f64| LEFT + steps.place(step) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| top + PANEL - axis.place(value) * PANEL;
        for (number, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let columns = columns(&curve.points, steps.end, shown);
            if columns.iter().any(|column| column.least < column.most) {
                let up = columns.iter().map(|column| (column.step, column.most));
                let down = columns.iter().rev().map(|c| (c.step, c.least));
                let band = up
                    .chain(down)
                    .map(|(step, value)| format!("{:.1},{:.1}", x(step), y(value)));
                let band: Vec<String> = band.collect();
                let _ = writeln!(
                    svg,
                    "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.18\"/>",
                    band.join(" ")
                );
            }
            let line: Vec<String> = columns
                .iter()
                .map(|column| format!("{:.1},{:.1}", x(column.step), y(column.mean)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
                line.join(" ")
            );
            // A line through one point is invisible.
            if self.dots || columns.len() == 1 {
                for column in &columns {
                    let (x, y) = (x(column.step), y(column.mean));
                    let _ = writeln!(
                        svg,
                        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                    );
                }
            }
            if self.curves.len() > 1 || self.dots {
                let (x, y) = (WIDTH - RIGHT + 14.0, top + 14.0 + number as f64 * 18.0);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{}\" width=\"16\" height=\"4\" fill=\"{colour}\"/>",
                    y - 6.0
                );
                text(svg, (x + 22.0, y), "start", "", &curve.name);
            }
        }
    }

    fn frame(&self, svg: &mut String, top: f64, steps: &Axis, axis: &Axis) {
        let (right, bottom) = (WIDTH - RIGHT, top + PANEL);
        for (value, label) in axis.ticks() {
            let y = bottom - axis.place(value) * PANEL;
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#dddddd\"/>"
            );
            text(svg, (LEFT - 8.0, y + 4.5), "end", "", &label);
        }
        for (value, label) in steps.ticks() {
            let x = LEFT + steps.place(value) * (right - LEFT);
            let _ = writeln!(svg, "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#444444\"/>");
            text(svg, (x, bottom + 19.0), "middle", "", &label);
        }
        text(svg, (right + 34.0, bottom + 19.0), "start", "", "step");
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{PANEL}\" fill=\"none\" stroke=\"#444444\"/>",
            right - LEFT
        );
    }
}

/// The points of a curve that fall together.
struct Column {
    step: f64,
    least: f64,
    mean: f64,
    most: f64,
}

fn columns(points: &[(f64, f64)], end: f64, shown: impl Fn(f64) -> bool) -> Vec<Column> {
    let mut grouped: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for point in points.iter().filter(|point| shown(point.1)) {
        let column = point.0 / end * COLUMNS as f64;
        grouped.entry(column as usize).or_default().push(*point);
    }
    grouped
        .into_values()
        .map(|points| {
            let count = points.len() as f64;
            let values = || points.iter().map(|point| point.1);
            Column {
                step: points.iter().map(|point| point.0).sum::<f64>() / count,
                least: values().fold(f64::INFINITY, f64::min),
                mean: values().sum::<f64>() / count,
                most: values().fold(f64::NEG_INFINITY, f64::max),
            }
        })
        .collect()
}

/// Values along one side of a panel.
struct Axis {
    start: f64,
    end: f64,
    scale: Scale,
}

impl Axis {
    /// An axis that has room for these values.
    fn new(least: f64, most: f64, scale: Scale) -> Axis {
        let (start, end) = match scale {
            Scale::Linear => {
                // Differences far below the values themselves cannot be drawn.
                let size = least.abs().max(most.abs());
                let step = tick_distance((most - least).max(1e-6 * size));
                let (start, end) = ((least / step).floor() * step, (most / step).ceil() * step);
                match start < end {
                    true => (start, end),
                    // All values are equal.
                    false => (start - step, end + step),
                }
            }
            Scale::Log => {
                // The nearest of 1, 2, 5, 10 outwards.
                let start = marks(least)
                    .rev()
                    .find(|mark| *mark <= least)
                    .unwrap_or(least);
                let end = marks(most).find(|mark| *mark >= most).unwrap_or(most);
                match start < end {
                    true => (start, end),
                    false => (start / 2.0, end * 2.0),
                }
            }
        };
        Axis { start, end, scale }
    }

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.start) / (self.end - self.start),
            Scale::Log => (value / self.start).ln() / (self.end / self.start).ln(),
        }
    }

    /// Round values and their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        let values: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = tick_distance(self.end - self.start);
                let count = ((self.end - self.start) / step).round() as usize;
                let value = |i| self.start + i as f64 * step;
                // 0 must not come out as 1e-17.
                let exact = |value: f64| (value / step).round() * step;
                (0..=count).map(value).map(exact).collect()
            }
            Scale::Log => {
                let decades = (self.end / self.start).log10();
                let (first, last) = (self.start.log10().floor(), self.end.log10().ceil());
                let every = (decades / 6.0).ceil().max(1.0);
                let mut values = Vec::new();
                let mut exponent = first;
                while exponent <= last {
                    let marks: &[f64] = match decades < 2.0 {
                        true => &[1.0, 2.0, 5.0],
                        false => &[1.0],
                    };
                    values.extend(marks.iter().map(|mark| mark * 10_f64.powf(exponent)));
                    exponent += every;
                }
                let slack = 1.0 + 1e-9;
                values.retain(|value| *value * slack >= self.start && *value <= self.end * slack);
                values
            }
        };
        let label = |value| (value, number(value));
        values.into_iter().map(label).collect()
    }
}

/// 1, 2, 5, 10 of the decade below, that of and above `value`, rising.
fn marks(value: f64) -> impl DoubleEndedIterator<Item = f64> {
    let exponent = value.log10().floor() as i32;
    (exponent - 1..=exponent + 1)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|mark| mark * 10_f64.powi(exponent)))
}

/// 1, 2 or 5 times a power of ten, so that there are about five ticks in `span`.
fn tick_distance(span: f64) -> f64 {
    if span <= 0.0 {
        return 1.0;
    }
    let raw = span / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let rest = raw / power;
    let factor = match rest {
        rest if rest < 1.5 => 1.0,
        rest if rest < 3.5 => 2.0,
        rest if rest < 7.5 => 5.0,
        _ => 10.0,
    };
    factor * power
}

/// A number as people write it: 0.05, 1200, 2e-5.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        // Rounded first: 2 × 1e-5 is not exactly 2e-5.
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{exponent}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, more: &str, content: &str) {
    let mut escaped = String::new();
    for character in content.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no way to write these.
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    let (x, y) = at;
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\" {more}>{escaped}</text>"
    );
}

#[cfg(test)]
mod tests;
