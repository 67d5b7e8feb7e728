//! Which answer belongs to which question, and what is wrong with an answers file.

use std::collections::HashMap;

use crate::answers::{Answers, Id};
use crate::benchmarks::Question;

/// Answers beside the questions of a benchmark. Indices are from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    /// For each answer its question; `None` where the question is none of the benchmark's, or has
    /// been answered already.
    pub question_of: Vec<Option<usize>>,
    /// Questions without an answer.
    pub missing: Vec<usize>,
    /// Answers to a question that an earlier line has answered.
    pub doubled: Vec<usize>,
    /// Answers to no question of the benchmark.
    pub unknown: Vec<usize>,
    /// Answers whose prompt is not the question's.
    pub other_prompt: Vec<usize>,
    /// The first answer that stands before one to an earlier question.
    pub out_of_order: Option<usize>,
}

impl Alignment {
    /// Matches answers with questions by id; where several questions share an id, by prompt among
    /// them, else in order.
    pub fn new(questions: &[Question], answers: &Answers) -> Alignment {
        let mut open: HashMap<&Id, Vec<usize>> = HashMap::new();
        for (index, question) in questions.iter().enumerate() {
            open.entry(&question.id).or_default().push(index);
        }
        let mut found = Alignment::default();
        for (index, answer) in answers.all.iter().enumerate() {
            let Some(left) = open.get_mut(&answer.id) else {
                found.unknown.push(index);
                found.question_of.push(None);
                continue;
            };
            let same_prompt = |&at: &usize| answer.prompt.as_ref() == Some(&questions[at].prompt);
            let place = left.iter().position(same_prompt).unwrap_or(0);
            if left.is_empty() {
                found.doubled.push(index);
                found.question_of.push(None);
                continue;
            }
            let at = left.remove(place);
            if answer.prompt.is_some() && !same_prompt(&at) {
                found.other_prompt.push(index);
            }
            let before = found.question_of.iter().rev().flatten().next();
            if found.out_of_order.is_none() && before.is_some_and(|&before| before > at) {
                found.out_of_order = Some(index);
            }
            found.question_of.push(Some(at));
        }
        found.missing = open.into_values().flatten().collect();
        found.missing.sort_unstable();
        found
    }

    /// Whether no answer belongs to any question.
    pub fn is_foreign(&self) -> bool {
        self.question_of.iter().all(Option::is_none)
    }

    /// What is wrong with the answers file, a sentence each.
    pub fn notes(&self, questions: &[Question], answers: &Answers) -> Vec<String> {
        let mut notes = Vec::new();
        let lines = |of: &[usize]| list(of.iter().map(|&index| answers.all[index].line));
        if !self.missing.is_empty() {
            let first = &questions[self.missing[0]];
            let places = list(self.missing.iter().map(|index| index + 1));
            notes.push(format!(
                "{} without an answer: {places} of the questions; the first is {}",
                count(self.missing.len(), "question"),
                first.id
            ));
        }
        if !self.doubled.is_empty() {
            notes.push(format!(
                "{} to a question that an earlier line answers: line {}",
                count(self.doubled.len(), "answer"),
                lines(&self.doubled)
            ));
        }
        if !self.unknown.is_empty() {
            let first = &answers.all[self.unknown[0]];
            notes.push(format!(
                "{} to questions that the benchmark does not have: line {}; the first is {}",
                count(self.unknown.len(), "answer"),
                lines(&self.unknown),
                first.id
            ));
        }
        if let Some(index) = self.out_of_order {
            notes.push(format!(
                "answers are not in the order of the questions: line {} belongs before the line above it",
                answers.all[index].line
            ));
        }
        if !self.other_prompt.is_empty() {
            notes.push(format!(
                "{} to another prompt than upstream's: line {}; the figures are not comparable with upstream's",
                count(self.other_prompt.len(), "answer"),
                lines(&self.other_prompt)
            ));
        }
        notes
    }
}

/// `1 answer`, `2 answers`
fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// The first five numbers.
fn list(numbers: impl ExactSizeIterator<Item = usize>) -> String {
    let more = numbers.len().saturating_sub(5);
    let mut text = String::new();
    for (place, number) in numbers.take(5).enumerate() {
        if place > 0 {
            text += ", ";
        }
        text += &number.to_string();
    }
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}
