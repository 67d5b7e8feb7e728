//! `mobilevlm compare`: how far one model is from another.

mod pictures;
pub(super) mod questions;

use std::io::{self, Write};

use mobilevlm::{Comparison, Differences, GenerateOptions, Model};
use serde::Serialize;

use crate::args::CompareArgs;
use crate::error::{CliError, chain};
use crate::interrupt;
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};

/// What was found.
#[derive(Serialize)]
struct Report {
    a: ModelReport,
    b: ModelReport,
    kernels: &'static str,
    arithmetic: &'static str,
    threads: usize,
    /// Files that are called like pictures and are none.
    pictures_skipped: usize,
    #[serde(flatten)]
    differences: Differences,
}

#[derive(Serialize)]
struct ModelReport {
    model: String,
    /// Of its weights as they are stored.
    bytes: usize,
    load_ms: f64,
}

pub(crate) fn run(args: &CompareArgs, terminal: Terminal) -> Result<(), CliError> {
    let pictures = pictures::sources(args.images.as_deref())?;
    let questions = questions::read(args.prompts.as_deref())?;
    let open = |name: &str| {
        let model = args.model(name);
        plan::open_model(&model, &args.compute, Network::Allowed, terminal)
    };
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let mut comparison = Comparison::new(&a, &b)?;

    let cancel = interrupt::stoppable();
    let options = GenerateOptions {
        max_new_tokens: args.max_new_tokens.into(),
        cancel: cancel.clone(),
        ..GenerateOptions::default()
    };
    let limit = args.limit.get().min(pictures.len() * questions.len());
    let mut bar = terminal.progress("comparing");
    let mut skipped = 0;
    let mut done = 0;
    for (index, source) in pictures.iter().enumerate() {
        let asked = questions_of(index, pictures.len(), &questions, limit);
        if asked.is_empty() || cancel.is_cancelled() {
            break;
        }
        done += asked.len() as u64;
        let picture = match source.read() {
            Ok(picture) => picture,
            Err(error) => {
                skipped += 1;
                terminal.note(&format!("skipped: {}", chain(&error)));
                continue;
            }
        };
        let picture = comparison.picture(&picture)?;
        for question in asked {
            comparison.question(Some(&picture), question, &options)?;
            if cancel.is_cancelled() {
                break;
            }
        }
        bar.show(done, limit as u64);
    }
    bar.finish();
    interrupt::done();
    if cancel.is_cancelled() {
        return Err(CliError::Interrupted);
    }
    if skipped == pictures.len().min(limit) {
        return Err(CliError::Failed("no picture could be read".to_owned()));
    }

    let compute = a.compute();
    let report = Report {
        a: ModelReport::new(&args.a, &a),
        b: ModelReport::new(&args.b, &b),
        kernels: compute.kernels().name(),
        arithmetic: compute.arithmetic().name(),
        threads: compute.pool().threads(),
        pictures_skipped: skipped,
        differences: comparison.differences(),
    };
    match args.json {
        true => print_json(&report),
        false => report.print(),
    }
}

/// The questions about picture `index` of `pictures`, where `limit` answers are to be had: all
/// pictures are asked about before any is asked again, and neighbours are asked differently.
fn questions_of(index: usize, pictures: usize, questions: &[String], limit: usize) -> Vec<&str> {
    let rounds = (limit + pictures - 1 - index) / pictures;
    let numbers = 0..rounds.min(questions.len());
    let question = |round: usize| questions[(index + round) % questions.len()].as_str();
    numbers.map(question).collect()
}

impl ModelReport {
    fn new(name: &str, model: &Model) -> ModelReport {
        ModelReport {
            model: name.to_owned(),
            bytes: model.weight_bytes(),
            load_ms: model.load_ms(),
        }
    }
}

impl Report {
    fn print(&self) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        for (letter, model) in [("A", &self.a), ("B", &self.b)] {
            let (megabytes, load_ms) = (model.bytes as f64 / 1e6, model.load_ms);
            let name = &model.model;
            writeln!(
                out,
                "{letter}  {megabytes:>8.1} MB of weights, opened in {load_ms:.0} ms  {name}"
            )?;
        }
        let Differences {
            pictures,
            cosine_mean,
            cosine_least,
            answers,
            tokens,
            divergence_mean,
            divergence_p95,
            divergence_worst,
            agreement,
        } = self.differences;
        writeln!(
            out,
            "\n{pictures} pictures, {answers} answers of A, {tokens} tokens; \
             kernels {}, arithmetic {}, {} threads\n",
            self.kernels, self.arithmetic, self.threads
        )?;
        writeln!(
            out,
            "image embeds   cosine         mean {cosine_mean:.6}, least {cosine_least:.6}"
        )?;
        writeln!(
            out,
            "next token     KL divergence  mean {divergence_mean:.2e}, 95 % up to \
             {divergence_p95:.2e}, worst {divergence_worst:.2e} nats"
        )?;
        writeln!(
            out,
            "               same choice    {:.2} % of the tokens",
            agreement * 100.0
        )?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_dealt_evenly_and_never_twice_about_a_picture() {
        let questions: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let dealt = |limit: usize| -> Vec<String> {
            let of = |index| questions_of(index, 4, &questions, limit).concat();
            (0..4).map(of).collect()
        };
        assert_eq!(dealt(2), ["a", "b", "", ""]);
        assert_eq!(dealt(5), ["ab", "b", "c", "a"]);
        assert_eq!(dealt(12), ["abc", "bca", "cab", "abc"]);
    }
}
