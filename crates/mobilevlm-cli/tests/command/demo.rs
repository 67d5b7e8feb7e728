//! The model that every program carries.

use std::ops::ControlFlow;

use mobilevlm::{Chat, GenerateOptions, Model, OpenOptions, Picture, RgbImage};
use mobilevlm_checkpoint::Bytes;
use mobilevlm_data::world::{Kind, Split, World, WorldOptions};
use mobilevlm_eval::world::is_right;

use crate::Mobilevlm;

fn in_repository(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The first command of the README: its picture, its question, and the answer under it.
fn first_command() -> (String, String, String) {
    let readme = std::fs::read_to_string(in_repository("README.md")).unwrap();
    let (_, rest) = readme.split_once("-- ask ").unwrap();
    let mut lines = rest.lines();
    let (picture, question) = lines.next().unwrap().split_once(' ').unwrap();
    let question = question.split('"').nth(1).unwrap();
    let answer = lines.next().unwrap().trim_start_matches("# ");
    let owned = |text: &str| text.to_owned();
    (in_repository(picture), owned(question), owned(answer))
}

#[test]
fn the_first_command_of_the_readme_answers_as_it_says_and_tells_who_answers() {
    let (picture, question, answer) = first_command();
    let told = Mobilevlm::new()
        .run(&["ask", &picture, &question])
        .expect(0);
    assert_eq!(told.out, format!("{answer}\n"));
    assert_eq!(told.err.matches("demo model").count(), 1, "{}", told.err);
    assert!(
        told.err.contains("mobilevlm use mtgv/MobileVLM_V2-1.7B"),
        "{}",
        told.err
    );

    let quiet = Mobilevlm::new()
        .run(&["ask", "--quiet", &picture, &question])
        .expect(0);
    assert_eq!((quiet.out, quiet.err.as_str()), (told.out, ""));
    let named = ["ask", "-m", "demo", &picture, &question, "--json"];
    let json = Mobilevlm::new().run(&named).expect(0).json();
    assert_eq!(json["text"], answer);
}

#[test]
fn pictures_that_the_program_draws_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.png");
    let file = file.to_str().unwrap();
    let home = Mobilevlm::new();
    home.run(&["data", "world", "--preview", file]).expect(0);
    let told = home.run(&[
        "ask",
        "--quiet",
        file,
        "Describe the picture in a sentence.",
    ]);
    assert!(!told.expect(0).out.trim().is_empty());
}

#[test]
fn what_needs_a_file_asks_for_one() {
    let told = Mobilevlm::new().run(&["inspect"]);
    assert!(told.err.contains("which model?"), "{}", told.err);
    assert_ne!(told.code, Some(0));
}

#[test]
fn world_is_examined_without_a_model_of_ones_own() {
    let told = Mobilevlm::new().run(&["eval", "world", "--limit", "4", "--json"]);
    let json = told.expect(0).json();
    assert_eq!(json["model"], "demo");
    assert_eq!(json["n"], 28);
}

/// Shares of right answers: with the question's own picture, another question's, a grey one.
fn shares(model: &Model, count: u64) -> [f64; 3] {
    let size = model.preprocessor().size;
    let options = WorldOptions {
        size,
        ..WorldOptions::default()
    };
    let world = World::new(options).unwrap();
    let grey = RgbImage::filled(size, size, [128; 3]);
    let mut right = [0u32; 3];
    let mut asked = 0;
    for kind in Kind::EXAMINED {
        for index in 0..count {
            let of = |index| world.sample_of(kind, Split::HeldOut, index);
            let (own, other) = (of(index), of((index + 1) % count));
            let exchange = &own.exchanges[0];
            let pictures = [world.image(&own), world.image(&other), Some(grey.clone())];
            for (place, picture) in pictures.into_iter().enumerate() {
                let picture = Picture::from_image(picture.unwrap());
                let mut silent = |_: &str| ControlFlow::Continue(());
                let answer = Chat::new(model)
                    .ask(
                        &[picture],
                        &exchange.question,
                        &GenerateOptions::default(),
                        &mut silent,
                    )
                    .unwrap();
                right[place] += u32::from(is_right(&answer.text, &exchange.answer));
            }
            asked += 1;
        }
    }
    right.map(|right| f64::from(right) / f64::from(asked))
}

#[test]
fn the_model_looks() {
    let file = std::fs::read(in_repository("crates/mobilevlm-cli/assets/demo.gguf")).unwrap();
    assert!(file.len() < 8 << 20);
    let model = Model::from_gguf(Bytes::from(file), &OpenOptions::default()).unwrap();
    let [own, shuffled, grey] = shares(&model, 60);
    assert!(shuffled <= grey + 0.03, "{own} {shuffled} {grey}");
    assert!(own > shuffled + 0.2, "{own} {shuffled} {grey}");
}
