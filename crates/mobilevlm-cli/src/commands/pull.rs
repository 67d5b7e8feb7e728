//! `mobilevlm pull`: a model from the hub into the cache.

use std::io::{self, Write};
use std::ops::ControlFlow;

use mobilevlm::hub::ModelId;

use crate::args::PullArgs;
use crate::error::CliError;
use crate::plan::{Network, hub};
use crate::terminal::Terminal;

pub(crate) fn run(args: &PullArgs, terminal: Terminal) -> Result<(), CliError> {
    let id: ModelId = args.id.parse().map_err(|error: mobilevlm::hub::HubError| {
        CliError::usage(error.to_string(), "mobilevlm pull mtgv/MobileVLM_V2-1.7B")
    })?;
    let hub = hub(Network::Allowed)?;
    let mut download = terminal.download();
    let path = hub.pull(&id, &mut |event| {
        download.show(event);
        ControlFlow::Continue(())
    });
    download.finish();
    writeln!(io::stdout(), "{}", path?.display())?;
    Ok(())
}
