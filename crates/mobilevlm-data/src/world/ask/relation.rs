//! Where something is, seen from something else.

use super::look::{self, Look, capital, thing};
use super::{Relation, Statement, Told, certain_pairs, yes_no};
use crate::world::kind::Kind;
use crate::world::place::hidden_share;
use crate::world::rng::Rng;
use crate::world::scene::{Object, REACH, Scene};
use crate::world::split::Split;

/// Two middles differ by so much at least, where one is to be left of or above the other.
pub(crate) const LEAST_OFFSET: f32 = 0.16;
/// Where one of four sides is asked for, the offset along it is so many times the other.
const DOMINANCE: f32 = 2.2;
/// The share that an object must hide of another to be in front of it.
const LEAST_HIDDEN: f32 = 0.1;

/// How `a` stands to `b`, as far as it is certain.
pub(crate) fn relations(scene: &Scene, a: usize, b: usize) -> Vec<Relation> {
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    let mut found = Vec::new();
    if first.x < second.x - LEAST_OFFSET {
        found.push(Relation::LeftOf);
    }
    if first.x > second.x + LEAST_OFFSET {
        found.push(Relation::RightOf);
    }
    if first.y < second.y - LEAST_OFFSET {
        found.push(Relation::Above);
    }
    if first.y > second.y + LEAST_OFFSET {
        found.push(Relation::Below);
    }
    if a > b && hides(first, second) {
        found.push(Relation::InFrontOf);
    }
    if b > a && hides(second, first) {
        found.push(Relation::Behind);
    }
    found
}

fn hides(front: &Object, back: &Object) -> bool {
    let reach = (front.radius + back.radius) * REACH;
    let is_near = (front.x - back.x).abs() < reach && (front.y - back.y).abs() < reach;
    is_near && hidden_share(back, &[*front]) >= LEAST_HIDDEN
}

pub(crate) fn ask(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    if rng.chance(18)
        && let Some(told) = which(rng, scene, split)
    {
        return Some(told);
    }
    let (a, b) = rng.choose(&certain_pairs(scene, split))?;
    let relations = relations(scene, a, b);
    // What is rare comes first, so that it is asked at all.
    let deep = relations
        .iter()
        .copied()
        .find(|relation| relation.is_depth());
    let relation = match deep {
        Some(deep) if rng.chance(70) => deep,
        _ => rng.choose(&relations)?,
    };
    about(rng, scene, (a, b), relation)
}

/// Whether something is in front of or behind something else.
pub(crate) fn depth(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let mut deep = Vec::new();
    for (a, b) in certain_pairs(scene, split) {
        let mut found = relations(scene, a, b);
        found.retain(|relation| relation.is_depth());
        deep.extend(found.into_iter().map(|relation| (a, b, relation)));
    }
    let (a, b, relation) = rng.choose(&deep)?;
    about(rng, scene, (a, b), relation)
}

/// A question whose answer is that `a` is in this relation to `b`, or that it is not.
fn about(rng: &mut Rng, scene: &Scene, (a, b): (usize, usize), relation: Relation) -> Option<Told> {
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    let (name, other) = (Look::both(first).name(), Look::both(second).name());
    let statement = |relation| Statement {
        first: thing(first),
        relation,
        second: thing(second),
    };
    let sentence = format!("The {name} is {} the {other}.", relation.phrase());
    let (dx, dy) = ((first.x - second.x).abs(), (first.y - second.y).abs());
    let is_dominant = dx.max(dy) > DOMINANCE * dx.min(dy);
    let form = rng.below(100);
    if form < 40 {
        let is_true = rng.chance(50);
        let asked = if is_true {
            relation
        } else {
            relation.opposite()
        };
        let question = match rng.below(2) {
            0 => format!("Is the {name} {} the {other}?", asked.phrase()),
            _ => format!(
                "Is there {} {} the {other}?",
                look::a(&name),
                asked.phrase()
            ),
        };
        let sentence = format!(
            "{}, the {name} is {} the {other}.",
            yes_no(is_true),
            relation.phrase()
        );
        return Some(
            Told::new(Kind::Relation, question, yes_no(is_true), sentence).states(statement(asked)),
        );
    }
    if form < 60 && is_dominant && !relation.is_depth() {
        let is_across = dx > dy;
        let relation = relations(scene, a, b)
            .into_iter()
            .find(|relation| relation.is_across() == is_across && !relation.is_depth())?;
        let question =
            format!("On which side of the {other} is the {name}: left, right, above or below?");
        let sentence = format!("The {name} is {} the {other}.", relation.phrase());
        return Some(
            Told::new(Kind::Relation, question, relation.short(), sentence)
                .states(statement(relation)),
        );
    }
    let mut choices = [relation.word(), relation.opposite().word()];
    rng.shuffle(&mut choices);
    let question = match relation {
        Relation::LeftOf | Relation::RightOf => {
            format!(
                "Is the {name} to the {} or to the {} of the {other}?",
                choices[0], choices[1]
            )
        }
        _ => format!(
            "Is the {name} {} or {} the {other}?",
            choices[0], choices[1]
        ),
    };
    Some(
        Told::new(Kind::Relation, question, relation.short(), sentence).states(statement(relation)),
    )
}

/// Asks which one is on a side of another, where exactly one is.
fn which(rng: &mut Rng, scene: &Scene, split: Split) -> Option<Told> {
    let (a, b) = rng.choose(&certain_pairs(scene, split))?;
    let relation = rng.choose(&relations(scene, a, b))?;
    let (first, second) = (&scene.objects[a], &scene.objects[b]);
    let offset = |object: &Object| match relation {
        Relation::LeftOf => second.x - object.x,
        Relation::RightOf => object.x - second.x,
        Relation::Above => second.y - object.y,
        Relation::Below => object.y - second.y,
        _ => 1.0,
    };
    let others = scene.objects.iter().enumerate();
    let mut others = others.filter(|(place, _)| *place != a && *place != b);
    // The others are clearly not on that side.
    if relation.is_depth() || others.any(|(_, object)| offset(object) > -0.05) {
        return None;
    }
    let (name, other) = (Look::both(first).name(), Look::both(second).name());
    let question = match rng.below(2) {
        0 => format!("Which shape is {} the {other}?", relation.phrase()),
        _ => format!("What is {} the {other}?", relation.phrase()),
    };
    let sentence = format!("The {name} is {} the {other}.", relation.phrase());
    let statement = Statement {
        first: thing(first),
        relation,
        second: thing(second),
    };
    Some(Told::new(Kind::Relation, question, capital(&name), sentence).states(statement))
}
