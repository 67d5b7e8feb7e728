//! What `bench` runs: each stage, and the pictures and prompts for them.

use std::ops::ControlFlow;

use mobilevlm::{GenerateOptions, Model, Picture};
use mobilevlm_model::{Cache, Pass};
use mobilevlm_processor::{Exif, Limits, PromptItem};
use mobilevlm_tensor::probe::{self, ReadProbe};

use super::measure::{Times, median, repeat};
use crate::error::CliError;

/// Weights of so many bytes are no longer in a cache when they are read again, and are themselves
/// what the probe of the memory reads; for smaller ones it takes a buffer of its own.
const LARGE: usize = 1 << 29;

/// Steps that are timed.
const STEPS: usize = 40;

/// Ids before and after the picture: with LLaMA's vocabulary, the system prompt has 40 and some
/// twenty words 21. Ids and not text, as random weights have no words.
const TEXT: (usize, usize) = (40, 21);

/// A prompt of `positions`, as far as the logits of its last.
pub(super) fn prefill(model: &Model, positions: usize) -> Result<Times, CliError> {
    let mut pass = Pass::new();
    let mut caches = [model.language().new_cache()];
    repeat(model.compute(), |_| {
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
pub(super) struct Steps {
    /// Of one sequence.
    pub(super) one: Times,
    /// Of several sequences at once.
    pub(super) batch: Times,
    /// Median of the passes between the steps of one sequence: 10⁹ bytes a second.
    pub(super) read_gb_s: f64,
}

impl Steps {
    /// Behind `past` positions, for one sequence and for `sequences`.
    pub(super) fn measure(model: &Model, past: usize, sequences: usize) -> Steps {
        let language = model.language();
        let mut pass = Pass::new();
        let mut caches = [language.new_cache()];
        read_prompt(model, past, &mut pass, &mut caches);
        let [read] = caches;
        let weights: usize = language.step_weights().map(|w| w.bytes().len()).sum();
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
        let (one, passes) = steps(model, &read, 1, &probe);
        let (batch, _) = steps(model, &read, sequences, &probe);
        Steps {
            one,
            batch,
            read_gb_s: median(passes),
        }
    }
}

/// Steps of `sequences` that have read the same, and the rates of the probe between them.
fn steps(model: &Model, read: &Cache, sequences: usize, probe: &ReadProbe) -> (Times, Vec<f64>) {
    let (language, compute) = (model.language(), model.compute());
    let mut pass = Pass::new();
    let most = (read.len() + STEPS).min(language.context());
    let mut caches: Vec<Cache> = (0..sequences)
        .map(|_| {
            let mut cache = read.prefix(read.len());
            cache.reserve(most);
            cache
        })
        .collect();
    let (mut times, mut passes) = (Times::default(), Vec::new());
    for step in 0..STEPS {
        pass.clear();
        for (sequence, cache) in caches.iter_mut().enumerate() {
            if cache.len() == most {
                cache.truncate(read.len());
            }
            pass.begin_step(sequence);
            pass.push_token(language, ((step + sequence) % language.vocab()) as u32);
            pass.want_last();
        }
        times.time(compute, || {
            language.forward(compute, &mut pass, &mut caches);
        });
        passes.push(probe.pass(compute));
    }
    (times.sorted(), passes)
}

/// From the bytes of a picture that was never seen, and a prompt of some twenty words, to the first
/// token.
pub(super) fn first_word(model: &Model, run: usize) -> Result<(), CliError> {
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
pub(super) fn picture_file(number: usize) -> Vec<u8> {
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
