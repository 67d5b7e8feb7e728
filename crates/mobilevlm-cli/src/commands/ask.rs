//! `mobilevlm ask`: one question about one or more pictures.

use std::io::{self, Write};
use std::ops::ControlFlow;

use mobilevlm::{Chat, FinishReason, Picture};

use super::each;
use crate::args::AskArgs;
use crate::error::CliError;
use crate::interrupt;
use crate::output::AnswerJson;
use crate::plan::{self, Network, Question};
use crate::terminal::{Terminal, print_json};

pub(crate) fn run(args: &AskArgs, terminal: Terminal) -> Result<(), CliError> {
    let question = Question::from_words(&args.words)?;
    if args.each {
        return each::run(args, &question, terminal);
    }
    // Before the model, which may have to be downloaded: a wrong path shows at once.
    let pictures = question
        .pictures
        .iter()
        .map(|path| plan::read_picture(path, args.generate.exif))
        .collect::<Result<Vec<Picture>, CliError>>()?;
    let model = plan::open_model(&args.model, &args.compute, Network::Allowed, terminal)?;
    let cancel = interrupt::stoppable();
    let options = plan::generate_options(&args.generate, cancel);

    let mut out = io::stdout().lock();
    let mut written = Ok(());
    let mut waiting = Some(terminal.waiting("looking"));
    let answer = Chat::new(&model).ask(&pictures, &question.text, &options, &mut |text| {
        waiting = None;
        if args.json {
            return ControlFlow::Continue(());
        }
        written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if written.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    drop(waiting);
    interrupt::done();
    let answer = answer?;
    written?;
    if !args.json {
        writeln!(out)?;
    }
    drop(out);
    if args.json {
        print_json(&AnswerJson::new(None, &answer))?;
    }
    match answer.finish_reason {
        FinishReason::Cancelled => Err(CliError::Interrupted),
        _ => Ok(()),
    }
}
