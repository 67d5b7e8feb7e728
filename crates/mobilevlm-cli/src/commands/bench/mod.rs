//! `mobilevlm bench`: how fast a model runs, as shares of what the machine can do.
//!
//! | stage | what is timed | work |
//! |---|---|---|
//! | vision | the tower on one picture | multiply-adds of its linears and attention |
//! | projector | one picture's features | multiply-adds of its linears |
//! | prefill | 205 positions through an empty cache, logits of the last | multiply-adds |
//! | step | one position behind 205 and more, with its logits | bytes of weights, keys and values |
//!
//! Work is what the result needs, not what was done: blocks that nobody reads, the class token in
//! the last block, rows whose logits nobody wants, and scores of later positions do not count. A
//! multiply-add is two operations. Norms, activations and depthwise convolutions take time and
//! count as no work.

mod measure;
mod table;

use std::ops::ControlFlow;
use std::time::Instant;

use mobilevlm::{GenerateOptions, Model, OpenOptions, Picture, Shape};
use mobilevlm_model::{Cache, Pass};
use mobilevlm_processor::{Exif, Limits, PromptItem};
use mobilevlm_tensor::probe::{self, ReadProbe};
use serde::Serialize;

use crate::args::{BenchArgs, ModelArgs, RandomShape};
use crate::error::CliError;
use crate::memory;
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};
use measure::{Stage, Times, repeat};

/// A picture's 144 positions and a question, as a V2 model gets them.
const PREFILL_POSITIONS: usize = 205;

/// Weights of so many bytes are no longer in a cache when they are read again, and are themselves
/// what the probe of the memory reads; for smaller ones it takes a buffer of its own.
const LARGE: u64 = 1 << 30;

/// Steps that are timed.
const STEPS: usize = 40;

/// Ids before and after the picture: with LLaMA's vocabulary, the system prompt has 40 and some
/// twenty words 21. Ids and not text, as random weights have no words.
const TEXT: (usize, usize) = (40, 21);

/// Everything that was measured.
#[derive(Serialize)]
struct Report {
    model: String,
    kernels: &'static str,
    threads: usize,
    limits: Limit,
    stages: Stages,
    /// From the bytes of a picture and some twenty words to the first token.
    first_word_ms: f64,
    /// Of model, caches and buffers, before the probes; absent where the system does not tell.
    peak_memory_bytes: Option<u64>,
}

/// What simple loops reach on this machine.
#[derive(Clone, Copy, Serialize)]
struct Limit {
    /// 10⁹ bytes a second.
    read_gb_s: f64,
    /// 10⁹ operations a second with the same kernel table.
    f32_gflops: f64,
}

#[derive(Serialize)]
struct Stages {
    vision: Stage,
    projector: Stage,
    prefill: Stage,
    step: Stage,
}

pub(crate) fn run(args: &BenchArgs, terminal: Terminal) -> Result<(), CliError> {
    let (name, model) = open(args, terminal)?;
    let _waiting = terminal.waiting("measuring");
    let compute = model.compute();
    let threads = compute.pool().threads();

    let picture = Picture::decode(&picture_file(0), &Limits::default(), Exif::Ignore)?;
    let pixels = model.pixels(&picture)?;
    let features = model.vision_features(&pixels)?;
    let vision = repeat(|_| model.vision_features(&pixels).map(drop))?;
    let projector = repeat(|_| model.image_embeds(&features).map(drop))?;
    let positions = PREFILL_POSITIONS.min(model.language().context() / 2);
    let prefill = prefill(&model, positions)?;
    let first_word = repeat(|run| first_word(&model, run))?;
    let peak_memory_bytes = memory::peak_bytes();

    // Last, as the probe of the memory needs a gigabyte of its own.
    let step = Step::measure(&model, positions)?;
    let limits = Limit {
        read_gb_s: step.read_gb_s,
        f32_gflops: probe::multiply_add_peak(compute),
    };
    let operations = |times: Times, multiply_adds: u64| {
        Stage::new(
            times,
            2.0 * multiply_adds as f64,
            "GFLOP/s",
            limits.f32_gflops,
        )
    };
    let report = Report {
        model: name,
        kernels: compute.kernels().name(),
        threads,
        limits,
        stages: Stages {
            vision: operations(vision, model.tower().multiply_adds()),
            projector: operations(projector, model.projector().multiply_adds()),
            prefill: operations(prefill, model.language().multiply_adds(positions, 0)),
            step: Stage::new(step.times, step.bytes, "GB/s", limits.read_gb_s),
        },
        first_word_ms: first_word.median_ms(),
        peak_memory_bytes,
    };
    if args.json {
        print_json(&report)
    } else {
        table::print(&report)
    }
}

fn open(args: &BenchArgs, terminal: Terminal) -> Result<(String, Model), CliError> {
    let Some(shape) = args.random else {
        let model = ModelArgs {
            model: args.model.clone(),
            vision_tower: args.vision_tower.clone(),
            no_mmap: false,
            no_state_cache: true,
        };
        let name = args
            .model
            .clone()
            .unwrap_or_else(|| "the default model".to_owned());
        return Ok((
            name,
            plan::open_model(&model, &args.compute, Network::Allowed, terminal)?,
        ));
    };
    let _waiting = terminal.waiting("making random weights");
    let options = OpenOptions {
        threads: args.compute.threads.map(Into::into),
        kernels: plan::kernels(&args.compute)?,
        ..OpenOptions::default()
    };
    let (name, shape) = match shape {
        RandomShape::B1_7 => (
            "random weights in the shape of MobileVLM V2-1.7B",
            Shape::B1_7,
        ),
        RandomShape::B3 => ("random weights in the shape of MobileVLM V2-3B", Shape::B3),
        RandomShape::B7 => ("random weights in the shape of MobileVLM V2-7B", Shape::B7),
    };
    Ok((name.to_owned(), Model::random(shape, &options)?))
}

/// A prompt of `positions`, as far as the logits of its last.
fn prefill(model: &Model, positions: usize) -> Result<Times, CliError> {
    let mut pass = Pass::new();
    let mut caches = [model.language().new_cache()];
    repeat(|_| {
        read_prompt(model, positions, &mut pass, &mut caches);
        Ok(())
    })
}

fn read_prompt(model: &Model, positions: usize, pass: &mut Pass, caches: &mut [Cache; 1]) {
    let language = model.language();
    caches[0].truncate(0);
    pass.clear();
    pass.begin(0);
    for position in 0..positions {
        pass.push_token(language, (position * 31 % language.vocab()) as u32);
    }
    pass.want_last();
    language.forward(model.compute(), pass, caches);
}

/// Steps behind a prompt, each followed by a pass of the memory probe.
struct Step {
    times: Times,
    /// That a step reads, on average over the steps.
    bytes: f64,
    /// Median of the passes between the steps: 10⁹ bytes a second.
    read_gb_s: f64,
}

impl Step {
    fn measure(model: &Model, positions: usize) -> Result<Step, CliError> {
        let (language, compute) = (model.language(), model.compute());
        let mut pass = Pass::new();
        let mut caches = [language.new_cache()];
        read_prompt(model, positions, &mut pass, &mut caches);
        caches[0].reserve(language.context());
        let weights: u64 = language
            .step_weights()
            .map(|w| w.bytes().len() as u64)
            .sum();
        let buffer = if weights < LARGE {
            probe::buffer()
        } else {
            Vec::new()
        };
        let probe = if weights < LARGE {
            ReadProbe::over([&buffer[..]])
        } else {
            ReadProbe::over(language.step_weights().map(|w| &w.bytes()[..]))
        };
        let (mut bytes, mut passes, mut times) = (0.0, Vec::new(), Vec::new());
        for step in 0..STEPS {
            if caches[0].len() == language.context() {
                caches[0].truncate(positions);
            }
            pass.clear();
            pass.begin(0);
            pass.push_token(language, (step % language.vocab()) as u32);
            pass.want_last();
            let start = Instant::now();
            language.forward(compute, &mut pass, &mut caches);
            times.push(start.elapsed().as_secs_f64() * 1e3);
            bytes += (weights + caches[0].bytes() as u64) as f64;
            passes.push(probe.pass(compute));
        }
        Ok(Step {
            times: Times::new(times),
            bytes: bytes / STEPS as f64,
            read_gb_s: Times::new(passes).median_ms(),
        })
    }
}

/// From the bytes of a picture that was never seen, and a prompt of some twenty words, to the first
/// token.
fn first_word(model: &Model, run: usize) -> Result<(), CliError> {
    let picture = Picture::decode(&picture_file(run + 1), &Limits::default(), Exif::Apply)?;
    let encoded = model.encode(&picture)?;
    // Another text in each run, so that none goes on from what an earlier one has read.
    let id = |position: usize| {
        PromptItem::Token(((position * 31 + run) % model.language().vocab()) as u32)
    };
    let (before, after) = TEXT;
    let mut items: Vec<PromptItem> = (0..before).map(id).collect();
    items.push(PromptItem::Picture);
    items.extend((0..after).map(id));
    let options = GenerateOptions {
        max_new_tokens: 1,
        ..GenerateOptions::default()
    };
    let prompt = model.prompt(&items, &[encoded])?;
    model.generate(prompt, &options, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

/// A BMP file of 640 x 480 pixels, another one for each `number`.
fn picture_file(number: usize) -> Vec<u8> {
    const WIDTH: usize = 640;
    const HEIGHT: usize = 480;
    const HEADER: usize = 54;
    let length = (HEADER + 3 * WIDTH * HEIGHT) as u32;
    let mut file = Vec::with_capacity(length as usize);
    file.extend_from_slice(b"BM");
    for field in [
        length,
        0,
        HEADER as u32,
        40,
        WIDTH as u32,
        HEIGHT as u32,
        1 | 24 << 16,
        0,
        0,
        0,
        0,
        0,
        0,
    ] {
        file.extend_from_slice(&field.to_le_bytes());
    }
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            file.extend_from_slice(&[(x + number) as u8, (y / 2) as u8, (x * y / 640) as u8]);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_is_one_and_another() {
        let decode = |number| {
            Picture::decode(&picture_file(number), &Limits::default(), Exif::Apply).unwrap()
        };
        let (first, second) = (decode(0), decode(1));
        assert_eq!((first.image().width, first.image().height), (640, 480));
        assert_ne!(first.image(), second.image());
    }
}
