//! What goes to the terminal: answers to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mobilevlm::hub::Event;

use crate::error::{CliError, chain};

/// A download that takes no longer shows nothing.
const SHOW_AFTER: Duration = Duration::from_secs(2);

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();

/// What this terminal wants to see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Print only what was asked for.
    pub(crate) quiet: bool,
}

impl Terminal {
    /// Tells of an error and what to do next. Colours appear only on a terminal without `NO_COLOR`.
    pub(crate) fn error(&self, error: &CliError) {
        let mut out = anstream::stderr().lock();
        // There is nowhere else to complain.
        let _ = writeln!(out, "{ERROR}error{ERROR:#}: {}", chain(error));
        if let Some(advice) = error.advice() {
            let _ = writeln!(out, "{NOTE}next{NOTE:#}: {advice}");
        }
    }

    /// Tells something that is good to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{NOTE}note{NOTE:#}: {text}");
        }
    }

    /// A bar for a download, or nothing where nobody looks.
    pub(crate) fn download(&self) -> Download {
        Download {
            shown: !self.quiet && io::stderr().is_terminal(),
            started: Instant::now(),
            bar: None,
            total: 0,
        }
    }
}

/// The progress of a download.
pub(crate) struct Download {
    shown: bool,
    started: Instant,
    bar: Option<ProgressBar>,
    total: u64,
}

impl Download {
    /// Shows an event of the hub.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        if let Event::Starts { total, .. } = event {
            self.finish();
            self.total = *total;
        }
        if !self.shown || self.started.elapsed() < SHOW_AFTER {
            return;
        }
        match event {
            Event::Starts { model, .. } => self.bar().set_message(model.to_string()),
            Event::Progress(progress) => {
                let bar = self.bar();
                bar.set_message(progress.file.to_owned());
                bar.set_position(progress.bytes);
            }
            Event::Waits { file } => {
                self.bar()
                    .set_message(format!("{file} (another process is fetching it)"));
            }
            _ => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&mut self) -> &ProgressBar {
        let total = self.total;
        self.bar.get_or_insert_with(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5));
            let form = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {msg}";
            bar.set_style(
                ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        })
    }
}

/// How far some work has come; shown on a terminal where it takes longer than two seconds.
pub(crate) struct Progress {
    what: &'static str,
    shown: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Terminal {
    /// A bar for work that is called `what`, or nothing where nobody looks.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        Progress {
            what,
            shown: !self.quiet && io::stderr().is_terminal(),
            started: Instant::now(),
            bar: None,
        }
    }
}

impl Progress {
    /// Shows that `done` of `total` is done.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        if !self.shown || self.started.elapsed() < SHOW_AFTER {
            return;
        }
        let (what, started) = (self.what, self.started);
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(5);
            let bar = ProgressBar::with_draw_target(Some(total), target)
                .with_elapsed(started.elapsed())
                .with_message(what);
            let form = "{bar:30} {percent}%, {per_sec}, {eta} left  {msg}";
            bar.set_style(
                ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        bar.set_position(done);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A line that says what is being done, if it takes longer than two seconds; gone when dropped.
pub(crate) struct Waiting(Option<ProgressBar>);

impl Terminal {
    /// Shows `what` on a terminal while the result is in scope.
    pub(crate) fn waiting(&self, what: &'static str) -> Waiting {
        if self.quiet || !io::stderr().is_terminal() {
            return Waiting(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let shown = bar.clone();
        std::thread::spawn(move || {
            std::thread::sleep(SHOW_AFTER);
            if !shown.is_finished() {
                shown.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
                shown.set_message(what);
                shown.enable_steady_tick(Duration::from_millis(200));
            }
        });
        Waiting(Some(bar))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

/// Writes one line of JSON to standard output.
///
/// # Errors
/// [`CliError::Output`] if it cannot be written.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
