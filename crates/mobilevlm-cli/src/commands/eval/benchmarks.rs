//! `mobilevlm eval` with benchmarks: asks, writes the answers, scores them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mobilevlm_eval::run::{self, ANSWERS_FILE, ModelIdentity, Plan, Record, Run, RunError, Shard};
use mobilevlm_eval::{Answers, BENCHMARKS, Benchmark, Figures, Partial, Score, benchmark, score};
use serde::Serialize;

use crate::args::{EvalArgs, RunArgs};
use crate::error::{CliError, chain};
use crate::interrupt;
use crate::plan::{self, ModelFiles, Network};
use crate::terminal::{Terminal, print_json};

/// How many missing pictures are named in a note.
const NAMED: usize = 5;

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    /// The folder that `mobilevlm report` takes.
    out: &'a Path,
    /// `I/N` where this was a part.
    shard: Option<String>,
    tasks: Vec<TaskReport>,
}

/// A benchmark that was asked.
#[derive(Serialize)]
struct TaskReport {
    task: &'static str,
    answers: PathBuf,
    questions: usize,
    /// Those that were asked now; the others had been answered before.
    asked: usize,
    seconds: f64,
    /// `null` for a part of a shared run, which is scored when it is merged.
    score: Option<ScoreReport>,
}

/// The score of a benchmark.
#[derive(Serialize)]
struct ScoreReport {
    paper_table_figure: Option<f64>,
    partial: Option<Partial>,
    figures: Figures,
    notes: Vec<String>,
}

pub(super) fn run(args: &EvalArgs, data: &Path, terminal: Terminal) -> Result<(), CliError> {
    let shard = shard(&args.run, terminal)?;
    let plans = plans(args, data, terminal)?;
    let found = plan::find_model(args.model.model.as_deref(), Network::Allowed, terminal)?;
    let (name, files) = (found.name.clone(), found.files()?);
    let model = plan::open_model(&args.model, &args.compute, Network::Allowed, terminal)?;
    let identity = identify(args, &name, files, terminal);
    let out = match &args.run.out {
        Some(out) => out.clone(),
        None => Path::new("eval").join(&identity.name),
    };
    let mut tasks = Vec::new();
    for plan in &plans {
        let run = Run {
            model: &model,
            identity: &identity,
            plan,
            out: &out,
            shard,
            batch: args.run.batch.into(),
            cancel: interrupt::stoppable(),
        };
        tasks.push(task(&run, terminal)?);
    }
    let report = Report {
        model: &identity.name,
        out: &out,
        shard: shard.map(|shard| shard.to_string()),
        tasks,
    };
    match args.json {
        true => print_json(&report),
        false => report.print(),
    }
}

/// Which part of the questions this process has.
fn shard(args: &RunArgs, terminal: Terminal) -> Result<Option<Shard>, CliError> {
    let variable = |name: &str| std::env::var(name).ok();
    let found = run::shard(args.shard, &variable)
        .map_err(|error| CliError::usage(error.to_string(), "mobilevlm eval … --shard 2/8"))?;
    Ok(found.map(|(shard, from)| {
        terminal.note(&format!("part {shard} of the questions, by {from}"));
        shard
    }))
}

/// What is asked, in the order of the paper's table; everything that is missing is told at once.
fn plans(args: &EvalArgs, data: &Path, terminal: Terminal) -> Result<Vec<Plan>, CliError> {
    let (mut plans, mut wrong) = (Vec::new(), Vec::new());
    let asked = |one: &&dyn Benchmark| args.tasks.iter().any(|task| task == one.name());
    for one in BENCHMARKS.iter().copied().filter(asked) {
        match Plan::new(one, data, args.run.partial) {
            Ok(plan) => plans.push(plan),
            Err(error) => wrong.push(chain(&error)),
        }
    }
    if !wrong.is_empty() {
        wrong.push("`--partial` evaluates what is there".to_owned());
        return Err(CliError::Failed(wrong.join("\n")));
    }
    for plan in &plans {
        let missing = plan.missing();
        if !missing.is_empty() {
            let named = missing.iter().take(NAMED).map(String::as_str);
            let more = missing.len().saturating_sub(NAMED);
            terminal.note(&format!(
                "{}: {} of {} questions are left out, as these pictures are missing: {}{}",
                plan.benchmark().name(),
                plan.data().left_out,
                plan.data().questions,
                named.collect::<Vec<_>>().join(", "),
                match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                }
            ));
        }
    }
    Ok(plans)
}

/// Which model this is, by its weights.
fn identify(args: &EvalArgs, name: &str, files: ModelFiles, terminal: Terminal) -> ModelIdentity {
    let _waiting = terminal.waiting("reading the weights, to know this model again");
    let options = mobilevlm_checkpoint::OpenOptions {
        vision_tower: args.model.vision_tower.clone(),
        tower_cache: files.tower_cache,
        mmproj: args.model.mmproj.clone(),
        ..mobilevlm_checkpoint::OpenOptions::default()
    };
    ModelIdentity::read(name, &files.path, &options)
}

/// Asks the questions of one benchmark that are not answered yet.
fn task(run: &Run<'_>, terminal: Terminal) -> Result<TaskReport, CliError> {
    let name = run.plan.benchmark().name();
    let prepared = run.prepare()?;
    if prepared.answered() > 0 {
        terminal.note(&format!(
            "{name}: {} of {} questions were answered before",
            prepared.answered(),
            prepared.questions()
        ));
    }
    let mut bar = terminal.progress(name);
    let outcome = prepared.run(&mut |done, total| bar.show(done, total));
    bar.finish();
    interrupt::done();
    if matches!(outcome, Err(RunError::Cancelled)) {
        terminal.note(&format!(
            "{name}: stopped; the same command goes on from here"
        ));
    }
    let outcome = outcome?;
    let score = match run.shard {
        Some(_) => None,
        None => Some(scored(&outcome.folder, &outcome.record, terminal)?),
    };
    Ok(TaskReport {
        task: name,
        answers: outcome.folder.join(ANSWERS_FILE),
        questions: outcome.questions,
        asked: outcome.asked,
        seconds: outcome.seconds,
        score,
    })
}

/// The score of a run's answers to a benchmark.
fn scored(folder: &Path, record: &Record, terminal: Terminal) -> Result<ScoreReport, CliError> {
    let one = benchmark(&record.task)
        .ok_or_else(|| CliError::Failed(format!("{}: no such benchmark", record.task)))?;
    let path = folder.join(ANSWERS_FILE);
    let answers = Answers::read(&path).map_err(RunError::from)?;
    let partial = record.data.left_out > 0;
    let Score {
        figures,
        paper_table_figure,
        notes,
        partial,
        ..
    } = score(one, &record.data.folder, &answers, partial).map_err(RunError::from)?;
    for note in &notes {
        terminal.note(&format!("{}: {note}", path.display()));
    }
    Ok(ScoreReport {
        paper_table_figure,
        partial,
        figures,
        notes,
    })
}

/// Scores what was merged: a line for each benchmark.
pub(in crate::commands) fn scores(
    merged: &[run::Merged],
    terminal: Terminal,
) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for one in merged {
        let data = &one.record.data.folder;
        if data.is_dir() {
            let score = scored(&one.folder, &one.record, terminal)?;
            writeln!(out, "{}", line(&one.task, one.answers, Some(&score)))?;
        } else {
            let task = &one.task;
            let data = data.display();
            terminal.note(&format!(
                "{task}: no score, as {data} is not here; see `mobilevlm score`"
            ));
        }
    }
    Ok(out.flush()?)
}

/// `gqa  12578 questions  59.3`
fn line(task: &str, questions: usize, score: Option<&ScoreReport>) -> String {
    let figure = match score {
        None => "part of a run: `mobilevlm merge` scores the whole".to_owned(),
        Some(score) => match (score.paper_table_figure, score.partial) {
            (None, _) => "undefined: nothing to divide by".to_owned(),
            (Some(figure), None) => format!("{figure:.1}"),
            (Some(figure), Some(partial)) => format!(
                "{figure:.1}  partial: {} of {} questions",
                partial.scored, partial.questions
            ),
        },
    };
    format!("{task:<8} {questions:>6} questions  {figure}")
}

impl Report<'_> {
    fn print(&self) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        for task in &self.tasks {
            writeln!(
                out,
                "{}",
                line(task.task, task.questions, task.score.as_ref())
            )?;
        }
        Ok(out.flush()?)
    }
}
