//! `mobilevlm bench`: how fast a model runs, as shares of what the machine can do.
//!
//! | stage | what is timed | work |
//! |---|---|---|
//! | vision | the tower on one picture | operations of its linears and attention |
//! | projector | one picture's features | operations of its linears |
//! | prefill | 205 positions through an empty cache, logits of the last | operations |
//! | step | one position behind 205 and more, with its logits | bytes of the weights |
//! | batch_step | the same for eight sequences at once | bytes of the weights |
//!
//! Work is what the result needs, not what was done: blocks that nobody reads, the class token in
//! the last block, rows whose logits nobody wants, and scores of later positions do not count. A
//! multiply-add is two operations. Norms, activations and depthwise convolutions take time and
//! count as no work; nor do the keys and values that a step reads.

mod measure;
mod stages;
mod table;

use mobilevlm::{Model, OpenOptions, Picture, Shape};
use mobilevlm_checkpoint::{Formats, Mix};
use mobilevlm_processor::{Exif, Limits};
use mobilevlm_tensor::{Arithmetic, Compute, Format, Matrix, probe, tables};
use serde::Serialize;

use crate::args::{BenchArgs, ModelArgs, RandomShape};
use crate::error::CliError;
use crate::memory;
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};
use measure::{Bound, Stage, Work, repeat};
use stages::Steps;

/// A picture's 144 positions and a question, as a V2 model gets them.
const PREFILL_POSITIONS: usize = 205;

/// What `--kernels` takes for one report after the other, of every table that can run.
const ALL_KERNELS: &str = "all";

/// Everything that was measured.
#[derive(Serialize)]
struct Report {
    model: String,
    kernels: &'static str,
    arithmetic: &'static str,
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
    /// The same for products of 8-bit integers.
    int8_gops: f64,
}

impl Limit {
    /// What bounds products with `weights`: integers where the arithmetic takes any of them so.
    fn of_products<'a>(
        self,
        compute: &Compute,
        mut weights: impl Iterator<Item = &'a Matrix>,
    ) -> Bound {
        let fast = compute.arithmetic() == Arithmetic::Fast;
        Bound::from(if fast && weights.any(Matrix::is_interleaved) {
            ("int8_gops", self.int8_gops, "Gop/s")
        } else {
            ("f32_gflops", self.f32_gflops, "GFLOP/s")
        })
    }
}

#[derive(Serialize)]
struct Stages {
    vision: Stage,
    projector: Stage,
    prefill: Stage,
    step: Stage,
    batch_step: BatchStep,
}

/// A step of several sequences.
#[derive(Serialize)]
struct BatchStep {
    sequences: usize,
    #[serde(flatten)]
    stage: Stage,
    /// Tokens a second by those of a step of one sequence.
    tokens_by_step: f64,
}

pub(crate) fn run(args: &BenchArgs, terminal: Terminal) -> Result<(), CliError> {
    if args.compute.kernels.as_deref() != Some(ALL_KERNELS) {
        return report(args, terminal);
    }
    for table in tables() {
        if table.kernels().is_some() {
            let mut args = args.clone();
            args.compute.kernels = Some(table.name.to_owned());
            report(&args, terminal)?;
        }
    }
    Ok(())
}

fn report(args: &BenchArgs, terminal: Terminal) -> Result<(), CliError> {
    let (name, model) = open(args, terminal)?;
    let report = {
        let _waiting = terminal.waiting("measuring");
        measure(args, name, &model)?
    };
    if args.json {
        print_json(&report)
    } else {
        table::print(&report)
    }
}

fn measure(args: &BenchArgs, name: String, model: &Model) -> Result<Report, CliError> {
    let (compute, language) = (model.compute(), model.language());
    let picture = Picture::decode(&stages::picture_file(0), &Limits::default(), Exif::Ignore)?;
    let pixels = model.pixels(&picture)?;
    let features = model.vision_features(&pixels)?;
    let vision = repeat(compute, |_| model.vision_features(&pixels).map(drop))?;
    let projector = repeat(compute, |_| model.image_embeds(&features).map(drop))?;
    let positions = PREFILL_POSITIONS.min(language.context() / 2);
    let prefill = stages::prefill(model, positions)?;
    let first_word = repeat(compute, |run| stages::first_word(model, run))?;
    let peak_memory_bytes = memory::peak_bytes();

    // Last, as the probe of the memory may need a gigabyte of its own, and each sequence a cache.
    let past = args.past.unwrap_or(positions).clamp(1, positions);
    let steps = Steps::measure(model, past, args.batch.get());
    let limits = Limit {
        read_gb_s: steps.read_gb_s,
        f32_gflops: probe::multiply_add_peak(compute),
        int8_gops: probe::int8_peak(compute),
    };
    let bytes = language
        .step_weights()
        .map(|w| w.bytes().len() as u64)
        .sum();
    let read = |times| {
        let bound = Bound::from(("read_gb_s", limits.read_gb_s, "GB/s"));
        Stage::new(times, Work::Bytes(bytes), bound)
    };
    let computed = |times, multiply_adds: u64, bound| {
        Stage::new(times, Work::Operations(2 * multiply_adds), bound)
    };
    let (tower, features) = (model.tower(), model.projector());
    let step = read(&steps.one).of_tokens(1);
    let batch_step = read(&steps.batch).of_tokens(args.batch.get());
    Ok(Report {
        model: name,
        kernels: compute.kernels().name(),
        arithmetic: compute.arithmetic().name(),
        threads: compute.pool().threads(),
        limits,
        stages: Stages {
            vision: computed(
                &vision,
                tower.multiply_adds(),
                limits.of_products(compute, tower.weights()),
            ),
            projector: computed(
                &projector,
                features.multiply_adds(),
                limits.of_products(compute, features.weights()),
            ),
            prefill: computed(
                &prefill,
                language.multiply_adds(positions, 0),
                limits.of_products(compute, language.step_weights()),
            )
            .of_tokens(positions),
            batch_step: BatchStep {
                sequences: args.batch.get(),
                tokens_by_step: batch_step.tokens_per_s.unwrap_or(0.0)
                    / step.tokens_per_s.unwrap_or(f64::INFINITY),
                stage: batch_step,
            },
            step,
        },
        first_word_ms: first_word.median_ms(),
        peak_memory_bytes,
    })
}

fn open(args: &BenchArgs, terminal: Terminal) -> Result<(String, Model), CliError> {
    let Some(shape) = args.random else {
        let model = ModelArgs {
            model: args.model.clone(),
            vision_tower: args.vision_tower.clone(),
            mmproj: args.mmproj.clone(),
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
        arithmetic: args.compute.arithmetic_or(Arithmetic::Fast),
        ..OpenOptions::default()
    };
    let (size, shape) = match shape {
        RandomShape::B1_7 => ("1.7B", Shape::B1_7),
        RandomShape::B3 => ("3B", Shape::B3),
        RandomShape::B7 => ("7B", Shape::B7),
    };
    let formats = Formats {
        language: args.language,
        vision: args.vision,
        projector: args.projector.or(args.vision),
    };
    let format = |format: Option<Format>| format.unwrap_or(Format::F16).name();
    let name = format!(
        "random weights in the shape of MobileVLM V2-{size}: language {}, vision {}, projector {}",
        formats.language.unwrap_or(Mix::F16).name(),
        format(formats.vision),
        format(formats.projector),
    );
    Ok((name, Model::random(shape, formats, &options)?))
}
