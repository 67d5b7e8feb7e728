//! What a run found, as JSON for the record and as a table for people.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::worker::{Outcome, Problem};

/// Everything that one run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) quick: bool,
    pub(super) release_build: bool,
    pub(super) seconds: f64,
    pub(super) inputs: u64,
    pub(super) parsers: Vec<ParserReport>,
}

/// What one parser did.
#[derive(Debug, Serialize)]
pub(super) struct ParserReport {
    pub(super) parser: &'static str,
    pub(super) seed: u64,
    /// Inputs tried, the lost ones included.
    pub(super) inputs: u64,
    /// Inputs that ended in a result; all others ended in a message or are among the failures.
    pub(super) accepted: u64,
    pub(super) slowest: Slowest,
    /// The largest single allocation, in bytes.
    pub(super) largest_allocation: u64,
    /// The input that came closest to its limit.
    pub(super) closest_to_limit: Closest,
    pub(super) panics: u64,
    pub(super) hangs: u64,
    pub(super) deaths: u64,
    pub(super) over_limit: u64,
    pub(super) seeds_refused: u64,
    pub(super) unclean_messages: u64,
    /// The first failures, with what the input was; the inputs lie below `target/hostile`.
    pub(super) failures: Vec<Failure>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Slowest {
    pub(super) milliseconds: f64,
    pub(super) input: String,
}

/// Bytes held at once against bytes allowed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Closest {
    pub(super) held: u64,
    pub(super) limit: u64,
    pub(super) input: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) number: usize,
    pub(super) input: String,
    pub(super) problem: Problem,
}

/// Failures that a report spells out per parser; all are counted.
const SPELLED_OUT: usize = 10;

impl Report {
    pub(super) fn new(seed: u64, quick: bool, parsers: Vec<ParserReport>, took: Duration) -> Self {
        let inputs = parsers.iter().map(|parser| parser.inputs).sum();
        let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        Self {
            seed,
            quick,
            release_build: !cfg!(debug_assertions),
            seconds,
            inputs,
            parsers,
        }
    }
}

impl ParserReport {
    pub(super) fn new(parser: &'static str, seed: u64) -> Self {
        Self {
            parser,
            seed,
            inputs: 0,
            accepted: 0,
            slowest: Slowest::default(),
            largest_allocation: 0,
            closest_to_limit: Closest::default(),
            panics: 0,
            hangs: 0,
            deaths: 0,
            over_limit: 0,
            seeds_refused: 0,
            unclean_messages: 0,
            failures: Vec::new(),
        }
    }

    /// How many inputs ended otherwise than they should.
    pub(super) fn problems(&self) -> u64 {
        self.panics
            + self.hangs
            + self.deaths
            + self.over_limit
            + self.seeds_refused
            + self.unclean_messages
    }

    /// Counts an input that a worker reported on.
    pub(super) fn add(&mut self, number: usize, outcome: Outcome, describe: impl Fn() -> String) {
        self.inputs += 1;
        self.accepted += u64::from(outcome.accepted);
        self.largest_allocation = self.largest_allocation.max(outcome.largest);
        let milliseconds = outcome.microseconds as f64 / 1000.0;
        if milliseconds > self.slowest.milliseconds {
            self.slowest = Slowest {
                milliseconds,
                input: describe(),
            };
        }
        let candidate = Closest {
            held: outcome.peak,
            limit: outcome.limit,
            input: String::new(),
        };
        if candidate.share() > self.closest_to_limit.share() {
            self.closest_to_limit = Closest {
                input: describe(),
                ..candidate
            };
        }
        if let Some(problem) = outcome.problem {
            self.fail(number, problem, describe());
        }
    }

    /// Counts an input that took its worker with it.
    pub(super) fn add_lost(&mut self, number: usize, problem: Problem, input: String) {
        self.inputs += 1;
        self.fail(number, problem, input);
    }

    fn fail(&mut self, number: usize, problem: Problem, input: String) {
        *match problem {
            Problem::Panic(_) => &mut self.panics,
            Problem::Hang => &mut self.hangs,
            Problem::Died(_) => &mut self.deaths,
            Problem::OverLimit => &mut self.over_limit,
            Problem::SeedRefused(_) => &mut self.seeds_refused,
            Problem::UncleanMessage(_) => &mut self.unclean_messages,
        } += 1;
        if self.has_room() {
            self.failures.push(Failure {
                number,
                input,
                problem,
            });
        }
    }

    /// Whether the next failure is to be spelled out.
    pub(super) fn has_room(&self) -> bool {
        self.failures.len() < SPELLED_OUT
    }

    /// Adds what another worker found about the same parser.
    pub(super) fn merge(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.accepted += other.accepted;
        self.largest_allocation = self.largest_allocation.max(other.largest_allocation);
        if other.slowest.milliseconds > self.slowest.milliseconds {
            self.slowest = other.slowest;
        }
        if other.closest_to_limit.share() > self.closest_to_limit.share() {
            self.closest_to_limit = other.closest_to_limit;
        }
        self.panics += other.panics;
        self.hangs += other.hangs;
        self.deaths += other.deaths;
        self.over_limit += other.over_limit;
        self.seeds_refused += other.seeds_refused;
        self.unclean_messages += other.unclean_messages;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.number);
        self.failures.truncate(SPELLED_OUT);
    }
}

impl Closest {
    fn share(&self) -> f64 {
        self.held as f64 / self.limit.max(1) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:18} {:>8} {:>8} {:>9} {:>11} {:>9} {:>9}  slowest input",
            "parser", "inputs", "accepted", "slowest", "largest", "of limit", "failures"
        )?;
        for parser in &self.parsers {
            writeln!(
                f,
                "{:18} {:>8} {:>8} {:>6.1} ms {:>7.2} MiB {:>7.1} % {:>9}  {}",
                parser.parser,
                parser.inputs,
                parser.accepted,
                parser.slowest.milliseconds,
                parser.largest_allocation as f64 / f64::from(1 << 20),
                100.0 * parser.closest_to_limit.share(),
                parser.problems(),
                parser.slowest.input,
            )?;
            for failure in &parser.failures {
                writeln!(
                    f,
                    "    {}: {}: {:?}",
                    failure.number, failure.input, failure.problem
                )?;
            }
        }
        writeln!(
            f,
            "{} inputs in {} s, seed {}",
            self.inputs, self.seconds, self.seed
        )
    }
}
