//! Labels, splices and orders against what upstream's own code made: a copy of the cases in
//! `tests/data`, and the set in `../shared/golden/train` where it is.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use mobilevlm_data::{
    AttentionMask, Batch, Grouping, LabelOptions, Labeller, Message, Mt19937, Place, Sample,
    TrainTemplate, collate, random_permutation, splice, upstream_order,
};
use mobilevlm_processor::Tokenizer;
use mobilevlm_testing::shared_golden;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The copy, and the whole set where there is one.
fn folders(test: &str) -> Vec<PathBuf> {
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    [Some(copy), shared_golden("train", test)]
        .into_iter()
        .flatten()
        .collect()
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> T {
    let file = fs::read(folder.join(name)).expect("readable");
    serde_json::from_slice(&file).expect("as the README says")
}

#[derive(Deserialize)]
struct File<T> {
    cases: Vec<T>,
}

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

fn check_labels(folder: &Path) {
    let model = fs::read(folder.join("tokenizer.model")).expect("readable");
    let tokenizer = Tokenizer::from_sentencepiece(&model).expect("a vocabulary");
    let cases: File<LabelCase> = read(folder, "labels.json");
    assert!(!cases.cases.is_empty());
    for case in cases.cases {
        let name = format!("{}: {}", case.id, case.why);
        let labeller = Labeller::new(
            tokenizer.clone().with_legacy(case.legacy),
            LabelOptions {
                template: match case.template.as_str() {
                    "plain" => TrainTemplate::Plain,
                    "v1" => TrainTemplate::V1,
                    other => panic!("{name}: template {other}"),
                },
                model_max_length: case.model_max_length,
                is_multimodal: case.is_multimodal,
                mm_use_im_start_end: case.mm_use_im_start_end,
            },
        );
        let sample = Sample {
            image: case.image.then(|| "picture.png".to_owned()),
            conversations: case.conversations,
        };
        assert_eq!(sample.length(), case.length, "{name}");
        assert_eq!(sample.modality_length(), case.modality_length, "{name}");

        let labelled = labeller.label(&sample);
        let error = labelled.as_ref().err().map(|error| error.upstream());
        assert_eq!(error, case.error, "{name}");
        let Ok(labelled) = labelled else { continue };
        let printed = labelled.mismatch.map(|mismatch| mismatch.to_string());
        assert_eq!(printed, case.printed, "{name}");
        let made = case.made.unwrap_or_else(|| panic!("{name}: no ids"));
        assert_eq!(labelled.ids, made.input_ids, "{name}: ids");
        assert_eq!(labelled.labels, made.labels, "{name}: labels");

        let supervised = labelled.supervised_within(case.model_max_length);
        assert_eq!(supervised, made.supervised, "{name}: supervised");
        let batch = |mask| {
            let samples = [labelled.clone()];
            collate(&samples, case.model_max_length, labeller.pad(), mask)
        };
        let upstream = batch(AttentionMask::UpstreamNotPad);
        assert_eq!(upstream.input_ids[0].len(), made.collated_length, "{name}");
        assert_eq!(upstream.supervised(), made.supervised, "{name}");
        let mask = &upstream.attention_mask[0];
        let hidden: Vec<usize> = (0..mask.len()).filter(|&place| !mask[place]).collect();
        assert_eq!(hidden, made.attention_mask_false_at, "{name}: mask");
        // Ours hides nothing of a row alone.
        let ours = batch(AttentionMask::Length);
        assert_eq!(ours.input_ids, upstream.input_ids, "{name}");
        assert!(!ours.attention_mask[0].contains(&false), "{name}");
    }
}

#[test]
fn labels_equal_upstreams() {
    for folder in folders("labels_equal_upstreams") {
        check_labels(&folder);
    }
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
    rows: Option<Vec<Vec<i32>>>,
    new_labels: Option<Vec<Vec<i32>>>,
    new_attention_mask: Option<Vec<Vec<u8>>>,
}

fn check_splices(folder: &Path) {
    let cases: File<SpliceCase> = read(folder, "splice.json");
    assert!(!cases.cases.is_empty());
    for case in cases.cases {
        let name = &case.why;
        let seen = |rows: Vec<Vec<u8>>| -> Vec<Vec<bool>> {
            let row = |row: Vec<u8>| row.into_iter().map(|seen| seen == 1).collect();
            rows.into_iter().map(row).collect()
        };
        let batch = Batch {
            input_ids: case.input_ids,
            labels: case.labels,
            attention_mask: seen(case.attention_mask),
        };
        let spliced = splice(&batch, case.pictures, case.places);
        assert_eq!(
            spliced.as_ref().err().map(|_| "IndexError"),
            case.error.as_deref(),
            "{name}"
        );
        let Ok(spliced) = spliced else { continue };
        let number = |place: &Place| match *place {
            Place::Token(id) => i32::try_from(id).unwrap(),
            Place::Picture { picture, place } => (1000 + 10 * picture + place) as i32,
            Place::Zero => 0,
        };
        let rows = spliced.rows.iter();
        let rows: Vec<Vec<i32>> = rows
            .map(|row| row.places.iter().map(number).collect())
            .collect();
        assert_eq!(Some(rows), case.rows, "{name}");
        let rows = spliced.rows.iter();
        let labels: Vec<Vec<i32>> = rows.map(|row| row.labels.clone()).collect();
        assert_eq!(Some(labels), case.new_labels, "{name}");
        let rows = spliced.rows.iter();
        let masks: Vec<Vec<bool>> = rows.map(|row| row.attention_mask.clone()).collect();
        assert_eq!(Some(masks), case.new_attention_mask.map(seen), "{name}");
    }
}

#[test]
fn splices_equal_upstreams() {
    for folder in folders("splices_equal_upstreams") {
        check_splices(&folder);
    }
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

fn check_orders(folder: &Path) {
    let file: SamplerFile = read(folder, "sampler.json");
    let mut generator = Mt19937::new(42);
    for word in file.generator.seed_42_first_words {
        assert_eq!(generator.next_u32(), word);
    }
    for example in file.generator.examples {
        let mut generator = Mt19937::new(example.seed);
        let mut next = || random_permutation(&mut generator, example.n);
        assert_eq!((next(), next()), (example.first, example.second));
    }
    assert!(!file.cases.is_empty());
    for case in file.cases {
        let name = format!("{} (seed {})", case.why, case.seed);
        let mut generator = Mt19937::new(case.seed);
        for permutation in case.permutations.into_iter().flatten() {
            let ours = random_permutation(&mut generator, permutation.len());
            assert_eq!(ours, permutation, "{name}");
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
        let error = order.as_ref().err().map(|error| error.upstream());
        assert_eq!(error, case.error.as_deref(), "{name}");
        assert_eq!(order.ok(), case.order, "{name}");
    }
}

#[test]
fn orders_equal_upstreams() {
    for folder in folders("orders_equal_upstreams") {
        check_orders(&folder);
    }
}
