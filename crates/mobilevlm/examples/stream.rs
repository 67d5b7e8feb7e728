//! Asks about a picture and prints the answer as it comes.
//!
//! `cargo run --release --example stream -- golden/checkpoint golden/images/a.png "What is this?"`

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;

use mobilevlm::{Chat, Exif, GenerateOptions, Limits, Model, OpenOptions, Picture};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, picture, question] = &arguments[..] else {
        return Err("usage: stream MODEL PICTURE QUESTION".into());
    };
    let model = Model::open(model.as_ref(), &OpenOptions::default())?;
    let picture = Picture::decode(&std::fs::read(picture)?, &Limits::default(), Exif::Apply)?;

    let mut chat = Chat::new(&model);
    let answer = chat.ask(
        &[picture],
        question,
        &GenerateOptions::default(),
        &mut |text| {
            print!("{text}");
            match std::io::stdout().flush() {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()), // nobody listens any more
            }
        },
    )?;
    println!();
    eprintln!(
        "{} tokens, {}",
        answer.ids.len(),
        answer.finish_reason.as_str()
    );
    Ok(())
}
