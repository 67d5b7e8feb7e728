use std::num::NonZeroUsize;

use mobilevlm_data::{
    AttentionMask, Batch, Grouping, LabelOptions, Labeller, Message, Mt19937, Place, Sample,
    TrainTemplate, collate, random_permutation, splice, upstream_order,
};
use mobilevlm_processor::Tokenizer;
use serde::Deserialize;

use super::files::{Cases, Exact, Folder, Wrong};
use super::report::Items;
use crate::schedule::CosineSchedule;

#[derive(Deserialize)]
struct LabelCase {
    id: String,
    why: String,
    template: String,
    image: bool,
    model_max_length: usize,
    legacy: bool,
    is_multimodal: bool,
    mm_use_im_start_end: bool,
    conversations: Vec<Message>,
    length: usize,
    modality_length: i32,
    error: Option<String>,
    printed: Option<String>,
    #[serde(flatten)]
    made: Option<Made>,
}

#[derive(Deserialize)]
struct Made {
    input_ids: Vec<i32>,
    labels: Vec<i32>,
    collated_length: usize,
    supervised: usize,
    attention_mask_false_at: Vec<usize>,
}

pub(super) fn tokenizer(folder: &Folder) -> Result<Tokenizer, Wrong> {
    Ok(Tokenizer::from_sentencepiece(
        &folder.read("tokenizer.model")?,
    )?)
}

pub(super) fn template(name: &str) -> Result<TrainTemplate, Wrong> {
    match name {
        "plain" => Ok(TrainTemplate::Plain),
        "v1" => Ok(TrainTemplate::V1),
        other => Err(Wrong(format!(
            "template: expected plain or v1, found {other:?}"
        ))),
    }
}

pub(super) fn labels(folder: &Folder, items: &mut Items) -> Result<(), Wrong> {
    let tokenizer = tokenizer(folder)?;
    let cases: Cases<LabelCase> = folder.json("labels.json")?;
    let item = items.add("labels", 0.0);
    for case in cases.cases {
        let place = |what: &str| {
            let place = format!("{} ({}), {what}", case.id, case.why);
            move || place
        };
        let labeller = Labeller::new(
            tokenizer.clone().with_legacy(case.legacy),
            LabelOptions {
                template: template(&case.template)?,
                model_max_length: case.model_max_length,
                is_multimodal: case.is_multimodal,
                mm_use_im_start_end: case.mm_use_im_start_end,
            },
        );
        let sample = Sample {
            image: case.image.then(|| "picture.png".to_owned()),
            conversations: case.conversations.clone(),
        };
        item.equal(&sample.length(), &case.length, place("length"));
        item.equal(
            &sample.modality_length(),
            &case.modality_length,
            place("modality_length"),
        );
        let labelled = labeller.label(&sample);
        let error = labelled
            .as_ref()
            .err()
            .map(|error| error.upstream().to_owned());
        item.equal(&error, &case.error, place("error"));
        let Ok(labelled) = labelled else { continue };
        let printed = labelled.mismatch.map(|mismatch| mismatch.to_string());
        item.equal(&printed, &case.printed, place("printed"));
        let Some(made) = &case.made else {
            item.equal(&"ids", &"no ids", place("input_ids"));
            continue;
        };
        item.equal(&labelled.ids, &made.input_ids, place("input_ids"));
        item.equal(&labelled.labels, &made.labels, place("labels"));
        let mask = AttentionMask::UpstreamNotPad;
        let batch = collate(&[labelled], case.model_max_length, labeller.pad(), mask);
        let length = batch.input_ids.first().map_or(0, Vec::len);
        item.equal(&length, &made.collated_length, place("collated_length"));
        item.equal(&batch.supervised(), &made.supervised, place("supervised"));
        let seen = batch.attention_mask.first().map_or(&[][..], Vec::as_slice);
        let hidden: Vec<usize> = (0..seen.len()).filter(|&place| !seen[place]).collect();
        item.equal(
            &hidden,
            &made.attention_mask_false_at,
            place("attention_mask_false_at"),
        );
    }
    Ok(())
}

#[derive(Deserialize)]
struct SpliceCase {
    why: String,
    pictures: usize,
    places: usize,
    input_ids: Vec<Vec<i32>>,
    labels: Vec<Vec<i32>>,
    attention_mask: Vec<Vec<u8>>,
    error: Option<String>,
    rows: Option<Vec<Vec<i64>>>,
    new_labels: Option<Vec<Vec<i32>>>,
    new_attention_mask: Option<Vec<Vec<u8>>>,
}

pub(super) fn splices(folder: &Folder, items: &mut Items) -> Result<(), Wrong> {
    let cases: Cases<SpliceCase> = folder.json("splice.json")?;
    let item = items.add("splices", 0.0);
    for case in cases.cases {
        let why = &case.why;
        let seen = |rows: &[Vec<u8>]| -> Vec<Vec<bool>> {
            let row = |row: &Vec<u8>| row.iter().map(|&seen| seen == 1).collect();
            rows.iter().map(row).collect()
        };
        let batch = Batch {
            input_ids: case.input_ids,
            labels: case.labels,
            attention_mask: seen(&case.attention_mask),
        };
        let spliced = splice(&batch, case.pictures, case.places);
        let fails = spliced.is_err();
        let recorded = case
            .error
            .as_deref()
            .is_some_and(|error| error.starts_with("IndexError"));
        item.equal(&fails, &recorded, || format!("{why}: error"));
        let Ok(spliced) = spliced else { continue };
        let number = |place: &Place| match *place {
            Place::Token(id) => i64::from(id),
            Place::Picture { picture, place } => (1000 + 10 * picture + place) as i64,
            Place::Zero => 0,
        };
        let rows = spliced.rows.iter();
        let places: Vec<Vec<i64>> = rows
            .clone()
            .map(|row| row.places.iter().map(number).collect())
            .collect();
        item.equal(&Some(places), &case.rows, || format!("{why}: rows"));
        let labels: Vec<Vec<i32>> = rows.clone().map(|row| row.labels.clone()).collect();
        item.equal(&Some(labels), &case.new_labels, || format!("{why}: labels"));
        let masks: Vec<Vec<bool>> = rows.map(|row| row.attention_mask.clone()).collect();
        let recorded = case.new_attention_mask.as_deref().map(seen);
        item.equal(&Some(masks), &recorded, || format!("{why}: attention mask"));
    }
    Ok(())
}

#[derive(Deserialize)]
struct SamplerFile {
    generator: Generator,
    cases: Vec<SamplerCase>,
}

#[derive(Deserialize)]
struct Generator {
    seed_42_first_words: Vec<u32>,
    examples: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    seed: u32,
    n: usize,
    first: Vec<usize>,
    second: Vec<usize>,
}

#[derive(Deserialize)]
struct SamplerCase {
    why: String,
    seed: u32,
    batch_size: NonZeroUsize,
    world_size: NonZeroUsize,
    group_by_modality: bool,
    lengths: Vec<i32>,
    #[serde(default)]
    permutations: Option<Vec<Vec<usize>>>,
    #[serde(default)]
    order: Option<Vec<usize>>,
    error: Option<String>,
}

pub(super) fn orders(folder: &Folder, items: &mut Items) -> Result<(), Wrong> {
    let file: SamplerFile = folder.json("sampler.json")?;
    let item = items.add("generator", 0.0);
    let mut generator = Mt19937::new(42);
    for word in &file.generator.seed_42_first_words {
        item.equal(&generator.next_u32(), word, || {
            "words of seed 42".to_owned()
        });
    }
    for example in &file.generator.examples {
        let mut generator = Mt19937::new(example.seed);
        for recorded in [&example.first, &example.second] {
            let ours = random_permutation(&mut generator, example.n);
            item.equal(&ours, recorded, || {
                format!("seed {}, n {}", example.seed, example.n)
            });
        }
    }
    let item = items.add("orders", 0.0);
    for case in file.cases {
        let place = || format!("{} (seed {})", case.why, case.seed);
        let mut generator = Mt19937::new(case.seed);
        for permutation in case.permutations.iter().flatten() {
            let ours = random_permutation(&mut generator, permutation.len());
            item.equal(&ours, permutation, place);
        }
        let grouping = match case.group_by_modality {
            true => Grouping::Modality,
            false => Grouping::Length,
        };
        let mut generator = Mt19937::new(case.seed);
        let order = upstream_order(
            &case.lengths,
            grouping,
            case.batch_size,
            case.world_size,
            &mut generator,
        );
        let error = order
            .as_ref()
            .err()
            .map(|error| error.upstream().to_owned());
        item.equal(&error, &case.error, place);
        item.equal(&order.ok(), &case.order, place);
    }
    Ok(())
}

#[derive(Deserialize)]
struct ScheduleCase {
    total_steps: u64,
    warmup_ratio: Exact,
    warmup_steps: u64,
    peak: Exact,
    #[serde(default)]
    at: Option<Vec<u64>>,
    rates: Vec<Exact>,
    after_last: Exact,
}

pub(super) fn schedules(folder: &Folder, items: &mut Items) -> Result<(), Wrong> {
    let cases: Cases<ScheduleCase> = folder.record("schedule.json")?;
    let item = items.add("schedules", 0.0);
    for case in cases.cases {
        let schedule = CosineSchedule::with_ratio(case.total_steps, case.warmup_ratio.0);
        let place = |what: String| move || format!("{} steps, {what}", case.total_steps);
        let warmup = schedule.warmup as f64;
        item.absolute(
            warmup,
            case.warmup_steps as f64,
            place("warm-up".to_owned()),
        );
        let steps = match case.at {
            Some(at) => at,
            None => (0..case.rates.len() as u64).collect(),
        };
        item.absolute(
            steps.len() as f64,
            case.rates.len() as f64,
            place("rates".to_owned()),
        );
        for (&step, &rate) in steps.iter().zip(&case.rates) {
            let ours = schedule.rate(step, case.peak.0);
            item.absolute(ours, rate.0, place(format!("step {}", step + 1)));
        }
        let after = schedule.rate(case.total_steps, case.peak.0);
        item.absolute(after, case.after_last.0, place("after the last".to_owned()));
    }
    Ok(())
}
