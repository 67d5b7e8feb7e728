//! What a model gets wrong: its ten most frequent kinds of mistake, told and drawn.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use mobilevlm_data::world::{Colour, Kind, Pattern, Shape, Size, Split, World, WorldOptions, png};
use mobilevlm_eval::world::is_right;
use mobilevlm_processor::RgbImage;
use serde::Deserialize;

/// Kinds of mistake that are shown.
const SHOWN: usize = 10;
/// Pictures from left to right.
const COLUMNS: usize = 5;
/// Pixels in a side of a picture, and between two.
const SIDE: usize = 168;
const GAP: usize = 6;

/// A line of `mobilevlm eval world --answers`.
#[derive(Deserialize)]
struct Answered {
    /// `held-out-SEED-KIND-INDEX`.
    id: String,
    question: String,
    expected: String,
    answer: String,
}

/// Questions that are alike but for what they name.
#[derive(Default)]
struct Alike {
    asked: usize,
    wrong: Vec<Answered>,
}

/// A Markdown table of the most frequent kinds of mistake, and a sheet of one picture each in
/// the same order.
pub(super) fn describe(answers: &Path) -> Result<(String, RgbImage), Box<dyn Error>> {
    let mut kinds: BTreeMap<String, Alike> = BTreeMap::new();
    for line in fs::read_to_string(answers)?.lines() {
        let answered: Answered = serde_json::from_str(line)?;
        let alike = kinds.entry(form(&answered.question)).or_default();
        alike.asked += 1;
        if !is_right(&answered.answer, &answered.expected) {
            alike.wrong.push(answered);
        }
    }
    let mut kinds: Vec<(String, Alike)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, alike)| std::cmp::Reverse(alike.wrong.len()));
    kinds.retain(|(_, alike)| !alike.wrong.is_empty());
    kinds.truncate(SHOWN);

    let mut table = "| | question | wrong | for example | expected | answered |\n\
                     |---|---|---|---|---|---|\n"
        .to_owned();
    let rows = kinds.len().div_ceil(COLUMNS).max(1);
    let (width, height) = (COLUMNS * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP);
    let mut sheet = RgbImage::filled(width, height, [255; 3]);
    for (place, (form, alike)) in kinds.iter().enumerate() {
        let example = &alike.wrong[0];
        let line = |text: &str| text.replace('\n', " ").replace('|', "\\|");
        table += &format!(
            "| {} | {} | {} of {} | {} | {} | {} |\n",
            place + 1,
            line(form),
            alike.wrong.len(),
            alike.asked,
            line(&example.question),
            example.expected,
            line(&example.answer)
        );
        paste(&mut sheet, &picture(&example.id)?, place);
    }
    Ok((table, sheet))
}

/// A question without its options, and `…` for what it names.
fn form(question: &str) -> String {
    let names = |word: &str| {
        let colours = Colour::ALL.iter().any(|one| one.name() == word);
        let shapes = Shape::ALL
            .iter()
            .any(|one| one.name() == word || one.plural() == word);
        let others = Size::ALL.iter().any(|one| one.name() == word)
            || Pattern::ALL.iter().any(|one| one.name() == word);
        colours || shapes || others
    };
    let is_choice = question.contains("\nA. ");
    let mut words: Vec<&str> = Vec::new();
    for word in question
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
    {
        let bare = word.trim_end_matches(['?', ',', '.', ':']);
        let shown = if names(bare) { "…" } else { word };
        if shown != "…" || words.last() != Some(&"…") {
            words.push(shown);
        }
    }
    words.join(" ") + if is_choice { " (choice)" } else { "" }
}

/// The picture of a held-out sample.
fn picture(id: &str) -> Result<RgbImage, Box<dyn Error>> {
    let told = id.strip_prefix("held-out-").and_then(|rest| {
        let (seed, rest) = rest.split_once('-')?;
        let (kind, index) = rest.rsplit_once('-')?;
        Some((
            seed.parse().ok()?,
            kind.parse::<Kind>().ok()?,
            index.parse().ok()?,
        ))
    });
    let (seed, kind, index) = told.ok_or_else(|| format!("{id}: no held-out sample"))?;
    let world = World::new(WorldOptions {
        seed,
        size: SIDE,
        ..WorldOptions::default()
    })?;
    let sample = world.sample_of(kind, Split::HeldOut, index);
    Ok(world.image(&sample).ok_or("a text has no picture")?)
}

fn paste(sheet: &mut RgbImage, picture: &RgbImage, place: usize) {
    let left = place % COLUMNS * (SIDE + GAP);
    let top = place / COLUMNS * (SIDE + GAP);
    for y in 0..SIDE {
        let start = ((top + y) * sheet.width + left) * 3;
        sheet.pixels[start..start + SIDE * 3].copy_from_slice(picture.row(y));
    }
}

/// Writes both beside each other: `mistakes.md` and `mistakes.png`.
pub(super) fn write(answers: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (table, sheet) = describe(answers)?;
    fs::write(folder.join("mistakes.md"), table)?;
    fs::write(folder.join("mistakes.png"), png(&sheet))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_alike_whatever_they_name() {
        let of = |a, b| (form(a), form(b));
        let (a, b) = of(
            "Is the red star left of the ring?",
            "Is the small blue ring left of the heart?",
        );
        assert_eq!(a, b);
        assert_eq!(a, "Is the … left of the …");
        let (a, b) = of(
            "How many stars are there?",
            "How many stars are there?\nA. 1\nB. 2\n…",
        );
        assert_ne!(a, b);
    }

    #[test]
    fn mistakes_are_told_by_how_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers.jsonl");
        let line = |kind: &str, index: u32, question: &str, expected: &str, answer: &str| {
            serde_json::json!({
                "id": format!("held-out-0-{kind}-{index}"), "kind": kind, "question": question,
                "expected": expected, "answer": answer, "answer_to_grey": "",
            })
            .to_string()
        };
        let lines = [
            line("colour", 0, "What colour is the star?", "Red", "Blue"),
            line("counting", 0, "How many stars are there?", "2", "3"),
            line("counting", 1, "How many red rings are there?", "2", "1"),
            line("counting", 2, "How many hearts are there?", "2", "2."),
        ];
        fs::write(&file, lines.join("\n")).unwrap();
        let (table, sheet) = describe(&file).unwrap();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), 2);
        assert!(
            rows[0].contains("How many … are there? | 2 of 3"),
            "{table}"
        );
        assert!(rows[1].contains("What colour is the … | 1 of 1"), "{table}");
        assert_eq!(sheet.width, 5 * 174 - 6);
    }
}
