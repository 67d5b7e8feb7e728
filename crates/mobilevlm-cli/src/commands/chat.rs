//! `mobilevlm chat`: a conversation about pictures.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::{Chat, FinishReason, Picture};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::args::ChatArgs;
use crate::error::{CliError, chain};
use crate::interrupt;
use crate::plan::{self, Network};
use crate::settings;
use crate::terminal::Terminal;

const HELP: &str = "\
/image PATH   add a picture to the next question
/reset        forget everything
/help         show these commands
Ctrl-C        stop the answer; at the prompt, clear the line
Ctrl-D        leave";

pub(crate) fn run(args: &ChatArgs, terminal: Terminal) -> Result<(), CliError> {
    let read = |path: &PathBuf| plan::read_picture(path, args.generate.exif);
    let pictures = args
        .images
        .iter()
        .map(read)
        .collect::<Result<Vec<Picture>, CliError>>()?;
    let model = plan::open_model(&args.model, &args.compute, Network::Allowed, terminal)?;
    let mut conversation = Conversation {
        chat: Chat::new(&model),
        pictures,
        args,
        terminal,
    };
    if !io::stdin().is_terminal() {
        // Lines from a file or a pipe: no prompt, no editing.
        for line in io::stdin().lock().lines() {
            conversation.hear(&line.map_err(CliError::read("standard input"))?)?;
        }
        return Ok(());
    }
    terminal.note("/help shows the commands, Ctrl-D leaves");
    conversation.listen()
}

struct Conversation<'a> {
    chat: Chat,
    /// For the next question.
    pictures: Vec<Picture>,
    args: &'a ChatArgs,
    terminal: Terminal,
}

/// What a line in a conversation means.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Nothing,
    Image(&'a str),
    Reset,
    Help,
    Unknown(&'a str),
    Question(&'a str),
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Line<'a> {
        let line = line.trim();
        if line.is_empty() {
            return Line::Nothing;
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "/image" => Line::Image(rest.trim()),
            "/reset" => Line::Reset,
            "/help" => Line::Help,
            // A path or a fraction at the start of a question is no command.
            _ if word.starts_with('/') && word[1..].chars().all(|c| c.is_ascii_lowercase()) => {
                Line::Unknown(word)
            }
            _ => Line::Question(line),
        }
    }
}

impl Conversation<'_> {
    /// Reads lines with editing and history until Ctrl-D.
    fn listen(&mut self) -> Result<(), CliError> {
        let failed = |error: ReadlineError| CliError::Output(io::Error::other(error));
        let mut editor = DefaultEditor::new().map_err(failed)?;
        // A history that cannot be kept is no reason not to talk.
        let history = settings::folder().map(|folder| folder.join("history"));
        if let Some(file) = &history {
            let _ = editor.load_history(file);
        }
        let ended = loop {
            match editor.readline("> ") {
                Ok(line) => {
                    let _ = editor.add_history_entry(line.as_str());
                    self.hear(&line)?;
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break Ok(()),
                Err(error) => break Err(failed(error)),
            }
        };
        if let Some(file) = &history {
            let _ = file.parent().map(std::fs::create_dir_all);
            let _ = editor.save_history(file);
        }
        ended
    }

    /// Does what one line asks for. What goes wrong with one question does not end the talk.
    fn hear(&mut self, line: &str) -> Result<(), CliError> {
        match Line::parse(line) {
            Line::Nothing => {}
            Line::Image("") => self.complain("which picture? For example: /image photo.jpg"),
            Line::Image(path) => match plan::read_picture(Path::new(path), self.args.generate.exif)
            {
                Ok(picture) => self.pictures.push(picture),
                Err(error) => self.complain(&chain(&error)),
            },
            Line::Reset => {
                self.chat.reset();
                self.pictures.clear();
            }
            Line::Help => writeln!(io::stdout(), "{HELP}")?,
            Line::Unknown(word) => self.complain(&format!(
                "there is no command {word}; /help shows those that are"
            )),
            Line::Question(text) => return self.ask(text),
        }
        Ok(())
    }

    fn ask(&mut self, text: &str) -> Result<(), CliError> {
        let options = plan::generate_options(&self.args.generate, interrupt::stoppable());
        let mut out = io::stdout().lock();
        let mut written = Ok(());
        let mut waiting = Some(self.terminal.waiting("looking"));
        let answer = self.chat.ask(&self.pictures, text, &options, &mut |text| {
            waiting = None;
            written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            if written.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        drop(waiting);
        interrupt::done();
        written?;
        match answer {
            Ok(answer) => {
                writeln!(out)?;
                // A question that was stopped before its answer began is not part of the talk.
                if answer.finish_reason != FinishReason::Cancelled || !answer.ids.is_empty() {
                    self.pictures.clear();
                }
            }
            Err(error) => self.complain(&chain(&error)),
        }
        Ok(())
    }

    fn complain(&self, message: &str) {
        self.terminal.error(&CliError::Failed(message.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_questions() {
        for (line, meaning) in [
            ("  ", Line::Nothing),
            ("/image  my photo.jpg ", Line::Image("my photo.jpg")),
            ("/image", Line::Image("")),
            ("/reset", Line::Reset),
            ("/help", Line::Help),
            ("/quit", Line::Unknown("/quit")),
            ("/etc/hosts is what?", Line::Question("/etc/hosts is what?")),
            ("What is /image?", Line::Question("What is /image?")),
        ] {
            assert_eq!(Line::parse(line), meaning, "{line:?}");
        }
    }
}
