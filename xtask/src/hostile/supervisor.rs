//! Starts workers, and notices when one hangs or dies.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::cases::Cases;
use super::parsers::Parser;
use super::report::ParserReport;
use super::worker::{Outcome, Problem};
use crate::steps::workspace;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What all workers of a run are told.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) quick: bool,
    /// After this long without a word from a worker, the input that it has is called a hang.
    pub(super) patience: Duration,
}

/// Inputs that one worker is given, so that the work spreads over the processors.
const SHARE: usize = 20_000;

/// After this many inputs that hang or kill the worker, the rest of a share is left out.
const ENOUGH: usize = 5;

/// Runs every input of `parsers` and reports, in their order.
pub(super) fn run(
    parsers: &[Parser],
    plan: &Plan,
) -> std::result::Result<Vec<ParserReport>, Box<dyn std::error::Error>> {
    let all: Vec<Cases> = parsers
        .iter()
        .map(|parser| Cases::new(parser, plan.seed, plan.quick))
        .collect::<std::io::Result<_>>()?;
    let mut shares = VecDeque::new();
    for (number, cases) in all.iter().enumerate() {
        let starts = (0..cases.len()).step_by(SHARE);
        shares.extend(starts.map(|start| (number, start..(start + SHARE).min(cases.len()))));
    }
    let shares = Mutex::new(shares);
    let reports = Mutex::new(
        parsers
            .iter()
            .map(|parser| ParserReport::new(parser.name, plan.seed))
            .collect::<Vec<_>>(),
    );
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let take = || -> Result<()> {
            while let Some((number, range)) = next(&shares) {
                let parser = &parsers[number];
                let tally = share(parser, &all[number], plan, range)?;
                lock(&reports)[number].merge(tally);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(take)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("supervisors do not panic"))
    })
    .map_err(|error| error.to_string())?;
    Ok(reports
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner()))
}

fn next<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    lock(queue).pop_front()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs one share; a worker that ends early is replaced by one that begins behind the culprit.
fn share(parser: &Parser, cases: &Cases, plan: &Plan, range: Range<usize>) -> Result<ParserReport> {
    let mut report = ParserReport::new(parser.name, plan.seed);
    let mut first = range.start;
    let mut lost = 0;
    while first < range.end && lost < ENOUGH {
        let mut worker = Worker::start(parser, plan, first..range.end)?;
        let ended = loop {
            if first == range.end {
                break None;
            }
            match worker.next(plan.patience)? {
                Ok(outcome) => {
                    if outcome.problem.is_some() && report.has_room() {
                        save(parser, cases, first)?;
                    }
                    report.add(first, outcome, || cases.describe(first));
                    first += 1;
                }
                Err(problem) => break Some(problem),
            }
        };
        worker.end();
        if let Some(problem) = ended {
            save(parser, cases, first)?;
            report.add_lost(first, problem, cases.describe(first));
            first += 1;
            lost += 1;
        }
    }
    Ok(report)
}

/// Keeps an input that did harm, to be looked at.
fn save(parser: &Parser, cases: &Cases, index: usize) -> Result<()> {
    let folder = workspace().join("target/hostile");
    std::fs::create_dir_all(&folder)?;
    let mut input = Vec::new();
    cases.make(index, &mut input);
    Ok(std::fs::write(
        folder.join(format!("{}-{index}", parser.name)),
        input,
    )?)
}

struct Worker {
    process: Child,
    lines: mpsc::Receiver<std::io::Result<String>>,
}

impl Worker {
    fn start(parser: &Parser, plan: &Plan, range: Range<usize>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([
                "hostile",
                "--parser",
                parser.name,
                "--seed",
                &plan.seed.to_string(),
            ])
            .args([
                "--worker",
                &range.start.to_string(),
                "--end",
                &range.end.to_string(),
            ])
            .args(plan.quick.then_some("--quick"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let output = process.stdout.take().ok_or("the worker has no output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { process, lines })
    }

    /// What came of the worker's next input, or how the worker was lost on it.
    fn next(&mut self, patience: Duration) -> Result<std::result::Result<Outcome, Problem>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Ok(serde_json::from_str(&line?)?)),
            Err(RecvTimeoutError::Timeout) => Ok(Err(Problem::Hang)),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.process.wait()?;
                let mut words = String::new();
                if let Some(errors) = &mut self.process.stderr {
                    errors.read_to_string(&mut words)?;
                }
                Ok(Err(
                    Problem::Died(format!("{status}: {}", words.trim())).shortened()
                ))
            }
        }
    }

    fn end(mut self) {
        // The worker may have ended by itself; that is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
