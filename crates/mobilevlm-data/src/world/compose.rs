//! Makes up scenes: what is shown, and where.
//!
//! A scene is made for a kind of question, so that what the question needs is there. Rules that
//! hold for every scene:
//!
//! - of every object at least [`LEAST_VISIBLE`] is visible, and all of it is inside the picture;
//! - objects do not touch, unless one is meant to hide a part of another;
//! - in training, no two things whose pair is held out are in one picture;
//! - words, codes and numbers are printed only in their own part;
//! - no squares near boards and grids, no circles and rings near clocks: they could be meant.

use super::draw::{self, GRID_MARGIN};
use super::kind::Kind;
use super::place::{Obstacle, place};
use super::rng::Rng;
use super::scene::{Background, Bar, Clock, Colour, Layout, Scene, Shape, Sign, Size};
use super::split::{self, Noun, Split, Thing, pair_split};

/// The share of an object that is visible at least.
pub const LEAST_VISIBLE: f32 = 0.68;

/// More objects are not shown, so that small ones have room.
pub(crate) const MOST_OBJECTS: usize = 8;
/// More of anything is not counted.
pub(crate) const MOST_COUNTED: usize = 6;
/// Two bars of a chart differ by this at least.
const LEAST_DIFFERENCE: u8 = 7;

/// What an object looks like from afar.
pub(crate) type Look = (Shape, Colour);

/// A scene for a question of this kind; `count`: of something there are so many, to be counted.
pub(crate) fn scene(rng: &mut Rng, split: Split, kind: Kind, count: usize) -> Scene {
    // An attempt fails where the dice leave no room; most do not.
    loop {
        let layout = layout(rng, kind);
        let attempt = match layout {
            Layout::Chart => chart(rng, split, kind, count),
            Layout::Grid { .. } => grid(rng, split, kind, count, layout),
            _ => free(rng, split, kind, count, layout),
        };
        if let Some(scene) = attempt {
            return scene;
        }
    }
}

fn layout(rng: &mut Rng, kind: Kind) -> Layout {
    let grid = Layout::Grid {
        rows: rng.between(2, 3),
        columns: rng.between(2, 3),
    };
    let (sign, chart, clock) = (Layout::Sign, Layout::Chart, Layout::Clock);
    let weights: &[(Layout, usize)] = match kind {
        Kind::Existence => &[(Layout::Free, 70), (grid, 14), (sign, 10), (clock, 6)],
        Kind::Colour => &[(Layout::Free, 65), (grid, 15), (sign, 15), (clock, 5)],
        Kind::Counting => &[(Layout::Free, 74), (grid, 14), (chart, 12)],
        Kind::Relation | Kind::Place | Kind::Shape => &[(Layout::Free, 80), (grid, 20)],
        Kind::Comparison => &[(Layout::Free, 65), (chart, 35)],
        Kind::Reading => &[(sign, 80), (chart, 20)],
        Kind::Page | Kind::SignChoice => &[(sign, 1)],
        Kind::Chart => &[(chart, 1)],
        Kind::Crowd => &[(Layout::Free, 85), (grid, 15)],
        Kind::Overlap => &[(Layout::Free, 1)],
        Kind::Clock => &[(clock, 1)],
        Kind::Choice => &[(Layout::Free, 55), (grid, 10), (sign, 20), (chart, 15)],
        _ => &[
            (Layout::Free, 50),
            (grid, 12),
            (sign, 18),
            (chart, 12),
            (clock, 8),
        ],
    };
    rng.weighted(weights)
}

/// Shapes that cannot be mistaken for a part of the layout.
pub(crate) fn shapes(layout: Layout) -> Vec<Shape> {
    let is_apart = |shape: &Shape| match layout {
        Layout::Grid { .. } | Layout::Sign | Layout::Chart => *shape != Shape::Square,
        Layout::Clock => !matches!(shape, Shape::Circle | Shape::Ring),
        Layout::Free => true,
    };
    Shape::ALL.iter().copied().filter(is_apart).collect()
}

fn empty(rng: &mut Rng, layout: Layout) -> Scene {
    const TOPS: [[u8; 3]; 6] = [
        [206, 220, 234],
        [230, 222, 206],
        [212, 228, 210],
        [228, 214, 226],
        [208, 212, 218],
        [224, 226, 208],
    ];
    let top = *rng.pick(&TOPS);
    let bottom = match rng.between(0, 2) {
        0 => top,
        1 => top.map(|v| v - 16),
        _ => *rng.pick(&[[198, 210, 190], [216, 204, 186], [196, 200, 208]]),
    };
    Scene {
        layout,
        background: Background {
            top,
            bottom,
            has_horizon: layout == Layout::Free && rng.chance(30),
        },
        objects: Vec::new(),
        signs: Vec::new(),
        bars: Vec::new(),
        clock: None,
    }
}

/// A scene whose shapes stand where there is room.
fn free(rng: &mut Rng, split: Split, kind: Kind, count: usize, layout: Layout) -> Option<Scene> {
    let mut scene = empty(rng, layout);
    let mut obstacles = Vec::new();
    let mut most = MOST_OBJECTS;
    if layout == Layout::Clock {
        let is_alone = kind == Kind::Clock && rng.chance(60);
        let clock = clock(rng, is_alone);
        obstacles.push(Obstacle::new(clock.x, clock.y, clock.radius, clock.radius));
        most = if is_alone { 0 } else { 2 };
        scene.clock = Some(clock);
    }
    if kind == Kind::Page {
        scene.signs = page(rng, split)?;
        return Some(scene);
    }
    if layout == Layout::Sign {
        scene.signs = signs(rng, split)?;
        for sign in &scene.signs {
            let (half_width, half_height) = draw::board_size(sign);
            obstacles.push(Obstacle::new(sign.x, sign.y, half_width, half_height));
        }
        most = if scene.signs.len() == 1 { 2 } else { 1 };
        if kind == Kind::Reading && rng.chance(50) {
            most = 0;
        }
    }
    let looks = looks(rng, split, kind, count, layout, most)?;
    scene.objects = place(rng, kind, &looks, &obstacles)?;
    Some(scene)
}

/// A scene whose shapes stand in the cells of a grid.
fn grid(rng: &mut Rng, split: Split, kind: Kind, count: usize, layout: Layout) -> Option<Scene> {
    let Layout::Grid { rows, columns } = layout else {
        return None;
    };
    let mut scene = empty(rng, layout);
    let most = (rows * columns).min(MOST_OBJECTS);
    let looks = looks(rng, split, kind, count, layout, most)?;
    let mut cells: Vec<_> = (0..rows * columns).collect();
    rng.shuffle(&mut cells);
    let middle = |at: usize, of: usize| {
        GRID_MARGIN + (1.0 - 2.0 * GRID_MARGIN) * (at as f32 + 0.5) / of as f32
    };
    for (look, cell) in looks.iter().zip(cells) {
        let size = *rng.pick(Size::ALL);
        let at = (
            middle(cell % columns, columns),
            middle(cell / columns, rows),
        );
        scene
            .objects
            .push(super::place::object(rng, *look, size, at));
    }
    for object in &mut scene.objects {
        object.radius = match object.size {
            Size::Small => 0.08,
            Size::Large => 0.13,
        };
    }
    Some(scene)
}

/// What the objects of a scene look like, as the kind of question needs it.
fn looks(
    rng: &mut Rng,
    split: Split,
    kind: Kind,
    count: usize,
    layout: Layout,
    most: usize,
) -> Option<Vec<Look>> {
    let shapes = shapes(layout);
    let mut looks: Vec<Look> = Vec::new();
    match kind {
        Kind::Counting if count > 0 => {
            let theme = (*rng.pick(&shapes), *rng.pick(Colour::ALL));
            let (by_shape, by_colour) = *rng.pick(&[(true, false), (false, true), (true, true)]);
            let extra = rng.between(0, most.checked_sub(count)?.min(3));
            let is_counted =
                |look: Look| (!by_shape || look.0 == theme.0) && (!by_colour || look.1 == theme.1);
            add(rng, split, &mut looks, count, |rng| {
                let shape = if by_shape {
                    theme.0
                } else {
                    *rng.pick(&shapes)
                };
                let colour = if by_colour {
                    theme.1
                } else {
                    *rng.pick(Colour::ALL)
                };
                Some((shape, colour))
            })?;
            add(rng, split, &mut looks, count + extra, |rng| {
                let look = (*rng.pick(&shapes), *rng.pick(Colour::ALL));
                (!is_counted(look)).then_some(look)
            })?;
            rng.shuffle(&mut looks);
        }
        Kind::Relation | Kind::Comparison => {
            let random = |rng: &mut Rng| (*rng.pick(&shapes), *rng.pick(Colour::ALL));
            let (a, b) = (random(rng), random(rng));
            if a == b || pair_split(thing(a), thing(b)) != split {
                return None;
            }
            looks.extend([a, b]);
            let number = rng.between(2, most.min(5));
            // So that the two stay the only ones of their kind; a comparison can be of numbers.
            let repeats = kind == Kind::Comparison && rng.chance(40);
            add(rng, split, &mut looks, number, |rng| {
                let look = match repeats {
                    true => (*rng.pick(&[a.0, b.0]), *rng.pick(Colour::ALL)),
                    false => random(rng),
                };
                (look != a && look != b).then_some(look)
            })?;
        }
        Kind::Crowd | Kind::Overlap => {
            let forms = [(); 3].map(|()| *rng.pick(&shapes));
            let colours = [(); 3].map(|()| *rng.pick(Colour::ALL));
            let number = rng.between(4, most);
            add(rng, split, &mut looks, number, |rng| {
                Some((*rng.pick(&forms), *rng.pick(&colours)))
            })?;
        }
        _ => {
            let number = match most {
                0 => 0,
                1 | 2 => rng.between(1, most),
                _ => rng.between(1, most.min(6)),
            };
            let repeats = rng.chance(30);
            let first = (*rng.pick(&shapes), *rng.pick(Colour::ALL));
            add(rng, split, &mut looks, number, |rng| {
                let is_repeated = repeats && rng.chance(50);
                Some(match is_repeated {
                    true => first,
                    false => (*rng.pick(&shapes), *rng.pick(Colour::ALL)),
                })
            })?;
        }
    }
    Some(looks)
}

/// Adds looks until there are `number`; in training only such as may meet those that are there.
fn add(
    rng: &mut Rng,
    split: Split,
    looks: &mut Vec<Look>,
    number: usize,
    mut draw: impl FnMut(&mut Rng) -> Option<Look>,
) -> Option<()> {
    for _ in 0..200 {
        if looks.len() >= number {
            return Some(());
        }
        let Some(look) = draw(rng) else { continue };
        let meets = |other: &Look| pair_split(thing(*other), thing(look)) == Split::Train;
        if split == Split::HeldOut || looks.iter().all(meets) {
            looks.push(look);
        }
    }
    None
}

fn thing((shape, colour): Look) -> Thing {
    (Noun::Object(shape), colour)
}

/// One sign, or two on different boards.
fn signs(rng: &mut Rng, split: Split) -> Option<Vec<Sign>> {
    let number = if rng.chance(25) { 2 } else { 1 };
    let mut signs: Vec<Sign> = Vec::new();
    for place in 0..number {
        let text = text(rng, split);
        let board = match number == 2 || rng.chance(75) {
            true => Some(*rng.pick(Colour::ALL)),
            false => None,
        };
        let widest = 0.88 / (draw::text_width(&text) + 1.2);
        let height = rng.real(0.115, 0.2).min(widest);
        let rows = match (number, place) {
            (1, _) => (0.02, 0.98),
            (_, 0) => (0.02, 0.47),
            _ => (0.53, 0.98),
        };
        let sign = sign(rng, (text, board), height, (0.02, 0.98), rows)?;
        let is_told_apart = |other: &Sign| other.board != sign.board && other.text != sign.text;
        if !signs.iter().all(is_told_apart) {
            return None;
        }
        signs.push(sign);
    }
    Some(signs)
}

/// Three rows of one sign or two, as there is room, each in another ninth of the picture.
fn page(rng: &mut Rng, split: Split) -> Option<Vec<Sign>> {
    let mut signs = Vec::new();
    for row in 0..3 {
        let rows = (row as f32 / 3.0 + 0.01, (row + 1) as f32 / 3.0 - 0.01);
        let texts = [text(rng, split), text(rng, split)];
        let mut board = || rng.chance(75).then(|| *rng.pick(Colour::ALL));
        let [first, second] = texts.map(|text| (text, board()));
        let width = |text: &str| draw::text_width(text) + 1.2;
        let widest = 0.94 / (width(&first.0) + width(&second.0));
        if widest < 0.1 || rng.chance(10) {
            let height = rng.real(0.115, 0.17).min(0.88 / width(&first.0));
            signs.push(sign(rng, first, height, (0.02, 0.98), rows)?);
            continue;
        }
        let height = rng.real(0.1, 0.17).min(widest);
        // The first has its share of the room, and some of what is left.
        let left = 0.96 - height * (width(&first.0) + width(&second.0));
        let edge = 0.02 + height * width(&first.0) + rng.real(0.0, left.max(0.0));
        let pair = [
            sign(rng, first, height, (0.02, edge), rows)?,
            sign(rng, second, height, (edge, 0.98), rows)?,
        ];
        let third = |sign: &Sign| (sign.x * 3.0) as usize;
        if third(&pair[0]) == third(&pair[1]) {
            return None;
        }
        signs.extend(pair);
    }
    Some(signs)
}

/// A sign somewhere between these columns and rows.
fn sign(
    rng: &mut Rng,
    (text, board): (String, Option<Colour>),
    height: f32,
    columns: (f32, f32),
    rows: (f32, f32),
) -> Option<Sign> {
    let mut sign = Sign {
        text,
        board,
        x: 0.5,
        y: 0.5,
        height,
        weight: rng.real(0.13, 0.2),
        slant: if rng.chance(25) { 0.18 } else { 0.0 },
    };
    let (half_width, half_height) = draw::board_size(&sign);
    sign.x = rng.real(columns.0 + half_width, columns.1 - half_width);
    if rows.0 + half_height > rows.1 - half_height {
        return None;
    }
    sign.y = rng.real(rows.0 + half_height, rows.1 - half_height);
    Some(sign)
}

/// A word or a number; in training, as often, characters that are neither: whoever has only seen
/// words guesses words, and takes two digits for one of the numbers that training prints.
fn text(rng: &mut Rng, split: Split) -> String {
    let (word, number) = match split {
        Split::Train => (25, 25),
        Split::HeldOut => (65, 35),
    };
    let kind = rng.below(100);
    if kind < word {
        return (*rng.pick(&split::words(split))).to_owned();
    }
    if kind < word + number {
        return rng.pick(&split::numbers(split)).to_string();
    }
    code(rng)
}

/// Two to five letters and single digits between them, as training prints them: no two digits stand
/// together, so no number is in it; no zero, which looks like an O; no word that is held out.
pub(crate) fn code(rng: &mut Rng) -> String {
    loop {
        let code = characters(rng);
        let mut words = code.split(|c: char| c.is_ascii_digit());
        let is_of_split = words.all(|word| split::word_split(word) == Split::Train);
        if is_of_split && !has_zero_like(&code) {
            return code;
        }
    }
}

fn characters(rng: &mut Rng) -> String {
    let mut code = String::new();
    let mut is_digit = false;
    for _ in 0..rng.between(2, 5) {
        is_digit = !is_digit && rng.chance(35);
        let (first, of) = if is_digit { (b'1', 9) } else { (b'A', 26) };
        code.push(char::from(first + rng.below(of) as u8));
    }
    code
}

/// Whether an O stands beside a digit: it is drawn as a zero is, and `9O` would be `90`.
fn has_zero_like(code: &str) -> bool {
    let mut pairs = code.as_bytes().windows(2);
    pairs.any(|pair| pair.contains(&b'O') && pair.iter().any(u8::is_ascii_digit))
}

fn clock(rng: &mut Rng, is_alone: bool) -> Clock {
    let radius = match is_alone {
        true => rng.real(0.3, 0.44),
        false => rng.real(0.26, 0.32),
    };
    Clock {
        hour: rng.between(1, 12) as u8,
        minute: *rng.pick(&[0, 15, 30, 45]),
        x: rng.real(radius + 0.03, 0.97 - radius),
        y: rng.real(radius + 0.03, 0.97 - radius),
        radius,
        rim: *rng.pick(Colour::ALL),
    }
}

/// A chart with one to six bars.
fn chart(rng: &mut Rng, split: Split, kind: Kind, count: usize) -> Option<Scene> {
    let number = match kind {
        Kind::Counting if count == 0 => return None,
        Kind::Counting => count,
        _ => rng.between(2, 5),
    };
    let is_labelled =
        number <= 5 && (matches!(kind, Kind::Reading | Kind::Chart) || rng.chance(60));
    let mut scene = empty(rng, Layout::Chart);
    let mut values: Vec<u8> = match is_labelled {
        true => split::numbers(split),
        false => (0..=99).collect(),
    };
    values.retain(|value| *value >= 5);
    let pitch = 0.84 / number.max(2) as f32;
    for place in 0..number {
        let colour = *rng.pick(Colour::ALL);
        let value = *rng.pick(&values);
        let meets = |other: &Bar| {
            let pair = pair_split((Noun::Bar, other.colour), (Noun::Bar, colour));
            other.colour != colour
                && other.value.abs_diff(value) >= LEAST_DIFFERENCE
                && (split == Split::HeldOut || pair == Split::Train)
        };
        if !scene.bars.iter().all(meets) {
            return None;
        }
        scene.bars.push(Bar {
            colour,
            value,
            is_labelled,
            x: 0.09 + pitch * (place as f32 + 0.5),
            width: pitch * 0.62,
        });
    }
    Some(scene)
}
