//! The process that gives the inputs to a parser and says after each one what came of it.

use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mobilevlm_testing::alloc;
use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::parsers::Parser;
use crate::steps::Done;

/// What came of one input: one line of JSON on the worker's standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Whether the parser gave a result rather than a message.
    pub(super) accepted: bool,
    pub(super) microseconds: u64,
    /// The largest single allocation.
    pub(super) largest: u64,
    /// The most bytes held at once.
    pub(super) peak: u64,
    /// The most bytes that may be held for this input.
    pub(super) limit: u64,
    pub(super) problem: Option<Problem>,
}

/// How an input can end otherwise than in a message or a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Problem {
    /// The parser panicked, with this message.
    Panic(String),
    /// Nothing came back in time.
    Hang,
    /// The process died: out of memory, out of stack.
    Died(String),
    /// More bytes were held than the limit allows.
    OverLimit,
    /// A valid sample was refused, so its mutations show little.
    SeedRefused(String),
    /// The message holds control characters, which a terminal would obey.
    UncleanMessage(String),
}

impl Problem {
    /// Messages cut to what a report has room for.
    pub(super) fn shortened(mut self) -> Self {
        if let Self::Panic(text)
        | Self::Died(text)
        | Self::SeedRefused(text)
        | Self::UncleanMessage(text) = &mut self
            && let Some((end, _)) = text.char_indices().nth(160)
        {
            text.truncate(end);
            text.push('…');
        }
        self
    }
}

/// Above this much the allocator refuses, and the worker dies: the machine is to survive a parser
/// that allocates what a file asks for.
const CAP: u64 = 2 << 30;

/// As much as Rust gives a thread by default: parsers must not need the main thread's 8 MiB.
const STACK: usize = 2 << 20;

/// Runs the inputs `range` of `parser` and writes an [`Outcome`] per line to standard output.
pub(super) fn run(parser: &Parser, seed: u64, quick: bool, range: Range<usize>) -> Done {
    if !alloc::installed() {
        return Err("the counting allocator is not installed".into());
    }
    alloc::set_cap(CAP);
    std::panic::set_hook(Box::new(|_| {}));
    let cases = Cases::new(parser, seed, quick)?;
    std::thread::scope(|scope| {
        let work = || -> std::io::Result<()> {
            let mut input = Vec::new();
            let mut output = std::io::stdout().lock();
            for index in range.start..range.end.min(cases.len()) {
                cases.make(index, &mut input);
                let outcome = try_input(parser, &input, cases.is_seed(index));
                // One write per line: what has been said is not lost when the process dies.
                let mut line = serde_json::to_vec(&outcome)?;
                line.push(b'\n');
                output.write_all(&line)?;
            }
            output.flush()
        };
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)?;
        thread.join().expect("panics are caught inside")?;
        Ok(())
    })
}

/// Parses one input under measurement.
pub(super) fn try_input(parser: &Parser, input: &[u8], is_seed: bool) -> Outcome {
    let limit = (parser.limit)(input);
    let started = Instant::now();
    let (ended, usage) =
        alloc::measure(|| catch_unwind(AssertUnwindSafe(|| (parser.parse)(input))));
    let microseconds = started.elapsed().as_micros() as u64;
    let accepted = matches!(ended, Ok(Ok(())));
    let problem = match ended {
        Err(payload) => Some(Problem::Panic(panic_message(&*payload))),
        Ok(_) if usage.peak > limit => Some(Problem::OverLimit),
        Ok(Err(message)) if is_seed => Some(Problem::SeedRefused(message)),
        Ok(Err(message)) if message.chars().any(|c| c.is_control() && c != '\n') => {
            Some(Problem::UncleanMessage(message))
        }
        Ok(_) => None,
    };
    let problem = problem.map(Problem::shortened);
    Outcome {
        accepted,
        microseconds,
        largest: usage.largest,
        peak: usage.peak,
        limit,
        problem,
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}
