//! Draws a scene at any size.
//!
//! Every form is a function that says how far a place is from its edge, and one loop paints them
//! all, with smooth edges. Nothing but additions, multiplications, divisions and square roots is
//! used, which IEEE 754 defines to the bit: a scene has the same pixels on every machine.

mod canvas;
mod font;
mod outline;

use mobilevlm_processor::RgbImage;

use super::scene::{Background, Bar, Clock, Colour, Layout, Object, Pattern, REACH, Scene, Sign};
use canvas::{Canvas, Rgb, blend, rgb};
use font::Text;
use outline::{rectangle, segment};

pub(crate) use font::width as text_width;
pub(crate) use outline::{distance, length};

/// What is written and what hands are made of.
const INK: Rgb = [30.0, 30.0, 34.0];
/// The width of the darker edge around everything, in sides of the picture.
const EDGE: f32 = 0.009;
/// Where bars stand.
pub(crate) const CHART_FLOOR: f32 = 0.88;
/// The height of a bar of value 100.
pub(crate) const CHART_HEIGHT: f32 = 0.68;
/// The height of the digits above bars.
pub(crate) const LABEL_HEIGHT: f32 = 0.085;
/// Left and top of a grid; it ends as far from the other sides.
pub(crate) const GRID_MARGIN: f32 = 0.04;

/// Draws `scene` as a square picture of `size` pixels a side.
pub(crate) fn draw(scene: &Scene, size: usize) -> RgbImage {
    let mut canvas = background(&scene.background, size);
    if let Layout::Grid { rows, columns } = scene.layout {
        grid(&mut canvas, rows, columns);
    }
    if !scene.bars.is_empty() {
        axes(&mut canvas);
    }
    for bar in &scene.bars {
        draw_bar(&mut canvas, bar);
    }
    if let Some(clock) = &scene.clock {
        draw_clock(&mut canvas, clock);
    }
    for object in &scene.objects {
        draw_object(&mut canvas, object);
    }
    for sign in &scene.signs {
        draw_sign(&mut canvas, sign);
    }
    canvas.finish()
}

fn background(background: &Background, size: usize) -> Canvas {
    let (top, bottom) = (rgb(background.top), rgb(background.bottom));
    let pixel = 1.0 / size as f32;
    Canvas::new(size, |y| {
        let share = match background.has_horizon {
            true => ((y - 0.62) / pixel + 0.5).clamp(0.0, 1.0),
            false => y,
        };
        blend(top, bottom, share)
    })
}

/// A line with round ends.
fn line(canvas: &mut Canvas, a: (f32, f32), b: (f32, f32), width: f32, colour: Rgb) {
    let half = width / 2.0;
    let bounds = [
        a.0.min(b.0) - half,
        a.1.min(b.1) - half,
        a.0.max(b.0) + half,
        a.1.max(b.1) + half,
    ];
    let distance = |x, y| segment((x, y), a, b) - half;
    canvas.fill(bounds, distance, |_, _, _| colour);
}

/// The darker colour of an edge; black has a paler one.
fn edge_of(colour: Colour) -> Rgb {
    match colour {
        Colour::Black => [92.0, 92.0, 98.0],
        Colour::White => [120.0, 120.0, 126.0],
        _ => blend(rgb(colour.rgb()), [0.0; 3], 0.4),
    }
}

fn grid(canvas: &mut Canvas, rows: usize, columns: usize) {
    let (low, high) = (GRID_MARGIN, 1.0 - GRID_MARGIN);
    let grey = [150.0, 150.0, 158.0];
    for row in 0..=rows {
        let y = low + (high - low) * row as f32 / rows as f32;
        line(canvas, (low, y), (high, y), EDGE, grey);
    }
    for column in 0..=columns {
        let x = low + (high - low) * column as f32 / columns as f32;
        line(canvas, (x, low), (x, high), EDGE, grey);
    }
}

fn draw_object(canvas: &mut Canvas, object: &Object) {
    let Object { x, y, radius, .. } = *object;
    let reach = radius * REACH;
    let bounds = [x - reach, y - reach, x + reach, y + reach];
    let tinted = [0, 1, 2].map(|i| f32::from(object.colour.rgb()[i]) + f32::from(object.tint[i]));
    let (edge, second) = (edge_of(object.colour), second_colour(object.colour));
    let side = canvas.side();
    canvas.fill(
        bounds,
        |px, py| distance(object.shape, (px - x) / radius, (py - y) / radius) * radius,
        |px, py, d| {
            let (u, v) = ((px - x) / radius, (py - y) / radius);
            let from_second = pattern_distance(object.pattern, u, v) * radius;
            let share = (0.5 - from_second * side).clamp(0.0, 1.0);
            let surface = blend(tinted, second, share);
            blend(surface, edge, ((d + EDGE) * side + 0.5).clamp(0.0, 1.0))
        },
    );
}

/// What a pattern puts between the object's own colour: of the same hue, so that the object
/// keeps its colour's name.
fn second_colour(colour: Colour) -> Rgb {
    let own = rgb(colour.rgb());
    match colour {
        Colour::Yellow | Colour::White | Colour::Pink => blend(own, [60.0; 3], 0.42),
        _ => blend(own, [255.0; 3], 0.62),
    }
}

/// How far a place is from the pattern's second colour, in radii.
fn pattern_distance(pattern: Pattern, u: f32, v: f32) -> f32 {
    /// From the middle of the nearest of many, `period` apart.
    fn from_nearest(at: f32, period: f32) -> f32 {
        let turns = at / period;
        (turns - (turns + 0.5).floor()) * period
    }
    match pattern {
        Pattern::Plain => f32::MAX,
        Pattern::Striped => from_nearest((u + v) * 0.707, 0.5).abs() - 0.1,
        Pattern::Dotted => length(from_nearest(u, 0.56), from_nearest(v, 0.56)) - 0.15,
        Pattern::Checked => {
            let cell = 0.46;
            let in_cell = |at: f32| cell / 2.0 - from_nearest(at - cell / 2.0, cell).abs();
            let is_second = ((u / cell).floor() + (v / cell).floor()) as i32 % 2 != 0;
            let inside = in_cell(u).min(in_cell(v));
            if is_second { -inside } else { inside }
        }
    }
}

fn draw_sign(canvas: &mut Canvas, sign: &Sign) {
    let mut ink = INK;
    if let Some(board) = sign.board {
        let (half_width, half_height) = board_size(sign);
        let corner = sign.height * 0.3;
        let bounds = [
            sign.x - half_width,
            sign.y - half_height,
            sign.x + half_width,
            sign.y + half_height,
        ];
        let side = canvas.side();
        let (surface, edge) = (rgb(board.rgb()), edge_of(board));
        canvas.fill(
            bounds,
            |x, y| {
                let (x, y) = (x - sign.x, y - sign.y);
                rectangle(x, y, half_width - corner, half_height - corner) - corner
            },
            |_, _, d| blend(surface, edge, ((d + EDGE) * side + 0.5).clamp(0.0, 1.0)),
        );
        if is_dark(board) {
            ink = [252.0; 3];
        }
    }
    let text = Text {
        text: &sign.text,
        x: sign.x,
        y: sign.y,
        height: sign.height,
        weight: sign.weight,
        slant: sign.slant,
        ink,
    };
    text.draw(canvas);
}

/// Half of a board's width and height, whether it is drawn or not.
pub(crate) fn board_size(sign: &Sign) -> (f32, f32) {
    let half_width = (text_width(&sign.text) / 2.0 + 0.5 + sign.slant / 2.0) * sign.height;
    (half_width, sign.height * 0.92)
}

fn is_dark(colour: Colour) -> bool {
    !matches!(
        colour,
        Colour::Yellow | Colour::White | Colour::Pink | Colour::Orange
    )
}

fn axes(canvas: &mut Canvas) {
    let (left, right) = (0.06, 0.95);
    line(canvas, (left, 0.08), (left, CHART_FLOOR), EDGE * 1.4, INK);
    for tenth in (20..=100).step_by(20) {
        let y = CHART_FLOOR - CHART_HEIGHT * tenth as f32 / 100.0;
        line(canvas, (left, y), (right, y), EDGE * 0.5, [170.0; 3]);
    }
    let floor = (left, CHART_FLOOR);
    line(canvas, floor, (right, CHART_FLOOR), EDGE * 1.4, INK);
}

fn draw_bar(canvas: &mut Canvas, bar: &Bar) {
    let height = CHART_HEIGHT * f32::from(bar.value) / 100.0;
    let (half, top) = (bar.width / 2.0, CHART_FLOOR - height);
    let bounds = [bar.x - half, top, bar.x + half, CHART_FLOOR];
    let side = canvas.side();
    let (surface, edge) = (rgb(bar.colour.rgb()), edge_of(bar.colour));
    canvas.fill(
        bounds,
        |x, y| rectangle(x - bar.x, y - (top + height / 2.0), half, height / 2.0),
        |_, _, d| blend(surface, edge, ((d + EDGE) * side + 0.5).clamp(0.0, 1.0)),
    );
    if bar.is_labelled {
        let text = Text {
            text: &bar.value.to_string(),
            x: bar.x,
            y: top - LABEL_HEIGHT * 0.85,
            height: LABEL_HEIGHT,
            weight: 0.15,
            slant: 0.0,
            ink: INK,
        };
        text.draw(canvas);
    }
}

fn draw_clock(canvas: &mut Canvas, clock: &Clock) {
    let Clock { x, y, radius, .. } = *clock;
    let bounds = [x - radius, y - radius, x + radius, y + radius];
    let side = canvas.side();
    let rim_width = radius * 0.1;
    canvas.fill(
        bounds,
        |px, py| length(px - x, py - y) - radius,
        |_, _, d| {
            let share = ((d + rim_width) * side + 0.5).clamp(0.0, 1.0);
            blend([250.0, 250.0, 246.0], rgb(clock.rim.rgb()), share)
        },
    );
    let at = |(dx, dy): (f32, f32), far: f32| (x + dx * radius * far, y + dy * radius * far);
    for hour in 0..12 {
        let to = direction(f32::from(hour as u8));
        let is_quarter = hour % 3 == 0;
        let (from, width) = if is_quarter {
            (0.68, 0.07)
        } else {
            (0.76, 0.04)
        };
        line(canvas, at(to, from), at(to, 0.83), radius * width, INK);
    }
    let minutes = f32::from(clock.minute);
    let hour = direction(f32::from(clock.hour % 12) + minutes / 60.0);
    let minute = direction(minutes / 5.0);
    line(canvas, at(hour, -0.08), at(hour, 0.42), radius * 0.13, INK);
    line(
        canvas,
        at(minute, -0.1),
        at(minute, 0.74),
        radius * 0.07,
        INK,
    );
    line(canvas, at(hour, 0.0), at(hour, 0.001), radius * 0.2, INK);
}

/// Where an hour is on a clock's face, as a direction from its middle with y pointing down.
///
/// Between two hours, the straight line between theirs is followed; that is less than a
/// fifth of a degree off.
fn direction(hour: f32) -> (f32, f32) {
    const HALF_ROOT_3: f32 = 0.866_025_4;
    let whole = |hour: usize| -> (f32, f32) {
        let (x, y) = match hour % 3 {
            0 => (0.0, -1.0),
            1 => (0.5, -HALF_ROOT_3),
            _ => (HALF_ROOT_3, -0.5),
        };
        // A quarter of a turn for every three hours.
        match hour % 12 / 3 {
            0 => (x, y),
            1 => (-y, x),
            2 => (-x, -y),
            _ => (y, -x),
        }
    };
    let before = hour.floor();
    let (a, b) = (whole(before as usize), whole(before as usize + 1));
    let share = hour - before;
    let (x, y) = (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share);
    let far = length(x, y);
    (x / far, y / far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_point_where_the_hour_is() {
        for quarter in 0..48 {
            let hour = quarter as f32 / 4.0;
            let angle = hour * std::f32::consts::TAU / 12.0;
            let (x, y) = direction(hour);
            let (dx, dy) = (x - angle.sin(), y + angle.cos());
            assert!(length(dx, dy) < 0.003, "{hour}: {x} {y}");
        }
    }
}
