//! The outline of each shape, as the distance from it.

use crate::world::scene::Shape;

type Point = (f32, f32);

/// How far a place is from the shape's edge, negative inside; the shape has radius 1 and its
/// middle at (0, 0), and y points down.
///
/// Sizes are chosen so that shapes of the same radius look equally large.
pub(crate) fn distance(shape: Shape, x: f32, y: f32) -> f32 {
    match shape {
        Shape::Circle => length(x, y) - 0.95,
        Shape::Square => rectangle(x, y, 0.84, 0.84),
        Shape::Triangle => polygon(&[(0.0, -0.98), (1.06, 0.84), (-1.06, 0.84)], x, y),
        Shape::Star => polygon(&STAR, x, y - 0.08),
        Shape::Heart => heart(x, y),
        Shape::Diamond => polygon(
            &[(0.0, -1.14), (0.76, 0.0), (0.0, 1.14), (-0.76, 0.0)],
            x,
            y,
        ),
        Shape::Cross => rectangle(x, y, 0.98, 0.34).min(rectangle(x, y, 0.34, 0.98)),
        Shape::Ring => (length(x, y) - 0.71).abs() - 0.25,
    }
}

pub(crate) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// The distance from a rectangle of these half sides.
pub(crate) fn rectangle(x: f32, y: f32, half_width: f32, half_height: f32) -> f32 {
    let (x, y) = (x.abs() - half_width, y.abs() - half_height);
    length(x.max(0.0), y.max(0.0)) + x.max(y).min(0.0)
}

/// The distance from a line with two ends.
pub(crate) fn segment((x, y): Point, a: Point, b: Point) -> f32 {
    let (px, py, bx, by) = (x - a.0, y - a.1, b.0 - a.0, b.1 - a.1);
    let squared = bx * bx + by * by;
    let along = match squared > 0.0 {
        true => ((px * bx + py * by) / squared).clamp(0.0, 1.0),
        false => 0.0,
    };
    length(px - bx * along, py - by * along)
}

/// Five points at 1.14 and five notches at 0.5 from the middle, from the top clockwise. The
/// sines and cosines of 36° and 72° are written down, as those of the system differ by rounding.
const STAR: [Point; 10] = {
    const OUT: f32 = 1.14;
    const IN: f32 = 0.5;
    const S36: f32 = 0.587_785_25;
    const C36: f32 = 0.809_017;
    const S72: f32 = 0.951_056_5;
    const C72: f32 = 0.309_017;
    [
        (0.0, -OUT),
        (IN * S36, -IN * C36),
        (OUT * S72, -OUT * C72),
        (IN * S72, IN * C72),
        (OUT * S36, OUT * C36),
        (0.0, IN),
        (-OUT * S36, OUT * C36),
        (-IN * S72, IN * C72),
        (-OUT * S72, -OUT * C72),
        (-IN * S36, -IN * C36),
    ]
};

/// The distance from a polygon: to its nearest side, inside where a ray crosses sides oddly often.
fn polygon(corners: &[Point], x: f32, y: f32) -> f32 {
    let mut nearest = f32::MAX;
    let mut is_inside = false;
    let mut before = corners[corners.len() - 1];
    for &corner in corners {
        nearest = nearest.min(segment((x, y), before, corner));
        let crosses = (corner.1 > y) != (before.1 > y);
        if crosses {
            let slope = (before.0 - corner.0) / (before.1 - corner.1);
            is_inside ^= x < corner.0 + (y - corner.1) * slope;
        }
        before = corner;
    }
    if is_inside { -nearest } else { nearest }
}

/// Two half discs on a square that stands on its corner (Quilez, "2D distance functions").
fn heart(x: f32, y: f32) -> f32 {
    const SCALE: f32 = 0.58;
    // There, the tip is (0, 0), the heart is 1.1 high, and y points up.
    let (x, y) = ((x * SCALE).abs(), 0.54 - y * SCALE);
    let distance = if x + y > 1.0 {
        length(x - 0.25, y - 0.75) - 0.353_553_4
    } else {
        let along = 0.5 * (x + y).max(0.0);
        let nearest = length(x, y - 1.0).min(length(x - along, y - along));
        if x > y { nearest } else { -nearest }
    };
    distance / SCALE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::scene::REACH;

    fn share_inside(shape: Shape) -> f32 {
        let at = |i: usize| (i as f32 + 0.5) / 50.0 - 1.0;
        let inside = (0..100 * 100).filter(|i| distance(shape, at(i % 100), at(i / 100)) < 0.0);
        inside.count() as f32 / 10_000.0
    }

    #[test]
    fn shapes_are_about_equally_large_and_stay_in_reach() {
        for &shape in Shape::ALL {
            let share = share_inside(shape);
            assert!((0.3..0.75).contains(&share), "{shape:?} {share}");
            for i in 0..200 {
                let at = (i as f32 - 100.0) / 80.0;
                for (x, y) in [(at, -REACH), (at, REACH), (-REACH, at), (REACH, at)] {
                    let d = distance(shape, x, y);
                    assert!(d > -0.1, "{shape:?} at {x} {y}: {d}");
                }
            }
        }
    }

    #[test]
    fn only_a_ring_has_a_hole() {
        for &shape in Shape::ALL {
            assert_eq!(distance(shape, 0.0, 0.0) > 0.0, shape == Shape::Ring);
        }
    }

    #[test]
    fn distances_are_those_of_geometry() {
        assert!((rectangle(3.0, 4.0, 0.0, 0.0) - 5.0).abs() < 1e-6);
        assert!((segment((2.0, 1.0), (0.0, 0.0), (1.0, 0.0)) - 2f32.sqrt()).abs() < 1e-6);
        let square = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)];
        assert!((polygon(&square, 1.0, 0.5) + 0.5).abs() < 1e-6);
        assert!((polygon(&square, 3.0, 1.0) - 1.0).abs() < 1e-6);
    }
}
