//! MME: two yes-or-no questions about each picture, one of them with the answer yes; fourteen tasks.
//!
//! Official: `convert_answer_to_mme.py` of LLaVA's eval.zip, then `calculation.py` of MME's
//! evaluation tool.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use super::{
    Asked, BENCHMARK_DATA, Benchmark, Item, Question, SHORT, Scored, Source, loader_questions,
};
use crate::answers::{Answer, Id};
use crate::error::BenchmarkError;
use crate::figures::{Figure, Figures, ratio};
use crate::files::LineReader;

const QUESTIONS: &str = "llava_mme.jsonl";
const PICTURES: Source = Source::part(
    "images",
    "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation: \
     MME_Benchmark_release_version",
);
const WISH: &str = "Please answer yes or no.";

const PERCEPTION: [&str; 10] = [
    "existence",
    "count",
    "position",
    "color",
    "posters",
    "celebrity",
    "scene",
    "landmark",
    "artwork",
    "OCR",
];
const COGNITION: [&str; 4] = [
    "commonsense_reasoning",
    "numerical_calculation",
    "text_translation",
    "code_reasoning",
];

/// The benchmark.
pub(super) struct Mme;

/// The right answers of each picture, by task and file: question, then `yes` or `no`.
type Gold = HashMap<(String, String), Vec<(String, String)>>;

/// An answer with what it is compared with.
struct Heard<'a> {
    index: usize,
    answer: &'a Answer,
    gold: String,
    says: &'static str,
}

impl Heard<'_> {
    fn is_right(&self) -> bool {
        self.says == self.gold
    }
}

impl Benchmark for Mme {
    fn name(&self) -> &'static str {
        "mme"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("perception", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        // The right answers lie among the pictures.
        vec![Source::needed(QUESTIONS, BENCHMARK_DATA), PICTURES]
    }

    fn pictures(&self) -> Option<Source> {
        Some(PICTURES)
    }

    fn questions(&self, folder: &Path) -> Result<Vec<Question>, BenchmarkError> {
        loader_questions(&folder.join(QUESTIONS), PICTURES.path)
    }

    fn score(&self, asked: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        let gold = read_gold(asked)?;
        let mut scored = Scored::default();
        let mut by_task: HashMap<String, Vec<Heard<'_>>> = HashMap::new();
        for (index, answer) in asked.answers.all.iter().enumerate() {
            let (task, file) = match &answer.id {
                Id::Text(id) => place(id),
                Id::Number(_) => None,
            }
            .ok_or_else(|| {
                let wrong = format!("{} is no picture; expected TASK/FILE", answer.id);
                asked.answers.wrong(answer, wrong)
            })?;
            let prompt = asked.answers.prompt(answer)?;
            let known = gold.get(&(task.to_owned(), file.clone()));
            let Some((question, gold)) = known.and_then(|known| find(known, prompt)) else {
                if asked.partial && known.is_none() && asked.alignment.question_of[index].is_some()
                {
                    continue;
                }
                let wrong = format!("{task}/{file} has no question for the prompt {prompt:?}");
                return Err(asked.answers.wrong(answer, wrong));
            };
            if answer.text.contains(['\n', '\r', '\t']) {
                scored.notes.push(format!(
                    "line {}: the official tool stops at a line break or tab in a text; it is read \
                     by its first four characters as any other",
                    answer.line
                ));
            }
            let says = says(&answer.text);
            scored.listing.push(json!({
                "line": answer.line,
                "question_id": answer.id,
                "question": question,
                "post_processed": says,
                "answer": gold,
                "score": f64::from(says == gold),
            }));
            let heard = Heard {
                index,
                answer,
                gold,
                says,
            };
            scored.items.push(item(asked, task, &heard));
            by_task.entry(task.to_owned()).or_default().push(heard);
        }
        let mut tasks = Figures::default();
        for task in PERCEPTION.into_iter().chain(COGNITION) {
            let heard = by_task.remove(task).unwrap_or_default();
            let pairs = pairs(asked, task, &heard, &mut scored.notes)?;
            if !pairs.is_empty() {
                tasks.push(task, figures(&pairs));
            }
        }
        for (name, of) in [("perception", &PERCEPTION[..]), ("cognition", &COGNITION)] {
            let scores = of
                .iter()
                .filter_map(|task| tasks.number(&format!("{task}.score")));
            let scores: Vec<f64> = scores.collect();
            let sum = (!scores.is_empty()).then(|| scores.iter().sum::<f64>());
            scored.figures.push(name, sum);
        }
        scored.figures.push("tasks", tasks);
        Ok(scored)
    }
}

/// The task of an id, and the name of the file with the right answers.
fn place(id: &str) -> Option<(&str, String)> {
    let (task, _) = id.split_once('/')?;
    let file = id.rsplit('/').next()?.split('.').next()?;
    // Nothing else may lead out of the folder of the pictures.
    (![".", ".."].contains(&task) && !id.contains('\\')).then(|| (task, format!("{file}.txt")))
}

/// Reads the right answers of all questions.
fn read_gold(asked: &Asked<'_>) -> Result<Gold, BenchmarkError> {
    let mut gold = Gold::new();
    let mut missing = Vec::new();
    for (question, number) in asked.questions.iter().zip(1..) {
        let Id::Text(id) = &question.id else { continue };
        let Some((task, file)) = place(id) else {
            let wrong = format!("question_id {id:?}; expected TASK/FILE");
            return Err(BenchmarkError::line(
                &asked.folder.join(QUESTIONS),
                number,
                wrong,
            ));
        };
        let key = (task.to_owned(), file);
        if gold.contains_key(&key) {
            continue;
        }
        let mut below = format!("{}/{task}", PICTURES.path);
        if asked.folder.join(&below).join("images").exists() {
            below += "/questions_answers_YN";
        }
        below = format!("{below}/{}", key.1);
        let path = asked.folder.join(&below);
        match path.exists() {
            true => _ = gold.insert(key, read_pairs(&path)?),
            false => missing.push((below, PICTURES.from)),
        }
    }
    missing.dedup();
    match missing.is_empty() || asked.partial {
        true => Ok(gold),
        false => Err(BenchmarkError::Missing {
            folder: asked.folder.to_owned(),
            files: missing,
        }),
    }
}

/// Reads a file of lines `QUESTION\tYes`.
fn read_pairs(path: &Path) -> Result<Vec<(String, String)>, BenchmarkError> {
    let mut reader = LineReader::open(path)?;
    let mut pairs = Vec::new();
    while let Some((line, text)) = reader.next_line()? {
        let pair = mobilevlm_data::python::strip(text).split_once('\t');
        let pair = pair.map(|(question, answer)| (question.to_owned(), answer.to_lowercase()));
        match pair {
            Some(pair) if ["yes", "no"].contains(&pair.1.as_str()) => pairs.push(pair),
            _ => {
                let wrong = format!("{text:?}; expected a question, a tab, and Yes or No");
                return Err(BenchmarkError::line(path, line, wrong));
            }
        }
    }
    Ok(pairs)
}

/// The question and the right answer for a prompt. Where the wish for yes or no is missing, it
/// follows after one blank, or after two where only that is known.
fn find(known: &[(String, String)], prompt: &str) -> Option<(String, String)> {
    let prompt = match prompt.contains(SHORT) {
        true => mobilevlm_data::python::strip(&prompt.replace(SHORT, "")).to_owned(),
        false => prompt.to_owned(),
    };
    let candidates = match prompt.contains(WISH) {
        true => vec![prompt],
        false => vec![format!("{prompt} {WISH}"), format!("{prompt}  {WISH}")],
    };
    // The last line of a file wins, as in the script's dictionary.
    let find = |candidate: &String| {
        known
            .iter()
            .rev()
            .find(|(question, _)| question == candidate)
    };
    candidates.iter().find_map(find).cloned()
}

/// What an answer says, by its first four characters.
fn says(text: &str) -> &'static str {
    let beginning: String = text.to_lowercase().chars().chain(['\n']).take(4).collect();
    match beginning.as_str() {
        yes if yes.contains("yes") => "yes",
        no if no.contains("no") => "no",
        _ => "other",
    }
}

fn item(asked: &Asked<'_>, task: &str, heard: &Heard<'_>) -> Item {
    Item {
        line: Some(heard.answer.line),
        question: asked.alignment.question_of[heard.index],
        said: heard.says.to_owned(),
        gold: heard.gold.clone(),
        score: f64::from(heard.is_right()),
        counts: PERCEPTION.contains(&task),
        group: task.to_owned(),
    }
}

/// Answers two by two: consecutive ones are taken as those to one picture, as the tool does.
fn pairs<'a>(
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

/// The figures of a task.
fn figures(pairs: &[[&Heard<'_>; 2]]) -> Figures {
    let all = || pairs.iter().flatten();
    let count = |says: &str, gold: &str| {
        all()
            .filter(|heard| heard.says == says && heard.gold == gold)
            .count()
    };
    let number = |count: usize| count as f64;
    let questions = 2 * pairs.len();
    let right = all().filter(|heard| heard.is_right()).count();
    let both = pairs
        .iter()
        .filter(|pair| pair.iter().all(|heard| heard.is_right()))
        .count();
    let acc = ratio(number(right), number(questions));
    let acc_plus = ratio(number(both), number(pairs.len()));
    let (tp, fp) = (count("yes", "yes"), count("yes", "no"));
    let (tn, fn_) = (count("no", "no"), count("no", "yes"));
    let figures: [(&str, Figure); 11] = [
        ("acc", acc.into()),
        ("acc_plus", acc_plus.into()),
        (
            "score",
            acc.zip(acc_plus)
                .map(|(acc, plus)| 100.0 * acc + 100.0 * plus)
                .into(),
        ),
        (
            "other",
            all().filter(|heard| heard.says == "other").count().into(),
        ),
        ("tp", tp.into()),
        ("fp", fp.into()),
        ("tn", tn.into()),
        ("fn", fn_.into()),
        ("precision", ratio(number(tp), number(tp + fp)).into()),
        ("recall", ratio(number(tp), number(tp + fn_)).into()),
        ("questions", questions.into()),
    ];
    let mut figures: Figures = figures.into_iter().collect();
    figures.push("pictures", pairs.len());
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_cases;

    #[test]
    fn texts_say_what_the_tool_hears() {
        for case in parse_cases("mme") {
            let text = case[0].as_str().unwrap();
            assert_eq!(says(text), case[1], "{text:?}");
        }
    }
}
