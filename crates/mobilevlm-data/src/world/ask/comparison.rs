//! Which is larger, taller, or more.

use super::look::{Look, capital, thing};
use super::{Relation, Statement, Told, certain_pairs, yes_no};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Bar, Colour, Scene, Size};
use crate::world::split::{Noun, Split, pair_split};

pub(crate) fn ask(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    if !scene.bars.is_empty() {
        return match rng.chance(50) {
            true => tallest(rng, scene),
            false => taller(rng, scene, split),
        };
    }
    match rng.chance(35) {
        true => more(rng, scene),
        false => larger(rng, scene, split),
    }
}

/// Two objects, one large and one small.
fn larger(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let mut pairs = certain_pairs(scene, split);
    pairs.retain(|&(a, b)| scene.objects[a].size != scene.objects[b].size);
    let (a, b) = rng.choose(&pairs)?;
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    let is_larger = first.size == Size::Large;
    let truth = if is_larger {
        Relation::LargerThan
    } else {
        Relation::SmallerThan
    };
    let names = [Look::both(first).name(), Look::both(second).name()];
    let words = |relation: Relation| {
        if relation == Relation::LargerThan {
            "larger"
        } else {
            "smaller"
        }
    };
    let things = [thing(first), thing(second)];
    let (question, answer, asked) = compare(rng, &names, truth, words, "");
    let told = format!(
        "the {} is {} than the {}.",
        names[0],
        words(truth),
        names[1]
    );
    let sentence = match answer.as_str() {
        "Yes" | "No" => format!("{answer}, {told}"),
        _ => capital(&told),
    };
    Some(
        Told::new(Kind::Comparison, question, answer, sentence).states(Statement {
            first: things[0],
            relation: asked,
            second: things[1],
        }),
    )
}

/// Two bars.
fn taller(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let mut pairs: Vec<(&Bar, &Bar)> = Vec::new();
    for a in &scene.bars {
        for b in &scene.bars {
            let pair = pair_split((Noun::Bar, a.colour), (Noun::Bar, b.colour));
            if a.colour != b.colour && pair == split {
                pairs.push((a, b));
            }
        }
    }
    let (a, b) = rng.choose(&pairs)?;
    let truth = if a.value > b.value {
        Relation::TallerThan
    } else {
        Relation::ShorterThan
    };
    let names = [a, b].map(|bar| format!("{} bar", bar.colour.name()));
    let words = |relation: Relation| {
        if relation == Relation::TallerThan {
            "taller"
        } else {
            "shorter"
        }
    };
    let (question, answer, asked) = compare(rng, &names, truth, words, " bar");
    let told = format!(
        "the {} is {} than the {}.",
        names[0],
        words(truth),
        names[1]
    );
    let sentence = match answer.as_str() {
        "Yes" | "No" => format!("{answer}, {told}"),
        _ => capital(&told),
    };
    Some(
        Told::new(Kind::Comparison, question, answer, sentence).states(Statement {
            first: (Noun::Bar, a.colour),
            relation: asked,
            second: (Noun::Bar, b.colour),
        }),
    )
}

/// A question about two things, its answer, and what it says of the first of them.
fn compare(
    rng: &mut Rng,
    names: &[String; 2],
    truth: Relation,
    word: impl Fn(Relation) -> &'static str,
    noun: &str,
) -> (String, String, Relation) {
    let is_true = rng.chance(50);
    let asked = if is_true { truth } else { truth.opposite() };
    let [first, second] = names;
    if rng.chance(40) {
        let question = format!("Is the {first} {} than the {second}?", word(asked));
        return (question, yes_no(is_true).to_owned(), asked);
    }
    // The first is the answer where it is what was asked for.
    let answer = capital(if is_true { first } else { second });
    let mut order = [first, second];
    rng.shuffle(&mut order);
    let question = format!(
        "Which{noun} is {}, the {} or the {}?",
        word(asked),
        order[0],
        order[1]
    );
    (question, answer, asked)
}

pub(crate) fn tallest(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let is_tallest = rng.chance(50);
    let mut bars = scene.bars.clone();
    bars.sort_by_key(|bar| bar.value);
    let (bar, word) = match is_tallest {
        true => (bars.last()?, "tallest"),
        false => (bars.first()?, "shortest"),
    };
    if bars.len() < 2 {
        return None;
    }
    let question = match rng.below(3) {
        0 => format!("Which bar is the {word}?"),
        1 => format!("What colour is the {word} bar?"),
        _ => format!("What is the color of the {word} bar?"),
    };
    let colour = bar.colour.name();
    let sentence = format!("The {colour} bar is the {word}.");
    Some(Told::new(
        Kind::Comparison,
        question,
        capital(colour),
        sentence,
    ))
}

/// Numbers of two kinds of objects.
fn more(rng: &mut Rng, scene: &Scene) -> Option<Told> {
    let by_colour = rng.chance(40) && scene.signs.is_empty() && scene.clock.is_none();
    let mut looks: Vec<Look> = Vec::new();
    for object in &scene.objects {
        let look = match by_colour {
            true => Look::colour(object.colour),
            false => Look::shape(object.shape),
        };
        if !looks.contains(&look) {
            looks.push(look);
        }
    }
    rng.shuffle(&mut looks);
    let mut pairs = Vec::new();
    for a in &looks {
        for b in &looks {
            if a.count(scene) > b.count(scene) {
                pairs.push((*a, *b));
            }
        }
    }
    let (most, least) = rng.choose(&pairs)?;
    let mut order = [most, least];
    rng.shuffle(&mut order);
    let asks_more = rng.chance(70);
    let word = if asks_more { "more" } else { "fewer" };
    let sentence = format!("There are more {} than {}.", most.plural(), least.plural());
    let [x, y] = order.map(|look| look.plural());
    if rng.chance(30) {
        let is_true = (order[0] == most) == asks_more;
        let question = format!("Are there {word} {x} than {y}?");
        let sentence = format!(
            "{}, there are more {} than {}.",
            yes_no(is_true),
            most.plural(),
            least.plural()
        );
        return Some(Told::new(
            Kind::Comparison,
            question,
            yes_no(is_true),
            sentence,
        ));
    }
    let answer = if asks_more { most } else { least };
    let name = match answer.colour.map(Colour::name) {
        Some(colour) => capital(colour),
        None => capital(&answer.plural()),
    };
    let question = format!("Are there {word} {x} or {y}?");
    Some(Told::new(Kind::Comparison, question, name, sentence))
}
