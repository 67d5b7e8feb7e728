//! `mobilevlm train RECIPE`: a run, and what is seen of it.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mobilevlm_train::recipe::Recipe;
use mobilevlm_train::{Outcome, TrainError, TrainEvent, TrainOptions, train};
use serde_json::json;

use super::evaluate;
use crate::args::TrainArgs;
use crate::error::{CliError, chain};
use crate::interrupt;
use crate::terminal::{Terminal, print_json};

/// Samples that are told of by name; of the others, only their number.
const TOLD: u64 = 10;

pub(super) fn run(recipe: &Recipe, args: &TrainArgs, terminal: Terminal) -> Result<(), CliError> {
    let token = interrupt::stoppable();
    let started = Instant::now();
    let mut watcher = Watcher {
        terminal,
        bar: None,
        told: 0,
    };
    let mut evaluation = |folder: &Path| evaluate::evaluate(recipe, folder, &token.clone());
    let trained = train(
        recipe,
        TrainOptions {
            resume: args.resume,
            stop: &|| token.is_cancelled(),
            observe: &mut |event| watcher.show(&event),
            evaluate: Some(&mut evaluation),
        },
    );
    watcher.finish();
    interrupt::done();
    let outcome = match trained {
        // An evaluation has no state: the run goes on from the last checkpoint.
        Err(TrainError::Evaluation { .. }) if token.is_cancelled() => {
            return Err(CliError::Interrupted);
        }
        Err(error) => {
            if is_full(&error) {
                terminal.note(
                    "the last checkpoint is intact: free some space, and go on with --resume",
                );
            }
            return Err(CliError::Failed(chain(&error)));
        }
        Ok(outcome) => outcome,
    };
    match outcome {
        Outcome::Finished {
            model,
            steps,
            loss,
            left_out,
        } => {
            if args.json {
                return print_json(&json!({
                    "finished": true,
                    "model": model,
                    "steps": steps,
                    "loss": loss,
                    "left_out": left_out,
                    "seconds": started.elapsed().as_secs_f64(),
                }));
            }
            writeln!(io::stdout(), "{}", model.display())?;
            for (problem, samples) in left_out {
                terminal.note(&format!("{samples} samples left out: {problem}"));
            }
            Ok(())
        }
        Outcome::Stopped { step } => {
            if args.json {
                print_json(&json!({ "finished": false, "steps": step }))?;
            }
            terminal.note(&format!(
                "stopped after step {step}; the same command with --resume goes on"
            ));
            Err(CliError::Interrupted)
        }
    }
}

/// Whether there was no room for a file.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let cause = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let full = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge,
    ];
    cause.is_some_and(|kind| full.contains(&kind)) || error.source().is_some_and(is_full)
}

/// Shows a run.
struct Watcher {
    terminal: Terminal,
    /// Only where somebody looks.
    bar: Option<ProgressBar>,
    told: u64,
}

impl Watcher {
    fn show(&mut self, event: &TrainEvent<'_>) {
        match event {
            TrainEvent::Warning(text) => self.note(text),
            TrainEvent::Damaged(damaged) => {
                let (path, error) = (damaged.path.display(), chain(&damaged.error));
                self.note(&format!("{path} is damaged and passed over: {error}"));
            }
            TrainEvent::Begun {
                done,
                steps,
                samples,
                parameters,
            } => {
                let goes_on = match done {
                    0 => String::new(),
                    done => format!(", going on after step {done}"),
                };
                self.note(&format!(
                    "{steps} steps, {samples} samples, {parameters} numbers that learn{goes_on}"
                ));
                self.begin(*done, *steps);
            }
            TrainEvent::Step(record, progress) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(record.step);
                    bar.set_message(progress.to_string());
                }
            }
            TrainEvent::LeftOut(sample, finding) => {
                self.told += 1;
                if self.told <= TOLD {
                    self.note(&format!(
                        "sample {sample} is left out: {}",
                        clean(&finding.message)
                    ));
                }
                if self.told == TOLD {
                    self.note("more that are left out are only counted, in metrics.jsonl");
                }
            }
            TrainEvent::Evaluated(record) => {
                let scores: Vec<String> = record
                    .scores
                    .iter()
                    .map(|(name, score)| format!("{name} {:.1} %", 100.0 * score))
                    .collect();
                self.note(&format!("step {}: {}", record.step, scores.join(", ")));
            }
            _ => {}
        }
    }

    fn begin(&mut self, done: u64, steps: u64) {
        if self.terminal.quiet || !io::stderr().is_terminal() {
            return;
        }
        let target = ProgressDrawTarget::stderr_with_hz(5);
        let bar = ProgressBar::with_draw_target(Some(steps), target).with_position(done);
        let form = "{bar:20} {pos}/{len}  {wide_msg}";
        bar.set_style(
            ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar = Some(bar);
    }

    fn note(&self, text: &str) {
        match &self.bar {
            // Above the bar, which is drawn again.
            Some(bar) => bar.suspend(|| self.terminal.note(text)),
            None => self.terminal.note(text),
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Names and texts of a data set can hold anything.
fn clean(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(clean).collect()
}
