//! Sentences and paragraphs that describe a picture.

use super::look::{Look, a, capital, in_words, list, thing};
use super::{Exchange, Statement, certain_pairs, relation};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Layout, Object, Pattern, Scene};
use crate::world::split::Split;

pub(crate) fn short(rng: &mut Rng, scene: &Scene, split: Split) -> Exchange {
    let question = match rng.below(4) {
        0 => "Describe the picture in a sentence.",
        1 => "What is in this picture?",
        2 => "Give a short description of the image.",
        _ => "What does the image show?",
    };
    let mut answer = capital(&contents(scene));
    let mut statements = Vec::new();
    if rng.chance(50)
        && let Some((sentence, statement)) = related(rng, scene, split)
    {
        answer = format!("{answer}. {sentence}");
        statements.push(statement);
    } else {
        answer.push('.');
    }
    Exchange {
        kind: Kind::Caption,
        question: question.to_owned(),
        answer,
        statements,
    }
}

pub(crate) fn long(rng: &mut Rng, scene: &Scene, split: Split) -> Exchange {
    let question = match rng.below(4) {
        0 => "Describe the picture in detail.",
        1 => "Write a detailed description of the image.",
        2 => "Tell me everything that you see.",
        _ => "Explain the image in detail.",
    };
    let mut sentences = vec![format!("The picture shows {}.", contents(scene))];
    for object in &scene.objects {
        let look = Look::both(object);
        if look.count(scene) > 1 {
            continue;
        }
        let mut told = match object.pattern {
            Pattern::Plain => format!("The {} is {}", look.name(), object.size.name()),
            pattern => format!(
                "The {} is {} and {}",
                look.name(),
                object.size.name(),
                pattern.name()
            ),
        };
        if let Some(place) = place(object) {
            told = format!("{told}, {place}");
        }
        sentences.push(format!("{told}."));
    }
    let mut statements: Vec<Statement> = Vec::new();
    for _ in 0..rng.between(1, 3) {
        let Some((sentence, statement)) = related(rng, scene, split) else {
            break;
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
            statements.push(statement);
        }
    }
    if let Some(tallest) = scene.bars.iter().max_by_key(|bar| bar.value)
        && let Some(shortest) = scene.bars.iter().min_by_key(|bar| bar.value)
        && scene.bars.len() > 1
    {
        sentences.push(format!(
            "The tallest bar is {} and the shortest is {}.",
            tallest.colour.name(),
            shortest.colour.name()
        ));
    }
    for sign in &scene.signs {
        if let Some(board) = sign.board {
            sentences.push(format!("The {} sign says {}.", board.name(), sign.text));
        }
    }
    if !scene.objects.is_empty() && scene.signs.is_empty() && scene.clock.is_none() {
        let number = scene.objects.len();
        sentences.push(match number {
            1 => "There is one shape in all.".to_owned(),
            _ => format!("There are {} shapes in all.", in_words(number)),
        });
    }
    Exchange {
        kind: Kind::LongCaption,
        question: question.to_owned(),
        answer: sentences.join(" "),
        statements,
    }
}

/// Everything that is there, without saying where.
fn contents(scene: &Scene) -> String {
    let mut items: Vec<String> = Vec::new();
    if let Some(clock) = scene.clock {
        items.push(format!(
            "a clock that shows {}:{:02}",
            clock.hour, clock.minute
        ));
    }
    for sign in &scene.signs {
        let is_number = sign.text.parse::<u8>().is_ok();
        items.push(match sign.board {
            Some(board) => format!(
                "{} that says {}",
                a(&format!("{} sign", board.name())),
                sign.text
            ),
            None if is_number => format!("the number {}", sign.text),
            None => format!("the word {}", sign.text),
        });
    }
    items.extend(groups(scene));
    let things = list(&items);
    match scene.layout {
        Layout::Grid { rows, columns } => format!(
            "a grid of {} rows and {} columns with {things}",
            in_words(rows),
            in_words(columns)
        ),
        Layout::Chart => {
            let bar = |bar: &crate::world::scene::Bar| match bar.is_labelled {
                true => format!("{} with {}", bar.colour.name(), bar.value),
                false => bar.colour.name().to_owned(),
            };
            let bars: Vec<String> = scene.bars.iter().map(bar).collect();
            let noun = if bars.len() == 1 { "bar" } else { "bars" };
            format!(
                "a chart with {} {noun}: {}",
                in_words(bars.len()),
                list(&bars)
            )
        }
        _ => things,
    }
}

/// Objects of the same shape and colour together: `a large red circle`, `two blue stars`.
fn groups(scene: &Scene) -> Vec<String> {
    let mut looks: Vec<Look> = Vec::new();
    for object in &scene.objects {
        let look = Look::both(object);
        if !looks.contains(&look) {
            looks.push(look);
        }
    }
    let group = |look: Look| {
        let mut members = scene.objects.iter().filter(|object| look.matches(object));
        match (look.count(scene), members.next()) {
            (1, Some(object)) => {
                let pattern = Some(object.pattern).filter(|p| *p != Pattern::Plain);
                let look = Look {
                    pattern,
                    ..Look::all(object)
                };
                a(&look.name())
            }
            (number, _) => format!("{} {}", in_words(number), look.plural()),
        }
    };
    looks.into_iter().map(group).collect()
}

/// Where an object is, if that is clear.
fn place(object: &Object) -> Option<&'static str> {
    let third = |at: f32| match at {
        _ if at < 0.34 => Some(0),
        _ if (0.42..0.58).contains(&at) => Some(1),
        _ if at > 0.66 => Some(2),
        _ => None,
    };
    Some(match (third(object.x)?, third(object.y)?) {
        (0, 0) => "at the top left",
        (1, 0) => "at the top",
        (2, 0) => "at the top right",
        (0, 1) => "on the left",
        (1, 1) => "in the middle",
        (2, 1) => "on the right",
        (0, 2) => "at the bottom left",
        (1, 2) => "at the bottom",
        _ => "at the bottom right",
    })
}

/// A sentence about two objects.
fn related(rng: &mut Rng, scene: &Scene, split: Split) -> Option<(String, Statement)> {
    let (first, second) = rng.choose(&certain_pairs(scene, split))?;
    let relation = rng.choose(&relation::relations(scene, first, second))?;
    let (first, second) = (&scene.objects[first], &scene.objects[second]);
    let sentence = format!(
        "The {} is {} the {}.",
        Look::both(first).name(),
        relation.phrase(),
        Look::both(second).name()
    );
    let statement = Statement {
        first: thing(first),
        relation,
        second: thing(second),
    };
    Some((sentence, statement))
}
