//! Ends an answer from another thread, after a time.
//!
//! `cargo run --release --example cancel -- golden/checkpoint "Tell me a story." 20`

use std::error::Error;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use mobilevlm::{CancelToken, Chat, GenerateOptions, Model, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, question, milliseconds] = &arguments[..] else {
        return Err("usage: cancel MODEL QUESTION MILLISECONDS".into());
    };
    let patience = Duration::from_millis(milliseconds.parse()?);
    let model = Model::open(model.as_ref(), &OpenOptions::default())?;

    let cancel = CancelToken::new();
    let options = GenerateOptions {
        cancel: cancel.clone(),
        ..GenerateOptions::default()
    };
    thread::spawn(move || {
        thread::sleep(patience);
        cancel.cancel();
    });

    let answer = Chat::new(&model).ask(&[], question, &options, &mut |text| {
        print!("{text}");
        ControlFlow::Continue(())
    })?;
    println!();
    eprintln!(
        "{} tokens, {}",
        answer.ids.len(),
        answer.finish_reason.as_str()
    );
    Ok(())
}
