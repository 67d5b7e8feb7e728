//! Existence, colour, counting, reading, clocks: questions with one thing in them.

use super::look::{Look, a, capital, in_words};
use super::{Told, yes_no};
use crate::world::compose::{MOST_COUNTED, shapes};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Colour, Layout, Pattern, Scene, Size};

/// Whether nothing but objects has a colour that could be meant.
pub(crate) fn is_bare(scene: &Scene) -> bool {
    scene.signs.is_empty() && scene.bars.is_empty() && scene.clock.is_none()
}

pub(crate) fn existence(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let wanted = rng.chance(50);
    if rng.chance(8) || scene.objects.is_empty() {
        return layout(rng, scene, wanted);
    }
    let object = rng.pick(&scene.objects);
    let mut look = match rng.below(100) {
        0..60 => Look::both(object),
        60..80 => Look::shape(object.shape),
        80..90 if is_bare(scene) => Look::colour(object.colour),
        _ => Look {
            pattern: Some(object.pattern).filter(|pattern| *pattern != Pattern::Plain),
            size: Some(object.size).filter(|_| object.pattern == Pattern::Plain),
            ..Look::shape(object.shape)
        },
    };
    if !wanted {
        look = absent(rng, scene, look)?;
    }
    let name = look.name();
    let question = match rng.below(4) {
        0 => format!("Is there {} in the picture?", a(&name)),
        1 => format!("Is there {} in the image?", a(&name)),
        2 => format!("Do you see {}?", a(&name)),
        _ => format!("Is there {}?", a(&name)),
    };
    let sentence = match wanted {
        true => format!("Yes, there is {} in the picture.", a(&name)),
        false => format!("No, there is no {name} in the picture."),
    };
    Some(Told::new(
        Kind::Existence,
        question,
        yes_no(wanted),
        sentence,
    ))
}

/// Like `look` in all but one respect, and nowhere in the scene.
pub(crate) fn absent(rng: &mut Rng, scene: &Scene, look: Look) -> Option<Look> {
    let shapes = shapes(scene.layout);
    for _ in 0..40 {
        let mut other = look;
        let changes_colour = look.colour.is_some() && (look.shape.is_none() || rng.chance(50));
        if changes_colour {
            other.colour = Some(*rng.pick(Colour::ALL));
        } else if look.shape.is_some() {
            other.shape = Some(*rng.pick(&shapes));
        }
        if other.count(scene) == 0 {
            return Some(other);
        }
    }
    None
}

/// Whether there is a sign, a chart, a clock or a grid.
fn layout(rng: &mut Rng, scene: &Scene, wanted: bool) -> Option<Told> {
    let has_board = scene.signs.iter().any(|sign| sign.board.is_some());
    let all = [
        ("clock", scene.clock.is_some()),
        ("bar chart", !scene.bars.is_empty()),
        ("sign", has_board),
        ("grid", matches!(scene.layout, Layout::Grid { .. })),
    ];
    let mut fitting: Vec<&str> = Vec::new();
    for (name, is_there) in all {
        // Letters without a board may be called a sign or not; a chart's lines a grid.
        let is_certain = match name {
            "sign" => has_board || scene.signs.is_empty(),
            "grid" => scene.bars.is_empty(),
            _ => true,
        };
        if is_certain && is_there == wanted {
            fitting.push(name);
        }
    }
    let name = rng.choose(&fitting)?;
    let question = match rng.below(2) {
        0 => format!("Is there {} in the picture?", a(name)),
        _ => format!("Does the image show {}?", a(name)),
    };
    let sentence = match wanted {
        true => format!("Yes, the picture shows {}.", a(name)),
        false => format!("No, there is no {name} in the picture."),
    };
    Some(Told::new(
        Kind::Existence,
        question,
        yes_no(wanted),
        sentence,
    ))
}

pub(crate) fn colour(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let mut named: Vec<(String, Colour)> = Vec::new();
    for object in &scene.objects {
        let shape = Look::shape(object.shape);
        let sized = Look {
            size: Some(object.size),
            ..shape
        };
        let patterned = Look {
            pattern: Some(object.pattern),
            ..shape
        };
        let mut looks = vec![shape, sized];
        if object.pattern != Pattern::Plain {
            looks.push(patterned);
        }
        let single = looks.into_iter().filter(|look| look.count(scene) == 1);
        named.extend(single.map(|look| (look.name(), object.colour)));
    }
    if let [sign] = &scene.signs[..]
        && let Some(board) = sign.board
    {
        named.push(("sign".to_owned(), board));
    }
    let (name, colour) = rng.choose(&named)?;
    let question = match rng.below(5) {
        0 | 1 => format!("What colour is the {name}?"),
        2 => format!("What color is the {name}?"),
        3 => format!("What is the colour of the {name}?"),
        _ => format!("Which colour does the {name} have?"),
    };
    let sentence = format!("The {name} is {}.", colour.name());
    Some(Told::new(
        Kind::Colour,
        question,
        capital(colour.name()),
        sentence,
    ))
}

/// `count`: the answer, where it has been decided.
pub(crate) fn counting(rng: &mut Rng, scene: &Scene, count: Option<usize>) -> Option<Told> {
    if !scene.bars.is_empty() {
        let number = scene.bars.len();
        let question = match rng.below(2) {
            0 => "How many bars does the chart have?",
            _ => "How many bars are there?",
        };
        let noun = if number == 1 { "bar" } else { "bars" };
        let sentence = format!("The chart has {} {noun}.", in_words(number));
        let told = Told::new(Kind::Counting, question, number.to_string(), sentence);
        return (count.is_none_or(|count| count == number) && number <= MOST_COUNTED)
            .then_some(told);
    }
    let mut looks: Vec<Look> = Vec::new();
    for object in &scene.objects {
        looks.extend([Look::shape(object.shape), Look::both(object)]);
        if is_bare(scene) {
            looks.push(Look::colour(object.colour));
        }
    }
    if is_bare(scene) {
        looks.push(Look::default());
    }
    let absences = if count == Some(0) { 6 } else { 1 };
    for _ in 0..absences {
        let near = rng.choose(&looks).filter(|look| *look != Look::default());
        looks.extend(near.and_then(|look| absent(rng, scene, look)));
    }
    looks.sort_by_key(Look::name);
    looks.dedup();
    looks.retain(|look| {
        let number = look.count(scene);
        number <= MOST_COUNTED && count.is_none_or(|count| count == number)
    });
    let look = rng.choose(&looks)?;
    let number = look.count(scene);
    let names = look.plural();
    let question = match rng.below(3) {
        0 => format!("How many {names} are there?"),
        1 => format!("How many {names} are in the picture?"),
        _ => format!("How many {names} do you see?"),
    };
    let verb = if number == 1 { "is" } else { "are" };
    let sentence = format!(
        "There {verb} {} {}.",
        in_words(number),
        look.for_count(number)
    );
    Some(Told::new(
        Kind::Counting,
        question,
        number.to_string(),
        sentence,
    ))
}

pub(crate) fn reading(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    if let Some(bar) = rng.choose(&scene.bars) {
        let colour = bar.colour.name();
        let question = match rng.below(3) {
            0 => format!("What number is above the {colour} bar?"),
            1 => format!("What is the value of the {colour} bar?"),
            _ => format!("Which value does the {colour} bar have?"),
        };
        let sentence = format!("The value of the {colour} bar is {}.", bar.value);
        let told = Told::new(Kind::Reading, question, bar.value.to_string(), sentence);
        return bar.is_labelled.then_some(told);
    }
    let sign = rng.choose(&scene.signs)?;
    let is_number = sign.text.parse::<u8>().is_ok();
    let place = match (scene.signs.len(), sign.board) {
        (1, Some(_)) => "the sign".to_owned(),
        (1, None) => "the picture".to_owned(),
        (_, board) => match rng.chance(50) {
            true => format!("the {} sign", board?.name()),
            false => {
                let is_upper = scene.signs.iter().all(|other| other.y >= sign.y);
                format!("the {} sign", if is_upper { "upper" } else { "lower" })
            }
        },
    };
    let on = if place == "the picture" { "in" } else { "on" };
    let thing = if is_number { "number" } else { "word" };
    let question = match rng.below(5) {
        0 => format!("What {thing} is {on} {place}?"),
        1 => format!("Which {thing} is written {on} {place}?"),
        2 => format!("What is written {on} {place}?"),
        3 => format!("Read what is written {on} {place}."),
        _ => format!("What does {place} say?"),
    };
    let sentence = format!("{} says {}.", capital(&place), sign.text);
    Some(Told::new(
        Kind::Reading,
        question,
        sign.text.clone(),
        sentence,
    ))
}

pub(crate) fn clock(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let clock = scene.clock?;
    let time = format!("{}:{:02}", clock.hour, clock.minute);
    let question = match rng.below(3) {
        0 => "What time is it?",
        1 => "What time does the clock show?",
        _ => "Which time is on the clock?",
    };
    let sentence = format!("The clock shows {time}.");
    Some(Told::new(Kind::Clock, question, time, sentence))
}

/// The shape of the only object that has a colour, a pattern or a size.
pub(crate) fn shape(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let mut named: Vec<(Look, &'static str)> = Vec::new();
    for object in &scene.objects {
        let mut looks = Vec::new();
        if is_bare(scene) {
            looks.push(Look::colour(object.colour));
        }
        if object.pattern != Pattern::Plain {
            looks.push(Look {
                pattern: Some(object.pattern),
                ..Look::default()
            });
        }
        if object.size == Size::Large {
            looks.push(Look {
                size: Some(object.size),
                ..Look::default()
            });
        }
        let single = looks.into_iter().filter(|look| look.count(scene) == 1);
        named.extend(single.map(|look| (look, object.shape.name())));
    }
    let (look, answer) = rng.choose(&named)?;
    let question = match (look.colour, look.pattern) {
        (Some(colour), _) => format!("Which shape is {}?", colour.name()),
        (_, Some(pattern)) => format!("Which shape is {}?", pattern.name()),
        _ => "Which shape is large?".to_owned(),
    };
    let sentence = format!("The {} is the {answer}.", look.name());
    Some(Told::new(Kind::Shape, question, capital(answer), sentence))
}
