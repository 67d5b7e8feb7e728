//! Several things looked for by what they are called.

use super::look::{Look, thing};
use super::place::Ninth;
use super::relation::relations;
use super::simple::{absent, is_bare};
use super::{Exchange, Relation, Statement, certain_pairs};
use crate::world::kind::Kind;
use crate::world::rng::Rng;
use crate::world::scene::{Bar, Object, Pattern, Scene};
use crate::world::split::{Noun, Split, pair_split};

/// Names of a question, at most.
const MOST: usize = 6;

/// What is asked for, what is said of it, and what that says about two things.
struct Entry {
    name: String,
    found: String,
    statements: Vec<Statement>,
}

/// Something for each of up to six names: `star: 1 small red, top left`, `circle: 3`,
/// `green ring: 0`, `red star to blue ring: left, above`. A question about one thing has a word or
/// two in its answer; here almost every word is one that only the picture tells.
pub(crate) fn any(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Exchange> {
    look_up(Kind::Lookup, || entry(rng, scene, split))
}

/// The same of things whose colour nothing else has: `red shape: 1 small star, top left`.
pub(crate) fn by_colour(rng: &mut Rng, scene: &Scene) -> Option<Exchange> {
    look_up(Kind::ColourLookup, || {
        let look = Look::colour(rng.choose(&scene.objects)?.colour);
        (is_bare(scene) && look.count(scene) == 1).then(|| counted(scene, look))
    })
}

fn look_up(kind: Kind, mut entry: impl FnMut() -> Option<Entry>) -> Option<Exchange> {
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..4 * MOST {
        if entries.len() == MOST {
            break;
        }
        let Some(entry) = entry() else {
            continue;
        };
        if entries.iter().all(|other| other.name != entry.name) {
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return None;
    }
    let names: Vec<&str> = entries.iter().map(|entry| &*entry.name).collect();
    let question = format!("List these: {}.", names.join(", "));
    let told = entries.iter();
    let told: Vec<String> = told
        .map(|entry| format!("{}: {}", entry.name, entry.found))
        .collect();
    Some(Exchange {
        kind,
        question,
        // No line breaks: a name behind one would not be made of the tokens that it has elsewhere.
        answer: told.join("; "),
        statements: entries
            .into_iter()
            .flat_map(|entry| entry.statements)
            .collect(),
    })
}

fn entry(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Entry> {
    if !scene.bars.is_empty() {
        return match rng.chance(50) {
            true => bar(rng, scene),
            false => two_bars(rng, scene, split),
        };
    }
    if !scene.signs.is_empty() && rng.chance(30) {
        return sign(rng, scene);
    }
    match rng.below(100) {
        0..30 => pair(rng, scene, split),
        _ => some(rng, scene),
    }
}

/// How many there are of something that is there, or could be.
fn some(rng: &mut Rng, scene: &Scene) -> Option<Entry> {
    let object = rng.choose(&scene.objects)?;
    let mut look = match rng.below(100) {
        0..40 => Look::shape(object.shape),
        40..75 => Look::both(&object),
        75..85 if is_bare(scene) => Look::colour(object.colour),
        _ => Look {
            size: Some(object.size),
            ..Look::shape(object.shape)
        },
    };
    if rng.chance(30) {
        look = absent(rng, scene, look)?;
    }
    Some(counted(scene, look))
}

/// How many there are of a look; of one alone everything else, and where it is.
fn counted(scene: &Scene, look: Look) -> Entry {
    let mut objects = scene.objects.iter().filter(|object| look.matches(object));
    let found = match (objects.next(), objects.next()) {
        (Some(object), None) => format!("1 {}", rest(look, object)),
        _ => look.count(scene).to_string(),
    };
    Entry {
        name: look.name(),
        found,
        statements: Vec::new(),
    }
}

/// What a look leaves open about its only object, and where that is.
fn rest(look: Look, object: &Object) -> String {
    let place = Ninth::of(object.x, object.y).name();
    let open = Look {
        size: Some(object.size).filter(|_| look.size.is_none()),
        pattern: Some(object.pattern)
            .filter(|pattern| look.pattern.is_none() && *pattern != Pattern::Plain),
        colour: Some(object.colour).filter(|_| look.colour.is_none()),
        shape: Some(object.shape).filter(|_| look.shape.is_none()),
    };
    match open.words() {
        words if words.is_empty() => place.to_owned(),
        words => format!("{words}, {place}"),
    }
}

fn pair(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Entry> {
    let (a, b) = rng.choose(&certain_pairs(scene, split))?;
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    let relations = relations(scene, a, b);
    let words: Vec<String> = relations
        .iter()
        .map(|relation| relation.short().to_lowercase())
        .collect();
    let statement = |relation| Statement {
        first: thing(first),
        relation,
        second: thing(second),
    };
    Some(Entry {
        name: format!(
            "{} to {}",
            Look::both(first).name(),
            Look::both(second).name()
        ),
        found: words.join(", "),
        statements: relations.into_iter().map(statement).collect(),
    })
}

fn sign(rng: &mut Rng, scene: &Scene) -> Option<Entry> {
    let sign = rng.choose(&scene.signs)?;
    let is_upper = scene.signs.iter().all(|other| other.y >= sign.y);
    let name = match (scene.signs.len(), is_upper) {
        (1, _) => "sign",
        (_, true) => "upper sign",
        (_, false) => "lower sign",
    };
    let found = match sign.board {
        Some(board) => format!("{}, {}", board.name(), sign.text),
        None => sign.text.clone(),
    };
    Some(Entry {
        name: name.to_owned(),
        found,
        statements: Vec::new(),
    })
}

fn bar_name(bar: &Bar) -> String {
    format!("{} bar", bar.colour.name())
}

fn bar(rng: &mut Rng, scene: &Scene) -> Option<Entry> {
    let bar = rng.choose(&scene.bars)?;
    bar.is_labelled.then(|| Entry {
        name: bar_name(&bar),
        found: bar.value.to_string(),
        statements: Vec::new(),
    })
}

fn two_bars(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Entry> {
    let (a, b) = (rng.choose(&scene.bars)?, rng.choose(&scene.bars)?);
    let (first, second) = ((Noun::Bar, a.colour), (Noun::Bar, b.colour));
    if a.colour == b.colour || pair_split(first, second) != split {
        return None;
    }
    let relation = match a.value > b.value {
        true => Relation::TallerThan,
        false => Relation::ShorterThan,
    };
    Some(Entry {
        name: format!("{} to {}", bar_name(&a), bar_name(&b)),
        found: relation.short().to_lowercase(),
        statements: vec![Statement {
            first,
            relation,
            second,
        }],
    })
}
