//! Questions without a picture: small sums, letters, corners.

use super::{Exchange, yes_no};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::split::{self, Split};

/// One to three questions.
pub(crate) fn ask(rng: &mut Rng, split: Split) -> Vec<Exchange> {
    let number = rng.weighted(&[(1, 70), (2, 20), (3, 10)]);
    let mut exchanges: Vec<Exchange> = Vec::new();
    while exchanges.len() < number {
        let (question, answer) = question(rng, split);
        if exchanges.iter().all(|other| other.question != question) {
            exchanges.push(Exchange {
                kind: Kind::Text,
                question,
                answer,
                statements: Vec::new(),
            });
        }
    }
    exchanges
}

fn question(rng: &mut Rng, split: Split) -> (String, String) {
    let word = *rng.pick(&split::words(split));
    let (x, y) = (rng.between(0, 49), rng.between(0, 49));
    let letters = |count: usize| word.chars().take(count).map(String::from);
    match rng.below(9) {
        0 => (
            format!("How many letters does the word {word} have?"),
            word.len().to_string(),
        ),
        1 => (
            format!("Spell the word {word}."),
            letters(word.len()).collect::<Vec<_>>().join(" "),
        ),
        2 => (
            format!("What is the first letter of {word}?"),
            letters(1).collect(),
        ),
        3 => (
            format!("What is the last letter of {word}?"),
            word.chars().last().map_or_else(String::new, String::from),
        ),
        4 => (format!("What number comes after {x}?"), (x + 1).to_string()),
        5 => (format!("What is {x} plus {y}?"), (x + y).to_string()),
        6 => {
            let other = x + 1 + y;
            let is_yes = rng.chance(50);
            let (a, b) = if is_yes { (other, x) } else { (x, other) };
            (
                format!("Is {a} larger than {b}?"),
                yes_no(is_yes).to_owned(),
            )
        }
        7 => {
            let (shape, corners) = *rng.pick(&[("triangle", 3), ("square", 4), ("diamond", 4)]);
            let what = *rng.pick(&["corners", "sides"]);
            (
                format!("How many {what} does a {shape} have?"),
                corners.to_string(),
            )
        }
        _ => {
            let opposites = [
                ("left", "Right"),
                ("right", "Left"),
                ("above", "Below"),
                ("below", "Above"),
                ("large", "Small"),
                ("small", "Large"),
            ];
            let (word, opposite) = *rng.pick(&opposites);
            (
                format!("What is the opposite of {word}?"),
                opposite.to_owned(),
            )
        }
    }
}
