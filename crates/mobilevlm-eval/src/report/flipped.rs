//! The questions that one run answers better than another, with their pictures, as one page that
//! needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mobilevlm_processor::Format;

use super::{Item, Report, Scored, TaskData, escape};
use crate::run::picture_bytes;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Flipped questions</title>
<meta name=\"viewport\" content=\"width=device-width\">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.4 sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }
section { display: grid; grid-template-columns: 20rem 1fr; gap: 1rem; border-top: 1px solid #8888;
  padding: 1rem 0; }
img { max-width: 100%; max-height: 20rem; }
td, th { text-align: left; vertical-align: top; padding: 0 1rem 0 0; }
pre { font: inherit; white-space: pre-wrap; margin: 1rem 0 0; }
.right { color: #080; } .wrong { color: #c00; }
@media (max-width: 45rem) { section { grid-template-columns: 1fr; } }
@media (prefers-color-scheme: dark) { .right { color: #6d6; } .wrong { color: #f88; } }
</style></head><body>
";

/// The page: every question whose score differs between the first run and another, by benchmark,
/// those about one picture together.
/// A picture that cannot be read is named instead of shown.
pub fn flipped_page(report: &Report) -> String {
    let names: Vec<&str> = report.runs.iter().map(|run| run.name.as_str()).collect();
    let mut page = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(
        page,
        "<h1>Flipped questions</h1>\n<p>Questions that one of {} and {} answers better than the other.</p>",
        escape(names.first().copied().unwrap_or_default()),
        escape(&names.get(1..).unwrap_or_default().join(", "))
    );
    for task in &report.tasks {
        section(&mut page, task, &names);
    }
    page.push_str("</body></html>\n");
    page
}

/// What a run made of each question.
type Items<'a> = BTreeMap<usize, &'a Item>;

fn section<'a>(page: &mut String, task: &'a TaskData, names: &[&str]) {
    let of_run = |scored: &'a Option<Scored>| scored.as_ref().map(Scored::items);
    let runs: Vec<Items<'_>> = task
        .scores
        .iter()
        .map(|scored| of_run(scored).unwrap_or_default())
        .collect();
    let Some((first, others)) = runs.split_first() else {
        return;
    };
    let differs = |question: &usize| {
        let score = |items: &Items<'_>| items.get(question).map(|item| item.score);
        let others = others.iter().filter_map(score);
        score(first).is_some_and(|first| others.into_iter().any(|other| other != first))
    };
    let flipped: Vec<usize> = (0..task.questions.len()).filter(differs).collect();
    let _ = writeln!(
        page,
        "<h2>{}: {} of {} questions</h2>",
        task.name,
        flipped.len(),
        task.questions.len()
    );
    // In the order of the questions, but those about one picture behind its first.
    let mut by_picture: Vec<(Option<String>, Vec<usize>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for question in flipped {
        let name = task.questions[question]
            .picture
            .as_ref()
            .map(|source| source.name());
        match name.as_ref().and_then(|name| places.get(name)) {
            Some(&at) => by_picture[at].1.push(question),
            None => {
                if let Some(name) = &name {
                    places.insert(name.clone(), by_picture.len());
                }
                by_picture.push((name, vec![question]));
            }
        }
    }
    for (name, questions) in by_picture {
        page.push_str("<section><div>");
        if let Some(name) = name {
            picture(page, task, questions[0], &name);
        }
        page.push_str("</div><div>");
        for question in questions {
            answers(page, task, question, names, &runs);
        }
        page.push_str("</div></section>\n");
    }
}

fn picture(page: &mut String, task: &TaskData, question: usize, name: &str) {
    let source = task.questions[question].picture.as_ref();
    let bytes = source.map(|source| picture_bytes(source, &task.folder));
    let name = escape(name);
    let _ = match bytes {
        Some(Ok(bytes)) => {
            let kind = match Format::guess(&bytes) {
                Some(Format::Jpeg) => "jpeg",
                Some(Format::WebP) => "webp",
                Some(Format::Gif) => "gif",
                Some(Format::Bmp) => "bmp",
                Some(Format::Png) | None => "png",
            };
            let data = STANDARD.encode(bytes);
            write!(
                page,
                "<img alt=\"{name}\" src=\"data:image/{kind};base64,{data}\">"
            )
        }
        Some(Err(wrong)) => write!(page, "{name}: {}", escape(&wrong)),
        None => Ok(()),
    };
}

/// The question, the right answer, and what each run said.
fn answers(
    page: &mut String,
    task: &TaskData,
    question: usize,
    names: &[&str],
    runs: &[Items<'_>],
) {
    let prompt = escape(&task.questions[question].prompt);
    let _ = writeln!(page, "<pre>{}. {prompt}</pre><table>", question + 1);
    let gold = runs.iter().find_map(|items| items.get(&question));
    if let Some(gold) = gold {
        let _ = writeln!(page, "<tr><th>right<td>{}", escape(&gold.gold));
    }
    for ((name, items), scored) in names.iter().zip(runs).zip(&task.scores) {
        let (Some(item), Some(scored)) = (items.get(&question), scored) else {
            continue;
        };
        let text = scored.texts.get(&question).map_or("", String::as_str);
        let class = match item.score > 0.5 {
            true => "right",
            false => "wrong",
        };
        let _ = writeln!(
            page,
            "<tr class=\"{class}\"><th>{}<td>{} <td>{}",
            escape(name),
            escape(text),
            item.score
        );
    }
    page.push_str("</table>");
}
