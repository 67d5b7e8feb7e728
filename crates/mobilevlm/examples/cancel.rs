//! Another thread shows the answer, and cancels it when it has seen enough.
//!
//! `cargo run --release --example cancel -- golden/checkpoint "Tell me a story." 20`

use std::ops::ControlFlow;
use std::{error::Error, sync::mpsc, thread};

use mobilevlm::{CancelToken, Chat, GenerateOptions, Model, OpenOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, question, characters] = &arguments[..] else {
        return Err("usage: cancel MODEL QUESTION CHARACTERS".into());
    };
    let mut left: usize = characters.parse()?;
    let mut chat = Chat::new(&Model::open(model.as_ref(), &OpenOptions::default())?);

    let options = GenerateOptions::default();
    let cancel: CancelToken = options.cancel.clone();
    let (sender, texts) = mpsc::sync_channel::<String>(0); // each is taken before the next
    let watcher = thread::spawn(move || {
        for text in texts {
            print!("{text}");
            left = left.saturating_sub(text.chars().count());
            if left == 0 {
                cancel.cancel();
            }
        }
    });
    let answer = chat.ask(&[], question, &options, &mut |text| {
        let sent = sender.send(text.to_owned());
        sent.map_or(ControlFlow::Break(()), ControlFlow::Continue)
    })?;
    drop(sender);
    watcher.join().map_err(|_| "the other thread failed")?;
    println!("\n{}", answer.finish_reason.as_str());
    Ok(())
}
