//! An examination of the micro set's model, whose answers mean nothing: what is asked and how.

use std::ops::ControlFlow;

use mobilevlm::{CancelToken, GenerateOptions, Model, OpenOptions, Picture, RgbImage};
use mobilevlm_data::world::{Kind, Split, World, WorldOptions};
use mobilevlm_eval::world::{Exam, ExamError, examine, figures};
use mobilevlm_testing::micro_golden;

const EXAM: Exam = Exam {
    limit: 2,
    seed: 3,
    size: 64,
};

fn model() -> Model {
    Model::open(&micro_golden("checkpoint"), &OpenOptions::default()).unwrap()
}

#[test]
fn answers_are_those_to_each_question_alone() {
    let model = model();
    let mut heard = Vec::new();
    let progress = &mut |done, total| heard.push((done, total));
    let examined = examine(&model, &EXAM, &CancelToken::default(), progress).unwrap();
    assert_eq!(heard, [(8, 14), (14, 14)]);

    let world = World::new(WorldOptions {
        seed: 3,
        size: 64,
        ..WorldOptions::default()
    })
    .unwrap();
    let alone = |picture: RgbImage, question: &str| {
        let encoded = model.encode(&Picture::from_image(picture)).unwrap();
        let prompt = model.question(&[encoded], question).unwrap();
        let options = GenerateOptions {
            max_new_tokens: 16,
            ..GenerateOptions::default()
        };
        let go_on = &mut |_: mobilevlm::Event<'_>| ControlFlow::Continue(());
        model.generate(prompt, &options, go_on).unwrap().text
    };
    let mut kinds = Vec::new();
    for (number, found) in examined.iter().enumerate() {
        let kind = Kind::EXAMINED[number / EXAM.limit];
        let sample = world.sample_of(kind, Split::HeldOut, (number % EXAM.limit) as u64);
        let exchange = &sample.exchanges[0];
        assert_eq!((&found.id, found.kind), (&sample.id, kind));
        assert_eq!(found.question, exchange.question);
        assert_eq!(found.expected, exchange.answer);
        let picture = world.image(&sample).unwrap();
        assert_eq!(found.answer, alone(picture, &exchange.question));
        let grey = RgbImage::filled(64, 64, [128; 3]);
        assert_eq!(found.answer_to_grey, alone(grey, &exchange.question));
        kinds.push(kind.name());
    }
    kinds.dedup();
    kinds.sort_unstable();
    let figures = figures(&examined);
    assert_eq!(figures.keys().copied().collect::<Vec<_>>(), kinds);
    assert!(figures.values().all(|figures| figures.n == EXAM.limit));
}

#[test]
fn what_is_cancelled_has_no_result() {
    let cancel = CancelToken::default();
    cancel.cancel();
    let done = examine(&model(), &EXAM, &cancel, &mut |_, _| {});
    assert!(matches!(done, Err(ExamError::Cancelled)), "{done:?}");
    let exam = Exam { size: 8, ..EXAM };
    let done = examine(&model(), &exam, &CancelToken::default(), &mut |_, _| {});
    assert!(matches!(done, Err(ExamError::World(_))), "{done:?}");
}
