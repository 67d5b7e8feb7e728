//! Reads questions: from their words and a scene to the answer, without the world's own code.

use mobilevlm_data::world::{Bar, Colour, Layout, Object, Pattern, Scene, Shape, Size};

/// What words say about an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    pub(crate) size: Option<Size>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) colour: Option<Colour>,
    pub(crate) shape: Option<Shape>,
    pub(crate) is_bar: bool,
}

impl Mention {
    pub(crate) fn fits(&self, object: &Object) -> bool {
        self.size.is_none_or(|size| size == object.size)
            && self.pattern.is_none_or(|pattern| pattern == object.pattern)
            && self.colour.is_none_or(|colour| colour == object.colour)
            && self.shape.is_none_or(|shape| shape == object.shape)
    }

    fn count(&self, scene: &Scene) -> usize {
        scene
            .objects
            .iter()
            .filter(|object| self.fits(object))
            .count()
    }

    /// The place of the only object that is meant.
    fn find(&self, scene: &Scene) -> usize {
        assert_eq!(self.count(scene), 1, "{self:?} in {scene:?}");
        let mut objects = scene.objects.iter();
        objects.position(|object| self.fits(object)).unwrap()
    }
}

/// Everything that is mentioned, in order: words up to a noun belong to it.
pub(crate) fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut mention = Mention::default();
    for word in text.split(|c: char| !c.is_ascii_alphabetic()) {
        let word = word.to_lowercase();
        let is = |name: &str| name == word;
        if let Some(size) = Size::ALL.iter().find(|size| is(size.name())) {
            mention.size = Some(*size);
        } else if let Some(pattern) = Pattern::ALL.iter().find(|p| is(p.name())) {
            mention.pattern = Some(*pattern);
        } else if let Some(colour) = Colour::ALL.iter().find(|c| is(c.name())) {
            mention.colour = Some(*colour);
        } else if let Some(shape) = Shape::ALL.iter().find(|s| is(s.name()) || is(s.plural())) {
            mention.shape = Some(*shape);
            found.push(std::mem::take(&mut mention));
        } else if ["shape", "shapes", "bar", "bars"].contains(&&*word) {
            mention.is_bar = word.starts_with("bar");
            found.push(std::mem::take(&mut mention));
        } else if !word.is_empty() {
            mention = Mention::default();
        }
    }
    found
}

/// The short answer to a question; the question's first line is enough.
pub(crate) fn answer(scene: &Scene, question: &str) -> String {
    let mentioned = mentions(question);
    let has = |words: &str| question.contains(words);
    if has("time") {
        let clock = scene.clock.unwrap();
        return format!("{}:{:02}", clock.hour, clock.minute);
    }
    if question.starts_with("How many") {
        return match mentioned[0].is_bar {
            true => scene.bars.len().to_string(),
            false => mentioned[0].count(scene).to_string(),
        };
    }
    if question.starts_with("Where") {
        let object = &scene.objects[mentioned[0].find(scene)];
        return capital(ninth(object, 0.03));
    }
    if mentioned.is_empty()
        && NINTHS
            .iter()
            .any(|phrase| question.ends_with(&format!("{phrase}?")))
    {
        return what_is_there(scene, question);
    }
    for (word, relation) in RELATIONS {
        if has(word) {
            return related(scene, question, &mentioned, relation);
        }
    }
    if has("tallest") || has("shortest") {
        let value = |bar: &&Bar| bar.value;
        let bar = match has("tallest") {
            true => scene.bars.iter().max_by_key(value),
            false => scene.bars.iter().min_by_key(value),
        };
        return capital(bar.unwrap().colour.name());
    }
    if has("more") || has("fewer") {
        let [a, b] = mentioned[..] else {
            panic!("{question}")
        };
        let (first, second) = (a.count(scene), b.count(scene));
        assert_ne!(first, second, "{question}");
        if has(" than ") {
            return yes_no((first > second) == has("more"));
        }
        let meant = if (first > second) == has("more") {
            a
        } else {
            b
        };
        return match (meant.colour, meant.shape) {
            (Some(colour), _) => capital(colour.name()),
            (_, shape) => capital(shape.unwrap().plural()),
        };
    }
    if let Some(text) = read(scene, question, &mentioned) {
        return text;
    }
    if has("olour") || has("olor") {
        if has("the sign") {
            return capital(scene.signs[0].board.unwrap().name());
        }
        let mention = mentioned.last().unwrap();
        return capital(scene.objects[mention.find(scene)].colour.name());
    }
    if question.starts_with("Which shape is") {
        let word = question.trim_end_matches('?').rsplit(' ').next().unwrap();
        let mention = mentions(&format!("{word} shape"))[0];
        return capital(scene.objects[mention.find(scene)].shape.name());
    }
    exists(scene, question, &mentioned)
}

/// The ninths of a picture, row by row.
pub(crate) const NINTHS: [&str; 9] = [
    "at the top left",
    "at the top",
    "at the top right",
    "on the left",
    "in the middle",
    "on the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
];

/// Where an object is, which is so far from the lines between thirds.
pub(crate) fn ninth(object: &Object, least: f32) -> &'static str {
    let third = |at: f32| {
        let from_lines = (at - 1.0 / 3.0).abs().min((at - 2.0 / 3.0).abs());
        assert!(from_lines >= least, "{object:?}");
        usize::from(at > 1.0 / 3.0) + usize::from(at > 2.0 / 3.0)
    };
    NINTHS[third(object.y) * 3 + third(object.x)]
}

fn what_is_there(scene: &Scene, question: &str) -> String {
    let asked = NINTHS
        .iter()
        .filter(|phrase| question.ends_with(&format!("{phrase}?")));
    let asked = asked.max_by_key(|phrase| phrase.len()).unwrap();
    let there: Vec<_> = scene
        .objects
        .iter()
        .filter(|object| ninth(object, 0.0) == *asked)
        .collect();
    match there[..] {
        [] => "Nothing".to_owned(),
        [object] => {
            let pattern = Some(object.pattern).filter(|pattern| *pattern != Pattern::Plain);
            let words = [
                Some(object.size.name()),
                pattern.map(Pattern::name),
                Some(object.colour.name()),
                Some(object.shape.name()),
            ];
            capital(&words.into_iter().flatten().collect::<Vec<_>>().join(" "))
        }
        _ => panic!("{question}: {there:?}"),
    }
}

fn exists(scene: &Scene, question: &str, mentioned: &[Mention]) -> String {
    let has = |words: &str| question.contains(words);
    let is_there = if has("clock") {
        scene.clock.is_some()
    } else if has("bar chart") {
        !scene.bars.is_empty()
    } else if has("sign") {
        scene.signs.iter().any(|sign| sign.board.is_some())
    } else if has("grid") {
        matches!(scene.layout, Layout::Grid { .. })
    } else {
        mentioned[0].count(scene) > 0
    };
    yes_no(is_there)
}

/// What a sign says, or the number above a bar.
fn read(scene: &Scene, question: &str, mentioned: &[Mention]) -> Option<String> {
    let has = |words: &str| question.contains(words);
    if has("value") || has("number is above") {
        let colour = mentioned[0].colour;
        let bar = scene.bars.iter().find(|bar| Some(bar.colour) == colour)?;
        return bar.is_labelled.then(|| bar.value.to_string());
    }
    if !has("say") && !has("written") && !has("word") && !has("number") {
        return None;
    }
    let colours = Colour::ALL.iter();
    let named = colours.filter(|colour| has(&format!(" {} sign", colour.name())));
    let named: Vec<_> = named.map(|colour| Some(*colour)).collect();
    let mut signs = scene.signs.iter().collect::<Vec<_>>();
    signs.sort_by(|a, b| a.y.total_cmp(&b.y));
    if has("upper") {
        signs.truncate(1);
    } else if has("lower") {
        signs.remove(0);
    } else if !named.is_empty() {
        signs.retain(|sign| named.contains(&sign.board));
    }
    let [sign] = signs[..] else {
        panic!("{question}: {signs:?}")
    };
    Some(sign.text.clone())
}

type Holds = fn(&Scene, usize, usize) -> bool;

/// Words, in the order of looking for them, and what they mean.
const RELATIONS: [(&str, Holds); 10] = [
    ("in front", |_, a, b| a > b),
    ("behind", |_, a, b| a < b),
    ("left", |scene, a, b| {
        scene.objects[a].x < scene.objects[b].x
    }),
    ("right", |scene, a, b| {
        scene.objects[a].x > scene.objects[b].x
    }),
    ("above", |scene, a, b| {
        scene.objects[a].y < scene.objects[b].y
    }),
    ("below", |scene, a, b| {
        scene.objects[a].y > scene.objects[b].y
    }),
    ("larger", |scene, a, b| {
        scene.objects[a].radius > scene.objects[b].radius * 1.4
    }),
    ("smaller", |scene, a, b| {
        scene.objects[b].radius > scene.objects[a].radius * 1.4
    }),
    ("taller", |scene, a, b| {
        scene.bars[a].value > scene.bars[b].value + 5
    }),
    ("shorter", |scene, a, b| {
        scene.bars[b].value > scene.bars[a].value + 5
    }),
];

fn related(scene: &Scene, question: &str, mentioned: &[Mention], holds: Holds) -> String {
    let has = |words: &str| question.contains(words);
    if has("number is above") {
        return read(scene, question, mentioned).unwrap();
    }
    let place = |mention: &Mention| match mention.is_bar {
        true => {
            let mut bars = scene.bars.iter();
            bars.position(|bar| Some(bar.colour) == mention.colour)
                .unwrap()
        }
        false => mention.find(scene),
    };
    let name = |mention: &Mention| {
        let noun = mention.shape.map_or("bar", Shape::name);
        capital(&format!("{} {noun}", mention.colour.unwrap().name()))
    };
    // "Which shape", "Which bar": no thing of its own.
    let told: Vec<Mention> = mentioned
        .iter()
        .copied()
        .filter(|m| m.colour.is_some())
        .collect();
    let [first, rest @ ..] = &told[..] else {
        panic!("{question}")
    };
    let Some(second) = rest.first() else {
        let other = place(first);
        let mut fitting =
            (0..scene.objects.len()).filter(|&a| a != other && holds(scene, a, other));
        let found = fitting.next().unwrap();
        assert_eq!(fitting.next(), None, "{question}: {scene:?}");
        let object = &scene.objects[found];
        return capital(&format!("{} {}", object.colour.name(), object.shape.name()));
    };
    if has("On which side") {
        // The thing to look from is named first.
        let (a, b) = (&scene.objects[place(second)], &scene.objects[place(first)]);
        let (x, y) = (a.x - b.x, a.y - b.y);
        assert!(
            x.abs() > 2.0 * y.abs() || y.abs() > 2.0 * x.abs(),
            "{question}"
        );
        let side = match x.abs() > y.abs() {
            true if x < 0.0 => "Left",
            true => "Right",
            false if y < 0.0 => "Above",
            false => "Below",
        };
        return side.to_owned();
    }
    let (a, b) = (place(first), place(second));
    let depth = has("front") || has("behind");
    if !depth && !first.is_bar && !has("larger") && !has("smaller") {
        let (a, b) = (&scene.objects[a], &scene.objects[b]);
        let offset = match has("left") || has("right") {
            true => a.x - b.x,
            false => a.y - b.y,
        };
        assert!(offset.abs() > 0.15, "{question}: {offset}");
    }
    if has(" or ") && question.starts_with("Is ") {
        let (yes, no) = match () {
            () if depth => ("In front", "Behind"),
            () if has("left") => ("Left", "Right"),
            () => ("Above", "Below"),
        };
        return if holds(scene, a, b) { yes } else { no }.to_owned();
    }
    if question.starts_with("Which") {
        assert_ne!(holds(scene, a, b), holds(scene, b, a), "{question}");
        return name(if holds(scene, a, b) { first } else { second });
    }
    // One of the two is certain: not being larger is being smaller.
    assert_ne!(holds(scene, a, b), holds(scene, b, a), "{question}");
    yes_no(holds(scene, a, b))
}

pub(crate) fn capital(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}

fn yes_no(is_yes: bool) -> String {
    if is_yes { "Yes" } else { "No" }.to_owned()
}
