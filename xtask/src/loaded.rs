//! `cargo xtask loaded`: what a busy machine costs.
//!
//! A thread pool that waits for each of its threads at the end of every operation stands still
//! while one of them waits for a core that another process has. This measures the same model
//! alternately on a machine that is free and on one where another process keeps a core busy.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use mobilevlm::{GenerateOptions, Model, OpenOptions, PromptItem, Shape};
use mobilevlm_checkpoint::{Formats, Mix};
use mobilevlm_tensor::Format;
use serde::Serialize;

use crate::steps::{Done, say};

/// Measures decoding and vision alternately on a free machine and with one core kept busy.
///
/// Prints one JSON object; docs/bench.md says what it means. Nothing else should run meanwhile. For
/// the speed that users have, build it for release: `cargo run --release -p xtask -- loaded`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A model; random weights in the shape of V2-1.7B, q4_k_m and q8_0, unless given.
    #[arg(short, long)]
    model: Option<PathBuf>,

    /// Threads; as many as there are cores unless given.
    #[arg(long)]
    threads: Option<usize>,

    /// Processes that keep a core busy.
    #[arg(long, default_value_t = 1)]
    busy: usize,

    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,

    /// How often free and busy are measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What most people run.
const FORMATS: Formats = Formats {
    language: Some(Mix::Q4KM),
    vision: Some(Format::Q8_0),
    projector: Some(Format::Q8_0),
};

/// Positions before the answer, as after a photo and a question.
const PROMPT: usize = 205;

/// Tokens of an answer.
const ANSWER: usize = 32;

#[derive(Serialize)]
struct Report {
    model: String,
    kernels: &'static str,
    cores: usize,
    threads: usize,
    busy: usize,
    rounds: Vec<Round>,
    /// Median over the rounds: tokens a second on the busy machine, of those on the free one.
    decode_kept: f64,
    /// Median over the rounds: time of the tower on the busy machine by that on the free one.
    vision_times: f64,
}

#[derive(Serialize)]
struct Round {
    free: Speed,
    busy: Speed,
}

#[derive(Clone, Copy, Serialize)]
struct Speed {
    tokens_per_second: f64,
    vision_ms: f64,
}

pub(crate) fn run(options: &Options) -> Done {
    let open = OpenOptions {
        threads: options.threads,
        ..OpenOptions::default()
    };
    say("opening the model");
    let model = match &options.model {
        Some(path) => Model::open(path, &open)?,
        None => Model::random(Shape::B1_7, FORMATS, &open)?,
    };
    let seconds = Duration::from_secs_f64(options.seconds);
    measure(&model, Duration::ZERO)?; // Touches all weights.
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        say(&format!("round {round} of {}: free", options.rounds));
        let free = measure(&model, seconds)?;
        say(&format!("round {round} of {}: busy", options.rounds));
        let others = Others::start(options.busy)?;
        let busy = measure(&model, seconds)?;
        drop(others);
        rounds.push(Round { free, busy });
    }
    let ratio = |of: fn(&Speed) -> f64| {
        let ratios = rounds.iter().map(|round| of(&round.busy) / of(&round.free));
        median(ratios.collect())
    };
    let report = Report {
        model: options.model.as_ref().map_or_else(
            || "random weights in the shape of MobileVLM V2-1.7B: q4_k_m, q8_0".to_owned(),
            |path| path.display().to_string(),
        ),
        kernels: model.compute().kernels().name(),
        cores: std::thread::available_parallelism()?.get(),
        threads: model.compute().pool().threads(),
        busy: options.busy,
        decode_kept: ratio(|speed| speed.tokens_per_second),
        vision_times: ratio(|speed| speed.vision_ms),
        rounds,
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// Means over at least `seconds` each: what is rare but long counts.
fn measure(model: &Model, seconds: Duration) -> Result<Speed, Box<dyn Error>> {
    let side = model.config().preprocess.image_size;
    let pixels = vec![0.5; 3 * side * side];
    let (start, mut pictures) = (Instant::now(), 0);
    while pictures == 0 || start.elapsed() < seconds {
        model.vision_features(&pixels)?;
        pictures += 1;
    }
    let vision_ms = start.elapsed().as_secs_f64() * 1e3 / f64::from(pictures);

    let options = GenerateOptions {
        max_new_tokens: ANSWER,
        prompt_lookup: false,
        ..GenerateOptions::default()
    };
    let (mut tokens, mut decode_ms) = (0, 0.0);
    let vocab = model.language().vocab();
    // A prompt is read once; later answers go on from what was read.
    let mut last = 0;
    while tokens == 0 || decode_ms < seconds.as_secs_f64() * 1e3 {
        last += 1;
        let id = |position: usize| PromptItem::Token((3 + position * 31 % (vocab - 3)) as u32);
        let mut items: Vec<PromptItem> = (0..PROMPT - 1).map(id).collect();
        items.push(id(last));
        let prompt = model.prompt(&items, &[])?;
        let answer = model.generate(prompt, &options, &mut |_| ControlFlow::Continue(()))?;
        // The first token belongs to the prompt.
        tokens += answer.ids.len().saturating_sub(1);
        decode_ms += answer.timings.decode;
    }
    Ok(Speed {
        tokens_per_second: tokens as f64 * 1e3 / decode_ms,
        vision_ms,
    })
}

/// Processes that do nothing but keep a core busy, ended when dropped.
struct Others(Vec<Child>);

impl Others {
    fn start(count: usize) -> Result<Others, Box<dyn Error>> {
        let mut others = Others(Vec::new());
        for _ in 0..count {
            let busy = Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()?;
            others.0.push(busy);
        }
        // Until the system has seen what they need.
        std::thread::sleep(Duration::from_millis(500));
        Ok(others)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            // One that has ended already is as good.
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
