//! `mobilevlm data world`: the synthetic world as files, or one picture of it.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm_data::world::{Kind, World, WorldError, WorldOptions, png};

use crate::args::WorldArgs;
use crate::error::CliError;
use crate::interrupt;
use crate::terminal::Terminal;

pub(crate) fn run(args: &WorldArgs, terminal: Terminal) -> Result<(), CliError> {
    let world = World::new(WorldOptions {
        seed: args.seed,
        size: args.size,
        ..WorldOptions::default()
    })?;
    if let Some(file) = &args.preview {
        return preview(&world, args, file);
    }
    let (Some(out), Some(count)) = (&args.out, args.count) else {
        return Err(CliError::usage(
            "how many samples, and where to?",
            "mobilevlm data world --out world --count 1000",
        ));
    };
    let token = interrupt::stoppable();
    let mut bar = terminal.progress("drawing");
    let on_progress = &mut |done, total| {
        bar.show(done, total);
        match token.is_cancelled() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let indices = args.first..args.first.saturating_add(count);
    let written = world.write(out, args.split, args.kind, indices, on_progress);
    bar.finish();
    interrupt::done();
    match written {
        Ok(written) => Ok(writeln!(io::stdout(), "{}", written.samples.display())?),
        Err(WorldError::Stopped) => Err(CliError::Interrupted),
        Err(error) => Err(error.into()),
    }
}

/// Draws one picture into `file` and prints what is asked about it.
fn preview(world: &World, args: &WorldArgs, file: &Path) -> Result<(), CliError> {
    let kind = args.kind.unwrap_or(Kind::Conversation);
    let sample = world.sample_of(kind, args.split, args.first);
    let mut out = io::stdout().lock();
    match world.image(&sample) {
        Some(picture) => {
            if !args.force && file.exists() {
                let path = file.display();
                let message = format!("{path} is there already; `--force` replaces it");
                return Err(CliError::Failed(message));
            }
            let picture = png(&picture);
            mobilevlm_checkpoint::replace_file(file, |writer| writer.write_all(&picture))?;
            writeln!(out, "{}", file.display())?;
        }
        None => writeln!(out, "(samples of kind {kind} have no picture)")?,
    }
    for exchange in &sample.exchanges {
        writeln!(out, "\nQ: {}\nA: {}", exchange.question, exchange.answer)?;
    }
    Ok(())
}
