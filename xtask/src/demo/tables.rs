//! Whether the answers depend on the kernel table, and how nearly those were a tie that do.

use std::error::Error;
use std::path::Path;

use mobilevlm::{CancelToken, GenerateOptions, Kernels, Model, OpenOptions, Picture};
use mobilevlm_data::world::{Split, World, WorldOptions};
use mobilevlm_eval::world::{Exam, Examined, examine};
use serde::Serialize;

/// The same questions through the best table of the machine and through the portable one.
#[derive(Serialize)]
pub(super) struct Tables {
    best: &'static str,
    asked: usize,
    /// Answers that are the same, letter by letter.
    equal: usize,
    differing: Vec<Differing>,
}

/// A question that the two answer differently.
#[derive(Serialize)]
struct Differing {
    id: String,
    question: String,
    expected: String,
    /// The best table's answer.
    best: String,
    portable: String,
    /// By how much the portable table's choice was likelier than its second where the answers
    /// part: the logarithm of the quotient.
    margin: f32,
}

/// Asks the first `limit` questions of each kind of seed 0.
pub(super) fn compare(file: &Path, limit: usize) -> Result<Tables, Box<dyn Error>> {
    let open = |kernels| {
        let options = OpenOptions {
            kernels: Some(kernels),
            ..OpenOptions::default()
        };
        Model::open(file, &options)
    };
    let (best, portable) = (Kernels::best(), Kernels::by_name("portable")?);
    let models = [open(best)?, open(portable)?];
    let exam = Exam {
        limit,
        ..Exam::default()
    };
    let mut answers = Vec::new();
    for model in &models {
        answers.push(examine(
            model,
            &exam,
            &CancelToken::default(),
            &mut |_, _| {},
        )?);
    }
    let mut differing = Vec::new();
    for (index, (one, other)) in answers[0].iter().zip(&answers[1]).enumerate() {
        if one.answer != other.answer {
            differing.push(Differing {
                id: one.id.clone(),
                question: one.question.clone(),
                expected: one.expected.clone(),
                best: one.answer.clone(),
                portable: other.answer.clone(),
                margin: margin(&models, &exam, one, (index % limit) as u64)?,
            });
        }
    }
    Ok(Tables {
        best: best.name(),
        asked: answers[0].len(),
        equal: answers[0].len() - differing.len(),
        differing,
    })
}

/// How sure the second model was where its answer parts from the first's.
fn margin(
    models: &[Model; 2],
    exam: &Exam,
    asked: &Examined,
    index: u64,
) -> Result<f32, Box<dyn Error>> {
    let world = World::new(WorldOptions {
        seed: exam.seed,
        size: exam.size,
        ..WorldOptions::default()
    })?;
    let sample = world.sample_of(asked.kind, Split::HeldOut, index);
    let image = world.image(&sample).ok_or("a text has no picture")?;
    let prompt = |model: &Model| -> Result<_, mobilevlm::Error> {
        let picture = model.encode(&Picture::from_image(image.clone()))?;
        model.question(&[picture], &asked.question)
    };
    let mut ids = Vec::new();
    for model in models {
        let options = GenerateOptions {
            max_new_tokens: 64,
            ..GenerateOptions::default()
        };
        let go_on = &mut |_: mobilevlm::Event<'_>| std::ops::ControlFlow::Continue(());
        ids.push(model.generate(prompt(model)?, &options, go_on)?.ids);
    }
    let same = ids[0].iter().zip(&ids[1]).take_while(|(a, b)| a == b);
    // Whatever token stands last: its row is read before it.
    let mut read: Vec<u32> = ids[1][..same.count()].to_vec();
    read.push(0);
    let logits = models[1].score(&prompt(&models[1])?, &read)?;
    let vocab = logits.len() / read.len();
    let mut last = logits[logits.len() - vocab..].to_vec();
    last.sort_by(|a, b| b.total_cmp(a));
    Ok(last[0] - last[1])
}
