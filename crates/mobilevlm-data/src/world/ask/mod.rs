//! Asks about scenes, and answers.
//!
//! A question is asked only where the scene makes its answer certain: what it names is there
//! exactly once, places and sizes differ by a margin, and what it means cannot be mistaken for a
//! part of the layout. Each function gives nothing where it finds no such question.

mod caption;
mod choice;
mod comparison;
mod look;
mod lookup;
mod place;
mod relation;
mod simple;
mod text;

use super::kind::Kind;
use super::rng::Rng;
use super::scene::Scene;
use super::split::{Split, Thing, pair_split};
use look::{Look, thing};

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What it is about; in a conversation, each has its own.
    pub kind: Kind,
    /// What the human says.
    pub question: String,
    /// What the assistant says.
    pub answer: String,
    /// How the answer relates and compares things, or the question does.
    pub statements: Vec<Statement>,
}

/// That something is in a relation to something else, as asked or as told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Statement {
    /// The shape and colour of the first.
    pub first: Thing,
    /// How it stands to the second.
    pub relation: Relation,
    /// The shape and colour of the second.
    pub second: Thing,
}

/// How one thing stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Relation {
    LeftOf,
    RightOf,
    Above,
    Below,
    InFrontOf,
    Behind,
    LargerThan,
    SmallerThan,
    TallerThan,
    ShorterThan,
}

impl Relation {
    /// How the second stands to the first.
    pub fn opposite(self) -> Relation {
        match self {
            Relation::LeftOf => Relation::RightOf,
            Relation::RightOf => Relation::LeftOf,
            Relation::Above => Relation::Below,
            Relation::Below => Relation::Above,
            Relation::InFrontOf => Relation::Behind,
            Relation::Behind => Relation::InFrontOf,
            Relation::LargerThan => Relation::SmallerThan,
            Relation::SmallerThan => Relation::LargerThan,
            Relation::TallerThan => Relation::ShorterThan,
            Relation::ShorterThan => Relation::TallerThan,
        }
    }

    /// Between two names: `left of`.
    fn phrase(self) -> &'static str {
        match self {
            Relation::LeftOf => "left of",
            Relation::RightOf => "right of",
            Relation::Above => "above",
            Relation::Below => "below",
            Relation::InFrontOf => "in front of",
            Relation::Behind => "behind",
            Relation::LargerThan => "larger than",
            Relation::SmallerThan => "smaller than",
            Relation::TallerThan => "taller than",
            Relation::ShorterThan => "shorter than",
        }
    }

    /// As one of two to choose from: `left`.
    fn word(self) -> &'static str {
        match self {
            Relation::LeftOf => "left",
            Relation::RightOf => "right",
            _ => self.phrase(),
        }
    }

    /// As an answer: `Left`.
    fn short(self) -> &'static str {
        match self {
            Relation::LeftOf => "Left",
            Relation::RightOf => "Right",
            Relation::Above => "Above",
            Relation::Below => "Below",
            Relation::InFrontOf => "In front",
            Relation::Behind => "Behind",
            Relation::LargerThan => "Larger",
            Relation::SmallerThan => "Smaller",
            Relation::TallerThan => "Taller",
            Relation::ShorterThan => "Shorter",
        }
    }

    fn is_depth(self) -> bool {
        matches!(self, Relation::InFrontOf | Relation::Behind)
    }

    fn is_across(self) -> bool {
        matches!(self, Relation::LeftOf | Relation::RightOf)
    }
}

/// A question with a short answer and the same in a sentence.
pub(crate) struct Told {
    exchange: Exchange,
    sentence: String,
}

impl Told {
    fn new(
        kind: Kind,
        question: impl Into<String>,
        answer: impl Into<String>,
        sentence: String,
    ) -> Told {
        Told {
            exchange: Exchange {
                kind,
                question: question.into(),
                answer: answer.into(),
                statements: Vec::new(),
            },
            sentence,
        }
    }

    fn states(mut self, statement: Statement) -> Told {
        self.exchange.statements.push(statement);
        self
    }
}

fn yes_no(is_yes: bool) -> &'static str {
    if is_yes { "Yes" } else { "No" }
}

/// The pairs of objects that are in a certain relation, may be asked about in this part, and are
/// each the only one of their shape and colour.
fn certain_pairs(scene: &Scene, split: Split) -> Vec<(usize, usize)> {
    let objects = &scene.objects;
    let is_single = |place: usize| Look::both(&objects[place]).count(scene) == 1;
    let mut pairs = Vec::new();
    for a in (0..objects.len()).filter(|&place| is_single(place)) {
        for b in (0..objects.len()).filter(|&place| is_single(place)) {
            let may_meet = a != b && pair_split(thing(&objects[a]), thing(&objects[b])) == split;
            if may_meet && !relation::relations(scene, a, b).is_empty() {
                pairs.push((a, b));
            }
        }
    }
    pairs
}

/// How short answers are asked for in LLaVA's data.
const SHORT: &str = "\nAnswer the question using a single word or phrase.";
/// How sentences are asked for.
const SENTENCE: &str = "\nAnswer in a sentence.";

/// What is decided before a scene is made.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The answer to a question of counting.
    pub(crate) count: usize,
    /// Questions of a conversation, at most.
    pub(crate) most_turns: usize,
    /// Questions of one kind, at most.
    pub(crate) most_questions: usize,
}

/// The exchanges of a sample of this kind; nothing where the scene has no question of it.
pub(crate) fn exchanges(
    rng: &mut Rng,
    scene: &Scene,
    split: Split,
    kind: Kind,
    wanted: Wanted,
) -> Option<Vec<Exchange>> {
    match kind {
        Kind::Caption => Some(vec![caption::short(rng, scene, split)]),
        Kind::LongCaption => Some(vec![caption::long(rng, scene, split)]),
        Kind::List => Some(vec![caption::list(rng, scene)]),
        Kind::Page => Some(vec![caption::page(scene)]),
        Kind::Chart => Some(vec![caption::chart(scene)]),
        Kind::Crowd => of_one_kind(rng, scene, split, Kind::Counting, wanted),
        Kind::Lookup => Some(vec![lookup::any(rng, scene, split)?]),
        Kind::ColourLookup => Some(vec![lookup::by_colour(rng, scene)?]),
        Kind::Conversation => conversation(rng, scene, split, wanted.most_turns),
        _ => of_one_kind(rng, scene, split, kind, wanted),
    }
}

/// The question that the scene was made for, and others of its kind, each of something else.
fn of_one_kind(
    rng: &mut Rng,
    scene: &Scene,
    split: Split,
    kind: Kind,
    wanted: Wanted,
) -> Option<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    // What is told in a sentence is what was asked for, however it was asked; but with other answers
    // to choose from it is another question.
    let mut sentences = Vec::new();
    for attempt in 0..4 * wanted.most_questions {
        // Of most looks a scene has none or one: asked for as often, they would make larger numbers
        // rare.
        let count = match attempt {
            0 => wanted.count,
            _ => rng.weighted(&[(0, 1), (1, 1), (2, 10), (3, 10), (4, 10), (5, 10), (6, 10)]),
        };
        let told = ask(rng, scene, split, kind, Some(count));
        let Some(mut told) = told else {
            match exchanges.is_empty() {
                true => return None,
                false => continue,
            }
        };
        let question = &told.exchange.question;
        let is_asked = exchanges
            .iter()
            .any(|other| other.question.starts_with(question));
        let is_choice = told.exchange.kind == Kind::Choice;
        if is_asked || !is_choice && sentences.contains(&told.sentence) {
            continue;
        }
        if !is_choice && rng.chance(20) {
            told.exchange.question.push_str(SHORT);
        }
        sentences.push(told.sentence);
        exchanges.push(told.exchange);
        if exchanges.len() == wanted.most_questions {
            break;
        }
    }
    Some(exchanges)
}

/// One question of a kind that a model is examined in, or of those that have one answer besides.
fn ask(
    rng: &mut Rng,
    scene: &Scene,
    split: Split,
    kind: Kind,
    count: Option<usize>,
) -> Option<Told> {
    match kind {
        Kind::Existence => simple::existence(rng, scene),
        Kind::Colour => simple::colour(rng, scene),
        Kind::Counting => simple::counting(rng, scene, count),
        Kind::Relation => relation::ask(rng, scene, split),
        Kind::Overlap => match rng.chance(50) {
            true => simple::counting(rng, scene, count),
            false => relation::depth(rng, scene, split),
        },
        Kind::Comparison => comparison::ask(rng, scene, split),
        Kind::Reading => simple::reading(rng, scene),
        Kind::Shape => simple::shape(rng, scene),
        Kind::Clock => simple::clock(rng, scene),
        Kind::Place => place::ask(rng, scene),
        Kind::Choice => choice::ask(rng, scene, split),
        Kind::SignChoice => choice::sign(rng, scene, split),
        _ => None,
    }
}

/// Two questions or more, none asked twice, at times with a description first.
fn conversation(rng: &mut Rng, scene: &Scene, split: Split, most: usize) -> Option<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    if rng.chance(25) {
        exchanges.push(caption::short(rng, scene, split));
    }
    let number = rng.between(2, most.max(2));
    let mut kinds = Kind::EXAMINED.to_vec();
    if !scene.objects.is_empty() {
        kinds.extend([Kind::Place; 3]);
    }
    if scene.clock.is_some() {
        kinds.extend([Kind::Clock; 4]);
    }
    if !scene.signs.is_empty() {
        kinds.extend([Kind::Reading; 4]);
    }
    for _ in 0..6 * most {
        if exchanges.len() >= number {
            return Some(exchanges);
        }
        let kind = *rng.pick(&kinds);
        let Some(told) = ask(rng, scene, split, kind, None) else {
            continue;
        };
        let mut exchange = told.exchange;
        let is_new = |other: &Exchange| !other.question.starts_with(&exchange.question);
        if !exchanges.iter().all(is_new) {
            continue;
        }
        if kind != Kind::Choice {
            match rng.below(100) {
                0..15 => {
                    exchange.question.push_str(SENTENCE);
                    exchange.answer = told.sentence;
                }
                15..30 => exchange.question.push_str(SHORT),
                _ => {}
            }
        }
        exchanges.push(exchange);
    }
    (exchanges.len() >= 2).then_some(exchanges)
}

pub(crate) use text::ask as text;
