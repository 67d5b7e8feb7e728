//! Which answers are taken as those to one picture.

use super::QUESTIONS;
use super::gold::place;
use super::heard::Heard;
use crate::answers::Id;
use crate::benchmarks::Asked;
use crate::error::BenchmarkError;

/// Answers two by two: consecutive ones are taken as those to one picture, as the tool does.
pub(super) fn pairs<'a>(
    asked: &Asked<'_>,
    task: &str,
    heard: &'a [Heard<'a>],
    notes: &mut Vec<String>,
) -> Result<Vec<[&'a Heard<'a>; 2]>, BenchmarkError> {
    let mut pairs = Vec::new();
    let mut rest = heard;
    let mut told = false;
    while let [first, others @ ..] = rest {
        let Some(second) = others.first() else {
            if asked.partial {
                break;
            }
            return Err(unpaired(asked, task, heard));
        };
        if first.answer.id != second.answer.id {
            if asked.partial {
                rest = others;
                continue;
            }
            if !told {
                notes.push(format!(
                    "{task}: lines {} and {} are taken as one picture's, as the official tool \
                     does, but are {} and {}",
                    first.answer.line, second.answer.line, first.answer.id, second.answer.id
                ));
                told = true;
            }
        }
        pairs.push([first, second]);
        rest = &others[1..];
    }
    if pairs.is_empty() && !asked.partial {
        return Err(unpaired(asked, task, heard));
    }
    Ok(pairs)
}

/// The error for a task with an odd number of answers, or none: the tool stops.
fn unpaired(asked: &Asked<'_>, task: &str, heard: &[Heard<'_>]) -> BenchmarkError {
    let is_of_task =
        |id: &Id| matches!(id, Id::Text(id) if place(id).is_some_and(|of| of.0 == task));
    let count = heard.len();
    let missing = asked
        .alignment
        .missing
        .iter()
        .find(|at| is_of_task(&asked.questions[**at].id));
    if let Some(&at) = missing {
        let id = &asked.questions[at].id;
        let path = asked.folder.join(QUESTIONS);
        let answers = asked.answers.path.display();
        let wrong = format!(
            "{id} has no answer in {answers}: {task} has {count}, and the official tool takes them \
             two by two; answer it, or score what is there with `--partial`"
        );
        return BenchmarkError::line(&path, at + 1, wrong);
    }
    let doubled = asked
        .alignment
        .doubled
        .iter()
        .find(|at| is_of_task(&asked.answers.all[**at].id));
    if let Some(&at) = doubled {
        let answer = &asked.answers.all[at];
        let wrong = format!(
            "{} is answered once more: {task} has {count} answers, and the official tool takes them \
             two by two",
            answer.id
        );
        return asked.answers.wrong(answer, wrong);
    }
    let wrong = format!("{count} questions of {task}; expected an even number");
    BenchmarkError::content(&asked.folder.join(QUESTIONS), wrong)
}
