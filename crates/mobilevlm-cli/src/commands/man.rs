//! `mobilevlm man`: the manual page, made from the definition of the command line.

use std::io::{self, Write};

use crate::error::CliError;

pub(crate) fn run() -> Result<(), CliError> {
    let mut page = Vec::new();
    let command = crate::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    // The verbs' own options follow, so that there is one page for all.
    for verb in command.get_subcommands() {
        let verb = verb
            .clone()
            .display_name(format!("mobilevlm {}", verb.get_name()));
        let man = clap_mangen::Man::new(verb);
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    let mut out = io::stdout().lock();
    out.write_all(&page)?;
    Ok(out.flush()?)
}
