//! A data set with everything that can be wrong with a row.

use std::fs;

use mobilevlm_data::Problem;
use mobilevlm_train::run::{Metrics, Record};
use mobilevlm_train::{Outcome, TrainError};
use serde_json::json;

use crate::toy::{Toy, run, talk};

#[test]
fn broken_rows_are_left_out_and_counted() {
    let good = talk(Some("red.png"), "<image>\ncolour?", "red");
    let rows = [
        json!({"id": "no conversation", "image": "red.png"}),
        json!(17),
        talk(Some("../red.png"), "<image>\ncolour?", "red"),
        talk(Some("absent.png"), "<image>\ncolour?", "red"),
        talk(Some("cut.png"), "<image>\ncolour?", "red"),
        talk(Some("text.png"), "<image>\ncolour?", "red"),
        json!({"id": "a", "conversations": [{"from": "robot", "value": "beep"}]}),
        json!({"id": "a", "image": "red.png", "conversations": [
            {"from": "human", "value": "<image>\ncolour?"},
            {"from": "gpt", "value": "red"},
            {"from": "human", "value": "<image>\nand now?"},
            {"from": "gpt", "value": "red"},
        ]}),
        talk(
            Some("red.png"),
            &format!("<image>\n{}?", "long ".repeat(400)),
            "red",
        ),
        good.clone(),
        talk(None, "what is one and one?", "two"),
        talk(Some("red.png"), "colour, without a mark?", "red"),
        talk(None, "<image>\na mark without a picture?", "yes"),
        talk(Some("green.png"), "<image>\n", "green"),
    ];
    let toy = Toy::with_rows(&rows);
    let bytes = fs::read(toy.path("red.png")).unwrap();
    fs::write(toy.path("cut.png"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(toy.path("text.png"), b"no picture at all").unwrap();
    let set = ["train.max_steps=7", "train.gradient_accumulation_steps=1"];
    let outcome = run(&toy.recipe("run", &set), false, None).unwrap();
    let Outcome::Finished { left_out, .. } = outcome else {
        panic!("{outcome:?}");
    };
    // One epoch: each of them once.
    let expected = [
        (Problem::BrokenRow, 2),
        (Problem::OutsideRoot, 1),
        (Problem::MissingPicture, 1),
        (Problem::BrokenPicture, 2),
        (Problem::Refused, 1),
        (Problem::SeveralMarks, 1),
        (Problem::Unsupervised, 1),
    ];
    assert_eq!(left_out.into_iter().collect::<Vec<_>>(), expected);
    let records = Metrics::read(&toy.path("run/metrics.jsonl")).unwrap();
    let steps = records.iter().map(|record| match record {
        Record::Step(step) => step.samples,
        other => panic!("{other:?}"),
    });
    assert_eq!(steps.sum::<u64>(), 5);
    let Some(Record::Step(last)) = records.last() else {
        panic!("no step");
    };
    assert_eq!(last.left_out, 9);
}

#[test]
fn a_data_set_without_one_good_row_is_an_error_in_the_end() {
    let toy = Toy::with_rows(&[talk(Some("absent.png"), "<image>\ncolour?", "red")]);
    let set = ["train.max_steps=2"];
    let error = run(&toy.recipe("run", &set), false, None).unwrap_err();
    assert!(
        matches!(error, TrainError::NothingLearnt { steps: 2, .. }),
        "{error}"
    );
    let message = error.to_string();
    assert!(message.contains("left out 2"), "{message}");
    assert!(!toy.path("run/model").exists());
    for record in Metrics::read(&toy.path("run/metrics.jsonl")).unwrap() {
        let Record::Step(step) = record else {
            panic!("{record:?}");
        };
        assert!(step.skipped);
        assert_eq!((step.loss, step.samples), (None, 0));
    }
    let empty = Toy::with_rows(&[]);
    let error = run(&empty.recipe("run", &[]), false, None).unwrap_err();
    assert!(
        matches!(error, TrainError::Key { key: "data", .. }),
        "{error}"
    );
}
