//! Finds room for objects, and says how much of each is seen.

use super::compose::{LEAST_VISIBLE, Look};
use super::draw;
use super::kind::Kind;
use super::rng::Rng;
use super::scene::{Object, Pattern, REACH, Size};

/// What no object may touch.
pub(crate) struct Obstacle {
    x: f32,
    y: f32,
    half_width: f32,
    half_height: f32,
}

impl Obstacle {
    pub(crate) fn new(x: f32, y: f32, half_width: f32, half_height: f32) -> Obstacle {
        Obstacle {
            x,
            y,
            half_width,
            half_height,
        }
    }

    fn touches(&self, object: &Object) -> bool {
        let reach = object.radius * REACH + 0.01;
        (object.x - self.x).abs() < self.half_width + reach
            && (object.y - self.y).abs() < self.half_height + reach
    }
}

/// Objects of these looks, the hindmost first; nothing where there was no room.
pub(crate) fn place(
    rng: &mut Rng,
    kind: Kind,
    looks: &[Look],
    obstacles: &[Obstacle],
) -> Option<Vec<Object>> {
    let large = if looks.len() <= 4 { 45 } else { 14 };
    let mut objects: Vec<Object> = Vec::with_capacity(looks.len());
    // The second object hides a part of the first.
    let overlaps = match kind {
        Kind::Overlap => true, // and the fourth of the third, and so on
        _ => looks.len() >= 2 && looks[0] != looks[1] && rng.chance(18),
    };
    let larger = rng.below(2);
    for (number, &look) in looks.iter().enumerate() {
        let is_compared = kind == Kind::Comparison && number < 2;
        let is_large = match is_compared {
            true => number == larger,
            false => rng.chance(large),
        };
        let size = if is_large { Size::Large } else { Size::Small };
        let is_front = match kind {
            Kind::Overlap => number % 2 == 1,
            _ => number == 1,
        };
        let hidden = (overlaps && is_front && looks[number - 1] != look).then(|| number - 1);
        let mut attempts = 0;
        loop {
            attempts += 1;
            if attempts > 60 {
                return None;
            }
            let mut object = object(rng, look, size, (0.0, 0.0));
            let margin = object.radius * REACH + 0.015;
            (object.x, object.y) = match hidden.map(|back| &objects[back]) {
                Some(back) => {
                    let far = object.radius + back.radius;
                    (back.x + rng.real(-far, far), back.y + rng.real(-far, far))
                }
                None => (
                    rng.real(margin, 1.0 - margin),
                    rng.real(margin, 1.0 - margin),
                ),
            };
            let within = margin..=1.0 - margin;
            if !within.contains(&object.x) || !within.contains(&object.y) {
                continue;
            }
            if obstacles.iter().any(|obstacle| obstacle.touches(&object)) {
                continue;
            }
            let apart = |other: &Object| {
                let far = draw::length(object.x - other.x, object.y - other.y);
                far > (object.radius + other.radius) * 1.14 + 0.012
            };
            let mut others = objects.iter().enumerate();
            if !others.all(|(place, other)| Some(place) == hidden || apart(other)) {
                continue;
            }
            if let Some(back) = hidden {
                let share = hidden_share(&objects[back], &[object]);
                if !(0.12..=1.0 - LEAST_VISIBLE).contains(&share) {
                    continue;
                }
                objects[back].visible = 1.0 - share;
            }
            objects.push(object);
            break;
        }
    }
    Some(objects)
}

/// An object of this look and size. Only large ones have a pattern: in a small picture, the
/// pattern of a small one could not be made out.
pub(crate) fn object(
    rng: &mut Rng,
    (shape, colour): Look,
    size: Size,
    (x, y): (f32, f32),
) -> Object {
    let (radius, pattern) = match size {
        Size::Small => (rng.real(0.072, 0.088), Pattern::Plain),
        Size::Large => {
            let patterned = [(true, 45), (false, 55)];
            let pattern = match rng.weighted(&patterned) {
                true => *rng.pick(&Pattern::ALL[1..]),
                false => Pattern::Plain,
            };
            (rng.real(0.134, 0.16), pattern)
        }
    };
    let mut tint = || rng.between(0, 16) as i8 - 8;
    Object {
        shape,
        colour,
        size,
        pattern,
        x,
        y,
        radius,
        visible: 1.0,
        tint: [tint(), tint(), tint()],
    }
}

/// The share of an object that lies below those in front of it.
pub(crate) fn hidden_share(object: &Object, in_front: &[Object]) -> f32 {
    const STEPS: usize = 24;
    let at = |step: usize| ((step as f32 + 0.5) / STEPS as f32 * 2.0 - 1.0) * REACH;
    let (mut inside, mut hidden) = (0usize, 0usize);
    for step in 0..STEPS * STEPS {
        let (u, v) = (at(step % STEPS), at(step / STEPS));
        if draw::distance(object.shape, u, v) > 0.0 {
            continue;
        }
        inside += 1;
        let (x, y) = (object.x + u * object.radius, object.y + v * object.radius);
        let covers = |other: &Object| {
            let (u, v) = ((x - other.x) / other.radius, (y - other.y) / other.radius);
            draw::distance(other.shape, u, v) < 0.0
        };
        hidden += usize::from(in_front.iter().any(covers));
    }
    hidden as f32 / inside.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::scene::{Colour, Shape};

    #[test]
    fn a_square_that_covers_half_of_another_hides_half() {
        let mut rng = Rng::of(&[1]);
        let look = (Shape::Square, Colour::Red);
        let back = object(&mut rng, look, Size::Large, (0.5, 0.5));
        let mut front = back;
        assert_eq!(hidden_share(&back, &[]), 0.0);
        assert_eq!(hidden_share(&back, &[front]), 1.0);
        front.x += back.radius * 0.84;
        let half = hidden_share(&back, &[front]);
        assert!((half - 0.5).abs() < 0.05, "{half}");
    }
}
