//! Questions with answers to choose from.

use super::look::capital;
use super::{Told, comparison, simple};
use crate::world::compose::{self, MOST_COUNTED};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Colour, Scene};
use crate::world::split::{self, Split};
use crate::world::words::WORDS;

/// How letters are asked for in LLaVA's data.
const LETTER: &str = "Answer with the option's letter from the given choices directly.";

pub(crate) fn ask(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let (told, others) = base(rng, scene)?;
    Some(choose(rng, split, told, others))
}

/// What a sign says; the other answers could be printed as well as the right one.
pub(crate) fn sign(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let told = simple::reading(rng, scene)?;
    let answer = told.exchange.answer.as_str();
    let others = match answer.parse::<u8>() {
        Ok(_) => Others::Printed,
        Err(_) if WORDS.contains(&answer) => Others::Words,
        Err(_) => Others::Codes,
    };
    Some(choose(rng, split, told, others))
}

/// Asks for one of several answers.
fn choose(rng: &mut Rng, split: Split, told: Told, others: Others) -> Told {
    let answer = told.exchange.answer.clone();
    let number = if rng.chance(80) { 4 } else { 3 };
    let mut options: Vec<String> = Vec::new();
    for _ in 0..60 {
        if options.len() + 1 == number {
            break;
        }
        let other = others.draw(rng, split);
        if other != answer && !options.contains(&other) {
            options.push(other);
        }
    }
    let place = rng.below(options.len() + 1);
    options.insert(place, answer);
    let letter = |place: usize| char::from(b'A' + place as u8);
    let mut question = told.exchange.question;
    for (place, option) in options.iter().enumerate() {
        question.push_str(&format!("\n{}. {option}", letter(place)));
    }
    question.push('\n');
    question.push_str(LETTER);
    let mut chosen = Told::new(
        Kind::Choice,
        question,
        letter(place).to_string(),
        told.sentence,
    );
    chosen.exchange.statements = told.exchange.statements;
    chosen
}

/// What the wrong answers are drawn from.
enum Others {
    Colours,
    Numbers,
    Shapes,
    Words,
    /// Numbers that could be printed.
    Printed,
    /// Letters and digits that training prints.
    Codes,
}

impl Others {
    fn draw(&self, rng: &mut Rng, split: Split) -> String {
        match self {
            Others::Colours => capital(rng.pick(Colour::ALL).name()),
            Others::Numbers => rng.between(0, MOST_COUNTED).to_string(),
            Others::Shapes => capital(rng.pick(crate::world::scene::Shape::ALL).name()),
            Others::Words => (*rng.pick(&split::words(split))).to_owned(),
            Others::Printed => rng.pick(&split::numbers(split)).to_string(),
            Others::Codes => compose::code(rng),
        }
    }
}

/// A question with a short answer, and what could be answered instead.
fn base(rng: &mut Rng, scene: &Scene) -> Option<(Told, Others)> {
    if !scene.bars.is_empty() {
        let told = match rng.below(2) {
            0 => simple::reading(rng, scene)?,
            _ => comparison::tallest(rng, scene)?,
        };
        let is_value = told.exchange.answer.parse::<u8>().is_ok();
        let others = if is_value {
            Others::Printed
        } else {
            Others::Colours
        };
        return Some((told, others));
    }
    if !scene.signs.is_empty() && rng.chance(75) {
        let told = simple::reading(rng, scene)?;
        let is_number = told.exchange.answer.parse::<u8>().is_ok();
        let others = if is_number {
            Others::Printed
        } else {
            Others::Words
        };
        return Some((told, others));
    }
    match rng.below(3) {
        0 => Some((simple::colour(rng, scene)?, Others::Colours)),
        1 => Some((simple::counting(rng, scene, None)?, Others::Numbers)),
        _ => Some((simple::shape(rng, scene)?, Others::Shapes)),
    }
}
