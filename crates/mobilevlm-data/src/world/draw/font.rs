//! Capital letters and digits, written with a round pen.

use super::canvas::{Canvas, Rgb};
use super::outline::segment;

/// A text on the canvas.
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    /// Its middle.
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// Of a letter, in sides of the picture.
    pub(crate) height: f32,
    /// The pen's width, in heights.
    pub(crate) weight: f32,
    /// To the right, in heights for a height.
    pub(crate) slant: f32,
    pub(crate) ink: Rgb,
}

/// Grid units in a letter's height.
const HEIGHT: f32 = 12.0;
/// Grid units between two letters.
const GAP: f32 = 4.0;

/// The width of a text, in heights of a letter, without the pen's own.
pub(crate) fn width(text: &str) -> f32 {
    let widths: f32 = text.chars().map(glyph_width).sum();
    let gaps = text.chars().count().saturating_sub(1) as f32 * GAP;
    (widths + gaps) / HEIGHT
}

impl Text<'_> {
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        let unit = self.height / HEIGHT;
        let pen = self.height * self.weight / 2.0;
        let mut left = self.x - width(self.text) * self.height / 2.0;
        for letter in self.text.chars() {
            let place = |(x, y): (f32, f32)| {
                let lean = self.slant * (HEIGHT / 2.0 - y);
                let y = self.y + (y - HEIGHT / 2.0) * unit;
                (left + (x + lean) * unit, y)
            };
            let lines: Vec<Vec<_>> = strokes(letter)
                .iter()
                .map(|stroke| stroke.points().into_iter().map(place).collect())
                .collect();
            let points = lines.iter().flatten();
            let bounds = points.fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |b, p| {
                [
                    b[0].min(p.0 - pen),
                    b[1].min(p.1 - pen),
                    b[2].max(p.0 + pen),
                    b[3].max(p.1 + pen),
                ]
            });
            let distance = |x: f32, y: f32| {
                let pairs = lines.iter().flat_map(|line| line.windows(2));
                let nearest = pairs.map(|pair| segment((x, y), pair[0], pair[1]));
                nearest.fold(f32::MAX, f32::min) - pen
            };
            canvas.fill(bounds, distance, |_, _, _| self.ink);
            left += (glyph_width(letter) + GAP) * unit;
        }
    }
}

fn glyph_width(letter: char) -> f32 {
    let points = strokes(letter).iter().flat_map(|stroke| match stroke {
        Stroke::Line(points) | Stroke::Curve(points) => points.iter(),
    });
    points.map(|point| f32::from(point.0)).fold(0.0, f32::max)
}

/// A movement of the pen through points of a grid: 8 wide, 12 high, y pointing down.
enum Stroke {
    /// From corner to corner.
    Line(&'static [(u8, u8)]),
    /// The same with the corners cut, ends apart.
    Curve(&'static [(u8, u8)]),
}

impl Stroke {
    fn points(&self) -> Vec<(f32, f32)> {
        let real = |points: &[(u8, u8)]| -> Vec<(f32, f32)> {
            let real = |&(x, y): &(u8, u8)| (f32::from(x), f32::from(y));
            points.iter().map(real).collect()
        };
        match self {
            Stroke::Line(points) => real(points),
            Stroke::Curve(points) => cut_corners(&cut_corners(&real(points))),
        }
    }
}

/// Chaikin's rule: each side gives two points, at a quarter and three quarters of it.
fn cut_corners(points: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let between =
        |a: (f32, f32), b: (f32, f32), at: f32| (a.0 + (b.0 - a.0) * at, a.1 + (b.1 - a.1) * at);
    let mut cut = Vec::with_capacity(points.len() * 2);
    cut.extend(points.first());
    for pair in points.windows(2) {
        cut.push(between(pair[0], pair[1], 0.25));
        cut.push(between(pair[0], pair[1], 0.75));
    }
    cut.extend(points.last());
    cut
}

/// How a letter or digit is written; nothing for what the font lacks.
#[rustfmt::skip] // A stroke is read as one line.
fn strokes(letter: char) -> &'static [Stroke] {
    use Stroke::{Curve, Line};
    match letter {
        'A' => &[Line(&[(0, 12), (4, 0), (8, 12)]), Line(&[(1, 8), (7, 8)])],
        'B' => &[Line(&[(0, 12), (0, 0)]), Curve(&[(0, 0), (7, 0), (7, 6), (0, 6)]), Curve(&[(0, 6), (8, 6), (8, 12), (0, 12)])],
        'C' => &[Curve(&[(8, 2), (7, 0), (0, 0), (0, 12), (7, 12), (8, 10)])],
        'D' => &[Line(&[(0, 12), (0, 0)]), Curve(&[(0, 0), (8, 0), (8, 12), (0, 12)])],
        'E' => &[Line(&[(7, 0), (0, 0), (0, 12), (7, 12)]), Line(&[(0, 6), (6, 6)])],
        'F' => &[Line(&[(7, 0), (0, 0), (0, 12)]), Line(&[(0, 6), (6, 6)])],
        'G' => &[Curve(&[(8, 2), (7, 0), (0, 0), (0, 12), (8, 12), (8, 7)]), Line(&[(8, 7), (5, 7)])],
        'H' => &[Line(&[(0, 0), (0, 12)]), Line(&[(8, 0), (8, 12)]), Line(&[(0, 6), (8, 6)])],
        'I' => &[Line(&[(2, 0), (2, 12)]), Line(&[(0, 0), (4, 0)]), Line(&[(0, 12), (4, 12)])],
        'J' => &[Line(&[(2, 0), (6, 0), (6, 8)]), Curve(&[(6, 8), (6, 12), (0, 12), (0, 8)])],
        'K' => &[Line(&[(0, 0), (0, 12)]), Line(&[(8, 0), (0, 7)]), Line(&[(3, 5), (8, 12)])],
        'L' => &[Line(&[(0, 0), (0, 12), (7, 12)])],
        'M' => &[Line(&[(0, 12), (0, 0), (4, 7), (8, 0), (8, 12)])],
        'N' => &[Line(&[(0, 12), (0, 0), (8, 12), (8, 0)])],
        'O' => &[Curve(&[(4, 0), (8, 0), (8, 12), (0, 12), (0, 0), (4, 0)])],
        'P' => &[Line(&[(0, 12), (0, 0)]), Curve(&[(0, 0), (8, 0), (8, 7), (0, 7)])],
        'Q' => &[Curve(&[(4, 0), (8, 0), (8, 12), (0, 12), (0, 0), (4, 0)]), Line(&[(5, 8), (8, 12)])],
        'R' => &[Line(&[(0, 12), (0, 0)]), Curve(&[(0, 0), (8, 0), (8, 7), (0, 7)]), Line(&[(4, 7), (8, 12)])],
        'S' => &[Curve(&[(8, 2), (7, 0), (0, 0), (0, 6), (8, 6), (8, 12), (1, 12), (0, 10)])],
        'T' => &[Line(&[(0, 0), (8, 0)]), Line(&[(4, 0), (4, 12)])],
        'U' => &[Line(&[(0, 0), (0, 7)]), Curve(&[(0, 7), (0, 12), (8, 12), (8, 7)]), Line(&[(8, 7), (8, 0)])],
        'V' => &[Line(&[(0, 0), (4, 12), (8, 0)])],
        'W' => &[Line(&[(0, 0), (2, 12), (4, 4), (6, 12), (8, 0)])],
        'X' => &[Line(&[(0, 0), (8, 12)]), Line(&[(8, 0), (0, 12)])],
        'Y' => &[Line(&[(0, 0), (4, 6), (8, 0)]), Line(&[(4, 6), (4, 12)])],
        'Z' => &[Line(&[(0, 0), (8, 0), (0, 12), (8, 12)])],
        '0' => &[Curve(&[(4, 0), (8, 0), (8, 12), (0, 12), (0, 0), (4, 0)])],
        '1' => &[Line(&[(0, 3), (3, 0), (3, 12)]), Line(&[(0, 12), (6, 12)])],
        '2' => &[Curve(&[(0, 3), (0, 0), (8, 0), (8, 6), (0, 12)]), Line(&[(0, 12), (8, 12)])],
        '3' => &[Curve(&[(0, 1), (1, 0), (8, 0), (8, 6), (3, 6)]), Curve(&[(3, 6), (8, 6), (8, 12), (1, 12), (0, 11)])],
        '4' => &[Line(&[(6, 12), (6, 0), (0, 8), (8, 8)])],
        '5' => &[Line(&[(7, 0), (1, 0), (0, 6)]), Curve(&[(0, 6), (2, 4), (8, 4), (8, 12), (1, 12), (0, 11)])],
        '6' => &[Curve(&[(7, 0), (3, 1), (0, 5), (0, 8)]), Curve(&[(4, 5), (8, 5), (8, 12), (0, 12), (0, 5), (4, 5)])],
        '7' => &[Line(&[(0, 0), (8, 0), (3, 12)])],
        '8' => &[Curve(&[(4, 0), (8, 0), (8, 6), (0, 6), (0, 0), (4, 0)]), Curve(&[(4, 6), (8, 6), (8, 12), (0, 12), (0, 6), (4, 6)])],
        '9' => &[Curve(&[(1, 12), (5, 11), (8, 7), (8, 4)]), Curve(&[(4, 0), (8, 0), (8, 7), (0, 7), (0, 0), (4, 0)])],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(letter: char) -> Vec<u8> {
        let mut canvas = Canvas::new(24, |_| [255.0; 3]);
        let text = Text {
            text: &letter.to_string(),
            x: 0.5,
            y: 0.5,
            height: 0.75,
            weight: 0.14,
            slant: 0.0,
            ink: [0.0; 3],
        };
        text.draw(&mut canvas);
        canvas.finish().pixels
    }

    #[test]
    fn all_letters_and_digits_look_different() {
        // O and 0 are alike: 0 stands in numbers only.
        let letters: Vec<char> = ('A'..='Z').chain('1'..='9').collect();
        for (place, &a) in letters.iter().enumerate() {
            for &b in &letters[place + 1..] {
                let pairs = drawn(a).into_iter().zip(drawn(b));
                let differing = pairs.filter(|(a, b)| a.abs_diff(*b) > 128).count() / 3;
                assert!(differing >= 8, "{a} {b}: {differing} of 576 pixels");
            }
        }
    }

    #[test]
    fn the_width_is_that_of_letters_and_gaps() {
        assert_eq!(width("H"), 8.0 / 12.0);
        assert_eq!(width("HI"), (8.0 + 4.0 + 4.0) / 12.0);
        assert_eq!(width(""), 0.0);
    }
}
