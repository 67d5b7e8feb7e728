//! Where something is in the picture, and what is where.

use super::Told;
use super::look::{Look, a, capital};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Object, Scene};

/// A ninth of the picture: its column from the left and its row from the top, from 0 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ninth {
    row: usize,
    column: usize,
}

/// Middles so near to the line between two thirds are in neither of them for certain.
const DOUBT: f32 = 0.04;

impl Ninth {
    const ALL: [Ninth; 9] = {
        let mut all = [Ninth { row: 0, column: 0 }; 9];
        let mut place = 0;
        while place < 9 {
            all[place] = Ninth {
                row: place / 3,
                column: place % 3,
            };
            place += 1;
        }
        all
    };

    /// The one in which a point lies.
    pub(crate) fn of(x: f32, y: f32) -> Ninth {
        let third = |at: f32| ((at * 3.0) as usize).min(2);
        Ninth {
            row: third(y),
            column: third(x),
        }
    }

    /// The one in which a point lies, if it is in no doubt.
    fn certain(x: f32, y: f32) -> Option<Ninth> {
        let is_certain = |at: f32| [1.0, 2.0].iter().all(|n| (at - n / 3.0).abs() > DOUBT);
        (is_certain(x) && is_certain(y)).then(|| Ninth::of(x, y))
    }

    /// Whether a point could be meant to be in it.
    fn could_have(self, x: f32, y: f32) -> bool {
        let range = |third: usize| {
            let (low, high) = (third as f32 / 3.0, (third + 1) as f32 / 3.0);
            low - DOUBT..=high + DOUBT
        };
        range(self.column).contains(&x) && range(self.row).contains(&y)
    }

    /// As a heading: `top left`.
    pub(crate) fn name(self) -> &'static str {
        let words = self.phrase();
        words
            .trim_start_matches("at the ")
            .trim_start_matches("on the ")
            .trim_start_matches("in the ")
    }

    /// Behind `is`: `at the top left`.
    pub(crate) fn phrase(self) -> &'static str {
        match (self.row, self.column) {
            (0, 0) => "at the top left",
            (0, 1) => "at the top",
            (0, _) => "at the top right",
            (1, 0) => "on the left",
            (1, 1) => "in the middle",
            (1, _) => "on the right",
            (_, 0) => "at the bottom left",
            (_, 1) => "at the bottom",
            _ => "at the bottom right",
        }
    }
}

/// Where something is, or what is somewhere.
pub(crate) fn ask(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    match rng.chance(40) {
        true => whereabouts(rng, scene),
        false => what(rng, scene),
    }
}

fn whereabouts(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let is_single = |object: &&Object| Look::both(object).count(scene) == 1;
    let named = scene.objects.iter().filter(is_single);
    let placed: Vec<(&Object, Ninth)> = named
        .filter_map(|object| Some((object, Ninth::certain(object.x, object.y)?)))
        .collect();
    let (object, ninth) = rng.choose(&placed)?;
    let name = Look::both(object).name();
    let question = match rng.below(2) {
        0 => format!("Where is the {name}?"),
        _ => format!("Where in the picture is the {name}?"),
    };
    let phrase = ninth.phrase();
    let sentence = format!("The {name} is {phrase}.");
    Some(Told::new(Kind::Place, question, capital(phrase), sentence))
}

/// At most one object, and nothing else, could be meant to be there.
fn what(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    if !scene.signs.is_empty() || !scene.bars.is_empty() || scene.clock.is_some() {
        return None;
    }
    let mut empty = Vec::new();
    let mut taken = Vec::new();
    for ninth in Ninth::ALL {
        let could_be = |object: &&Object| ninth.could_have(object.x, object.y);
        let there: Vec<&Object> = scene.objects.iter().filter(could_be).collect();
        match there[..] {
            [] => empty.push(ninth),
            [object] if Ninth::certain(object.x, object.y) == Some(ninth) => {
                taken.push((ninth, object));
            }
            _ => {}
        }
    }
    let is_empty = rng.chance(15);
    let (ninth, object) = match is_empty {
        true => (rng.choose(&empty)?, None),
        false => rng
            .choose(&taken)
            .map(|(ninth, object)| (ninth, Some(object)))?,
    };
    let phrase = ninth.phrase();
    let question = match rng.below(2) {
        0 => format!("What is {phrase}?"),
        _ => format!("What do you see {phrase}?"),
    };
    let (answer, sentence) = match object {
        Some(object) => {
            let name = Look::of(object).name();
            let sentence = format!("{} is {}.", capital(phrase), a(&name));
            (capital(&name), sentence)
        }
        None => ("Nothing".to_owned(), format!("There is nothing {phrase}.")),
    };
    Some(Told::new(Kind::Place, question, answer, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_where_its_thirds_meet() {
        assert_eq!(Ninth::of(0.1, 0.9).phrase(), "at the bottom left");
        assert_eq!(Ninth::of(0.99, 1.0).phrase(), "at the bottom right");
        assert_eq!(Ninth::certain(0.5, 0.5).unwrap().phrase(), "in the middle");
        assert_eq!(Ninth::certain(0.34, 0.5), None);
        let possible = |x, y| Ninth::ALL.iter().filter(|n| n.could_have(x, y)).count();
        assert_eq!(possible(0.5, 0.5), 1);
        assert_eq!(possible(0.34, 0.5), 2);
        assert_eq!(possible(0.34, 0.66), 4);
    }
}
