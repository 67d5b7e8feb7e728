//! How many questions a machine answers in an hour: random weights in the shape of MobileVLM
//! V2-1.7B, `q4_k_m` with a tower in `q8_0`, through the same runner as `mobilevlm eval`.
//!
//! ```text
//! cargo run --release -p mobilevlm-eval --example throughput -- [BATCH…]
//! ```
//!
//! Questions are as a benchmark's are: 640 x 480 pictures, two questions about each, some sixty
//! positions of text beside the 144 of the picture, answers of three tokens.

use std::error::Error;
use std::path::Path;

use mobilevlm::{CancelToken, Model, OpenOptions};
use mobilevlm_checkpoint::{Formats, Mix};
use mobilevlm_eval::run::{ModelIdentity, Plan, Run};
use mobilevlm_eval::{
    Asked, Benchmark, BenchmarkError, Crop, Id, PictureSource, Question, Scored, Source,
};

const PICTURES: usize = 32;
const PER_PICTURE: usize = 2;
const ANSWER_TOKENS: usize = 3;

/// Made-up questions about made-up pictures.
struct Synthetic;

static SYNTHETIC: Synthetic = Synthetic;

impl Benchmark for Synthetic {
    fn name(&self) -> &'static str {
        "synthetic"
    }

    fn paper_table_figure(&self) -> (&'static str, f64) {
        ("none", 1.0)
    }

    fn files(&self) -> Vec<Source> {
        Vec::new()
    }

    fn pictures(&self) -> Option<Source> {
        None
    }

    fn questions(&self, _: &Path) -> Result<Vec<Question>, BenchmarkError> {
        let question = |number: usize| Question {
            id: Id::Number(number as i64),
            prompt: String::new(),
            // The random vocabulary has a token for each character.
            text: format!("Number {number:02}: what is there?"),
            picture: Some(PictureSource::File(picture(number / PER_PICTURE))),
            crop: Crop::Model,
            max_new_tokens: ANSWER_TOKENS,
            choices: None,
        };
        Ok((0..PICTURES * PER_PICTURE).map(question).collect())
    }

    fn score(&self, _: &Asked<'_>) -> Result<Scored, BenchmarkError> {
        Ok(Scored::default())
    }
}

fn picture(number: usize) -> String {
    format!("{number}.bmp")
}

/// A BMP file of 640 x 480 pixels that no other number has.
fn bmp(number: usize) -> Vec<u8> {
    let (width, height) = (640_u32, 480_u32);
    let pixels = width * height * 3;
    let mut file = b"BM".to_vec();
    for field in [54 + pixels, 0, 54, 40, width, height] {
        file.extend(field.to_le_bytes());
    }
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file.extend((0..pixels).map(|at| (at as usize * (number + 3) / 7) as u8));
    file
}

fn main() -> Result<(), Box<dyn Error>> {
    let batches: Vec<usize> = std::env::args()
        .skip(1)
        .map(|batch| batch.parse())
        .collect::<Result<_, _>>()?;
    let batches = if batches.is_empty() {
        vec![1, 2, 4, 8, 16]
    } else {
        batches
    };
    let formats = Formats {
        language: Mix::from_name("q4_k_m"),
        vision: Some(mobilevlm_tensor::Format::Q8_0),
        projector: Some(mobilevlm_tensor::Format::Q8_0),
    };
    let model = Model::random("1.7b".parse()?, formats, &OpenOptions::default())?;
    let data = tempfile::tempdir()?;
    for number in 0..PICTURES {
        std::fs::write(data.path().join(picture(number)), bmp(number))?;
    }
    let plan = Plan::new(&SYNTHETIC, data.path(), false)?;
    for batch in batches {
        let out = tempfile::tempdir()?;
        let run = Run {
            model: &model,
            identity: &ModelIdentity {
                name: "random".to_owned(),
                sha256: String::new(),
                paper: None,
            },
            plan: &plan,
            out: out.path(),
            shard: None,
            batch,
            cancel: CancelToken::new(),
        };
        let outcome = run.prepare()?.run(&mut |_, _| {})?;
        let an_hour = 3600.0 * outcome.asked as f64 / outcome.seconds;
        println!("batch {batch:>2}: {an_hour:>7.0} questions an hour");
    }
    Ok(())
}
