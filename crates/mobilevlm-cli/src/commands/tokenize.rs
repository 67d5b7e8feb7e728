//! `mobilevlm tokenize`: the tokens of a text.

use std::io::{self, Write};
use std::path::Path;

use mobilevlm_processor::Tokenizer;
use serde::Serialize;

use crate::args::TokenizeArgs;
use crate::error::CliError;
use crate::plan::{self, Network};
use crate::terminal::{Terminal, print_json};

#[derive(Serialize)]
struct Tokens<'a> {
    ids: &'a [u32],
    pieces: Vec<&'a str>,
}

pub(crate) fn run(args: &TokenizeArgs, terminal: Terminal) -> Result<(), CliError> {
    let found = plan::find_model(args.model.as_deref(), Network::Allowed, terminal)?;
    let tokenizer = tokenizer_of(&found.files()?.path)?;
    let ids = if args.control {
        tokenizer.encode(&args.text)
    } else {
        tokenizer.encode_literal(&args.text)
    };
    let pieces = ids
        .iter()
        .map(|&id| tokenizer.piece(id).unwrap_or_default())
        .collect();
    if args.json {
        return print_json(&Tokens { ids: &ids, pieces });
    }
    let mut out = io::stdout().lock();
    for (id, piece) in ids.iter().zip(pieces) {
        writeln!(out, "{id:6} {piece}")?;
    }
    Ok(out.flush()?)
}

/// The tokenizer alone: weights need not be there.
pub(crate) fn tokenizer_of(model: &Path) -> Result<Tokenizer, CliError> {
    let holds_its_own = model
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    let path = match model.is_dir() {
        true => model.join("tokenizer.model"),
        false if holds_its_own => model.to_owned(),
        false => model.with_file_name("tokenizer.model"),
    };
    Ok(mobilevlm::open_tokenizer(&path)?)
}
