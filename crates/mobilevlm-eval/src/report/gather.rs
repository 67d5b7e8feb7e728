//! From runs' folders to a report.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::interval::{draw, interval};
use super::paper::{PaperRow, average};
use super::{Compared, Comparison, Measured, Report, RunReport, Scored, Shift, TaskData};
use crate::align::Alignment;
use crate::answers::Answers;
use crate::benchmarks::{BENCHMARKS, Benchmark, PictureSource, Question, questions, score};
use crate::run::{ANSWERS_FILE, Record, RunError};

/// The average's name beside those of the benchmarks.
const AVERAGE: &str = "average";

/// A run's folder and its records, by benchmark.
struct Found {
    folder: PathBuf,
    records: BTreeMap<&'static str, Record>,
}

/// A figure for each run, for each drawing of pictures.
type Draws = Vec<Vec<Option<f64>>>;

pub(super) fn report(folders: &[PathBuf], data: Option<&Path>) -> Result<Report, RunError> {
    let found = folders.iter().map(|folder| find(folder));
    let found: Vec<Found> = found.collect::<Result<_, RunError>>()?;
    let mut notes = Vec::new();
    let (mut tasks, mut draws) = (Vec::new(), BTreeMap::new());
    for benchmark in BENCHMARKS.iter().copied() {
        if let Some(task) = task(benchmark, &found, data, &mut notes)? {
            draws.insert(task.name, resample(benchmark, &task));
            tasks.push(task);
        }
    }
    if let Some(of_average) = average_draws(&draws, found.len()) {
        draws.insert(AVERAGE, of_average);
    }
    let names = names(&found);
    let runs: Vec<RunReport> = (0..found.len())
        .map(|at| run_report(at, names[at].clone(), &found[at], &tasks, &draws))
        .collect();
    let comparisons = (1..runs.len())
        .map(|at| comparison(at, &runs, &tasks, &draws))
        .collect();
    Ok(Report {
        runs,
        comparisons,
        notes,
        tasks,
    })
}

/// The records in a run's folder.
fn find(folder: &Path) -> Result<Found, RunError> {
    let mut records = BTreeMap::new();
    for benchmark in BENCHMARKS {
        let name = benchmark.name();
        if let Some(record) = Record::read(&folder.join(name))? {
            records.insert(name, record);
        }
    }
    match records.is_empty() {
        false => Ok(Found {
            folder: folder.to_owned(),
            records,
        }),
        true => Err(RunError::Content {
            path: folder.to_owned(),
            wrong: "expected a folder that was --out of `mobilevlm eval`, found no answers; parts \
                    of a shared run have to be merged first"
                .to_owned(),
        }),
    }
}

/// What the runs made of one benchmark; `None` if none has it.
fn task(
    benchmark: &'static dyn Benchmark,
    found: &[Found],
    data: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Option<TaskData>, RunError> {
    let name = benchmark.name();
    let mut records = found.iter().filter_map(|found| found.records.get(name));
    let Some(first) = records.next() else {
        return Ok(None);
    };
    let folder = data.unwrap_or(&first.data.folder);
    let partial = found.iter().any(|found| is_partial(found, name));
    let questions = questions(benchmark, folder, partial)?;
    let mut scores = Vec::new();
    for found in found {
        let Some(record) = found.records.get(name) else {
            scores.push(None);
            continue;
        };
        if record.data.sha256 != first.data.sha256 {
            let path = found.folder.display();
            notes.push(format!(
                "{path}: {name} was asked with other questions or pictures than in the first run"
            ));
        }
        let path = found.folder.join(name).join(ANSWERS_FILE);
        let answers = Answers::read(&path)?;
        let expected = record.data.questions - record.data.left_out;
        if answers.all.len() < expected {
            let (path, there) = (path.display(), answers.all.len());
            notes.push(format!(
                "{path}: {there} of {expected} questions are answered so far"
            ));
        }
        let partial = is_partial(found, name) || answers.all.len() < expected;
        let score = score(benchmark, folder, &answers, partial)?;
        let path = path.display();
        notes.extend(score.notes.iter().map(|note| format!("{path}: {note}")));
        let alignment = Alignment::new(&questions, &answers);
        let texts = alignment.question_of.into_iter().zip(answers.all);
        scores.push(Some(Scored {
            score,
            texts: texts
                .filter_map(|(question, answer)| Some((question?, answer.text)))
                .collect(),
        }));
    }
    Ok(Some(TaskData {
        name,
        folder: crate::files::task_folder(benchmark, folder),
        questions,
        scores,
    }))
}

fn is_partial(found: &Found, task: &str) -> bool {
    let record = found.records.get(task);
    record.is_some_and(|record| record.data.left_out > 0)
}

/// The benchmark's figure for each run, for each drawing of its pictures. All runs get the same
/// pictures; a question without a picture is drawn by itself.
fn resample(benchmark: &dyn Benchmark, task: &TaskData) -> Draws {
    let clusters = clusters(&task.questions);
    let mut draws = vec![Vec::new(); task.scores.len()];
    draw(&strata(benchmark, task, &clusters), &mut |drawn| {
        for (scored, draws) in task.scores.iter().zip(&mut draws) {
            let Some(scored) = scored else { continue };
            let weight = |question: Option<usize>| question.map_or(1.0, |at| drawn[clusters[at]]);
            let items = &scored.score.items;
            let weights: Vec<f64> = items.iter().map(|item| weight(item.question)).collect();
            draws.push(benchmark.weighted_figure(items, &weights));
        }
    });
    draws
}

/// The clusters that are drawn together: all, or those of each group.
fn strata(benchmark: &dyn Benchmark, task: &TaskData, clusters: &[usize]) -> Vec<Vec<usize>> {
    let mut group_of: BTreeMap<usize, &str> = clusters.iter().map(|at| (*at, "")).collect();
    if benchmark.draws_within_groups() {
        let items = task
            .scores
            .iter()
            .flatten()
            .flat_map(|scored| &scored.score.items);
        for item in items {
            if let Some(question) = item.question {
                group_of.insert(clusters[question], &item.group);
            }
        }
    }
    let mut strata: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (cluster, group) in group_of {
        strata.entry(group).or_default().push(cluster);
    }
    strata.into_values().collect()
}

/// For each question the number of its picture.
fn clusters(questions: &[Question]) -> Vec<usize> {
    let mut numbers: HashMap<&PictureSource, usize> = HashMap::new();
    let mut next = 0;
    let mut new = || {
        next += 1;
        next - 1
    };
    questions
        .iter()
        .map(|question| match &question.picture {
            Some(picture) => *numbers.entry(picture).or_insert_with(&mut new),
            None => new(),
        })
        .collect()
}

/// The average of the paper for each drawing: those of the benchmarks are independent.
fn average_draws(draws: &BTreeMap<&str, Draws>, runs: usize) -> Option<Draws> {
    let count = draws.values().flatten().map(Vec::len).max()?;
    let of_run = |run: usize| {
        let one = |at: usize| average(&|task| *draws.get(task)?[run].get(at)?);
        (0..count).map(one).collect()
    };
    Some((0..runs).map(of_run).collect())
}

/// What the runs are called: the model's name, and the folder's where that says too little.
fn names(found: &[Found]) -> Vec<String> {
    let model = |found: &Found| {
        let record = found.records.values().next();
        record.map_or(String::new(), |record| record.model.name.clone())
    };
    let models: Vec<String> = found.iter().map(model).collect();
    found
        .iter()
        .zip(&models)
        .map(
            |(found, model)| match models.iter().filter(|other| *other == model).count() {
                1 => model.clone(),
                _ => found.folder.display().to_string(),
            },
        )
        .collect()
}

fn run_report(
    at: usize,
    name: String,
    found: &Found,
    tasks: &[TaskData],
    draws: &BTreeMap<&str, Draws>,
) -> RunReport {
    let model = found
        .records
        .values()
        .find_map(|record| record.model.paper.as_deref());
    let paper = model.and_then(PaperRow::of);
    let measured = |task: &str, figure: Option<f64>, of_paper: Option<f64>, partial| Measured {
        figure,
        interval: draws.get(task).and_then(|draws| interval(&draws[at])),
        paper: of_paper,
        difference: figure.zip(of_paper).map(|(figure, paper)| figure - paper),
        partial,
    };
    let measured_tasks: BTreeMap<String, Measured> = tasks
        .iter()
        .filter_map(|task| {
            let score = &task.scores[at].as_ref()?.score;
            let of_paper = paper.and_then(|row| row.figure(task.name));
            let figure = score.paper_table_figure;
            let measured = measured(task.name, figure, of_paper, score.partial);
            Some((task.name.to_owned(), measured))
        })
        .collect();
    let figure = average(&|task| measured_tasks.get(task)?.figure);
    let partial = measured_tasks
        .values()
        .find_map(|measured| measured.partial);
    RunReport {
        name,
        folder: found.folder.clone(),
        paper: paper.map(|row| row.model),
        average: figure
            .map(|figure| measured(AVERAGE, Some(figure), paper.map(|row| row.average), partial)),
        tasks: measured_tasks,
    }
}

/// Compares run `at` with the first one.
fn comparison(
    at: usize,
    runs: &[RunReport],
    tasks: &[TaskData],
    draws: &BTreeMap<&str, Draws>,
) -> Comparison {
    let shift = |task: &str, this: Option<&Measured>, first: Option<&Measured>| {
        let figures = this
            .and_then(|one| one.figure)
            .zip(first.and_then(|one| one.figure));
        Shift {
            difference: figures.map(|(this, first)| this - first),
            interval: draws.get(task).and_then(|draws| {
                let pairs = draws[at].iter().zip(&draws[0]);
                let differences: Vec<Option<f64>> = pairs
                    .map(|(this, first)| Some((*this)? - (*first)?))
                    .collect();
                interval(&differences)
            }),
        }
    };
    let (this, first) = (&runs[at], &runs[0]);
    let compared = tasks.iter().filter_map(|task| {
        let (of_this, of_first) = (task.scores[at].as_ref()?, task.scores[0].as_ref()?);
        let (items, others) = (of_this.items(), of_first.items());
        let both = items
            .iter()
            .filter_map(|(question, item)| Some((*item, *others.get(question)?)));
        let (mut questions, mut same, mut gained, mut lost) = (0, 0, 0, 0);
        for (item, other) in both {
            questions += 1;
            same += usize::from(item.said == other.said);
            gained += usize::from(item.score > other.score);
            lost += usize::from(item.score < other.score);
        }
        let shift = shift(
            task.name,
            this.tasks.get(task.name),
            first.tasks.get(task.name),
        );
        let compared = Compared {
            shift,
            questions,
            agreement: same as f64 / f64::max(1.0, questions as f64),
            gained,
            lost,
        };
        Some((task.name.to_owned(), compared))
    });
    Comparison {
        run: this.name.clone(),
        with: first.name.clone(),
        tasks: compared.collect(),
        average: (this.average.is_some() && first.average.is_some())
            .then(|| shift(AVERAGE, this.average.as_ref(), first.average.as_ref())),
    }
}
