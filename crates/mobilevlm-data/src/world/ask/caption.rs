//! Sentences and paragraphs that describe a picture.

use super::look::{self, Look, a, capital, in_words, thing};
use super::place::Ninth;
use super::{Exchange, Statement, certain_pairs, relation};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Bar, Clock, Layout, Object, Scene, Sign};
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
    let mut sentences = items(scene);
    let mut statements: Vec<Statement> = Vec::new();
    for _ in 0..rng.between(0, 2) {
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
    items.extend(scene.clock.map(|clock| a(&shows(clock))));
    items.extend(scene.signs.iter().map(|sign| match sign.board {
        Some(_) => a(&says(sign)),
        None => says(sign),
    }));
    items.extend(groups(scene));
    let things = look::list(&items);
    match scene.layout {
        Layout::Grid { .. } => format!("{} with {things}", a(&arrangement(scene))),
        Layout::Chart => a(&arrangement(scene)),
        _ => things,
    }
}

/// `clock that shows 4:45`
fn shows(clock: Clock) -> String {
    format!("clock that shows {}:{:02}", clock.hour, clock.minute)
}

/// `blue sign that says LAMP`
fn says(sign: &Sign) -> String {
    let is_number = sign.text.parse::<u8>().is_ok();
    match sign.board {
        Some(board) => format!("{} sign that says {}", board.name(), sign.text),
        None if is_number => format!("the number {}", sign.text),
        None => format!("the word {}", sign.text),
    }
}

/// The grid or the chart.
fn arrangement(scene: &Scene) -> String {
    if let Layout::Grid { rows, columns } = scene.layout {
        return format!(
            "grid of {} rows and {} columns",
            in_words(rows),
            in_words(columns)
        );
    }
    let bar = |bar: &Bar| match bar.is_labelled {
        true => format!("{} with {}", bar.colour.name(), bar.value),
        false => bar.colour.name().to_owned(),
    };
    let bars: Vec<String> = scene.bars.iter().map(bar).collect();
    let noun = if bars.len() == 1 { "bar" } else { "bars" };
    format!(
        "chart with {} {noun}: {}",
        in_words(bars.len()),
        look::list(&bars)
    )
}

/// Objects of the same shape and colour together, from the top left to the bottom right: `a large red circle`, `two blue stars`.
fn groups(scene: &Scene) -> Vec<String> {
    let mut objects: Vec<&Object> = scene.objects.iter().collect();
    let place = |object: &Object| Ninth::of(object.x, object.y);
    objects.sort_by(|a, b| place(a).cmp(&place(b)).then(a.x.total_cmp(&b.x)));
    let mut looks: Vec<Look> = Vec::new();
    for object in objects {
        let look = Look::both(object);
        if !looks.contains(&look) {
            looks.push(look);
        }
    }
    let group = |look: Look| {
        let mut members = scene.objects.iter().filter(|object| look.matches(object));
        match (look.count(scene), members.next()) {
            (1, Some(object)) => a(&Look::of(object).name()),
            (number, _) => format!("{} {}", in_words(number), look.plural()),
        }
    };
    looks.into_iter().map(group).collect()
}

/// Everything that is there and where, from the top left to the bottom right, so that what comes
/// next follows from the picture.
fn placed(scene: &Scene) -> Vec<(Ninth, String)> {
    let mut placed: Vec<(Ninth, f32, String)> = Vec::new();
    for object in &scene.objects {
        placed.push((
            Ninth::of(object.x, object.y),
            object.x,
            Look::of(object).name(),
        ));
    }
    for sign in &scene.signs {
        placed.push((Ninth::of(sign.x, sign.y), sign.x, says(sign)));
    }
    if let Some(clock) = scene.clock {
        placed.push((Ninth::of(clock.x, clock.y), clock.x, shows(clock)));
    }
    placed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    placed
        .into_iter()
        .map(|(ninth, _, name)| (ninth, name))
        .collect()
}

/// The whole, if it has one: a grid, a chart.
fn whole(scene: &Scene) -> Option<String> {
    let is_arranged = matches!(scene.layout, Layout::Grid { .. } | Layout::Chart);
    is_arranged.then(|| arrangement(scene))
}

/// A sentence for everything that is there: `At the top left is a small red circle.`
fn items(scene: &Scene) -> Vec<String> {
    let whole = whole(scene).map(|whole| format!("The picture shows {}.", a(&whole)));
    let sentence = |(ninth, name): (Ninth, String)| {
        let name = if name.starts_with("the ") {
            name
        } else {
            a(&name)
        };
        format!("{} is {name}.", capital(ninth.phrase()))
    };
    whole
        .into_iter()
        .chain(placed(scene).into_iter().map(sentence))
        .collect()
}

/// A line for everything that is there: `top left: small red circle`. There is nothing in it but
/// what the picture shows, said as shortly as can be.
pub(crate) fn list(rng: &mut Rng, scene: &Scene) -> Exchange {
    let question = match rng.below(2) {
        0 => "List everything in the picture.",
        _ => "List what you see and where.",
    };
    let line = |(ninth, name): (Ninth, String)| format!("{}: {name}", ninth.name());
    let lines: Vec<String> = whole(scene)
        .into_iter()
        .chain(placed(scene).into_iter().map(line))
        .collect();
    Exchange {
        kind: Kind::List,
        question: question.to_owned(),
        answer: lines.join("\n"),
        statements: Vec::new(),
    }
}

/// What every sign says, in reading order: `top left: BUSH; top right: 42`.
pub(crate) fn page(scene: &Scene) -> Exchange {
    let mut signs: Vec<_> = scene.signs.iter().collect();
    signs.sort_by_key(|sign| Ninth::of(sign.x, sign.y));
    let says = |sign: &&Sign| format!("{}: {}", Ninth::of(sign.x, sign.y).name(), sign.text);
    let said: Vec<String> = signs.iter().map(says).collect();
    Exchange {
        kind: Kind::Page,
        question: "Read everything in the picture.".to_owned(),
        answer: said.join("; "),
        statements: Vec::new(),
    }
}

/// The value of every bar, from left to right: `red: 47; blue: 12`.
pub(crate) fn chart(scene: &Scene) -> Exchange {
    let value = |bar: &Bar| format!("{}: {}", bar.colour.name(), bar.value);
    let values: Vec<String> = scene.bars.iter().map(value).collect();
    Exchange {
        kind: Kind::Chart,
        question: "Read the chart.".to_owned(),
        answer: values.join("; "),
        statements: Vec::new(),
    }
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
