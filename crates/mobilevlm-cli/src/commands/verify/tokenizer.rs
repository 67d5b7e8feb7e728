//! A tokenizer: text to ids and back, prompts with pictures, and text as it streams.

use std::io::{self, Write};
use std::path::Path;

use mobilevlm_processor::{PromptItem, Tokenizer};
use serde::{Deserialize, Serialize};

use super::files::{self, content};
use crate::error::CliError;

/// What one `cases*.json` records.
#[derive(Deserialize)]
struct Cases {
    /// The file of the vocabulary, in the same folder.
    model: String,
    /// Its pieces.
    vocab: Option<usize>,
    #[serde(default)]
    texts: Vec<Text>,
    #[serde(default)]
    prompts: Vec<Prompt>,
    #[serde(default)]
    decodes: Vec<Decode>,
}

/// A text. Where `sentencepiece_ids` are recorded, `ids` and `decoded` are upstream's: with BOS,
/// control tokens read. Where not, they are those of the SentencePiece library alone.
#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    decoded: String,
    decoded_with_special: Option<String>,
    sentencepiece_ids: Option<Vec<u32>>,
}

/// A prompt; -200 stands for a picture.
#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    input_ids: Vec<i64>,
}

/// Ids, and what is shown after each of them.
#[derive(Deserialize)]
struct Decode {
    ids: Vec<u32>,
    text: String,
    prefixes: Vec<String>,
}

/// What came out for the whole folder.
#[derive(Serialize)]
pub(super) struct Report {
    files: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    model: String,
    texts: usize,
    prompts: usize,
    decodes: usize,
    failures: usize,
}

/// Checks every `cases*.json` in `folder`.
pub(super) fn verify(folder: &Path, failures: &mut Vec<String>) -> Result<Report, CliError> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map_err(CliError::read(folder))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("cases") && name.ends_with(".json"))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(content(folder, "expected cases*.json, found none"));
    }
    let mut reports = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let cases: Cases = files::json(&path)?;
        let (texts, prompts, decodes) =
            (cases.texts.len(), cases.prompts.len(), cases.decodes.len());
        if texts + prompts + decodes == 0 {
            return Err(content(
                &path,
                "expected texts, prompts or decodes, found none",
            ));
        }
        let tokenizer = mobilevlm::open_tokenizer(&folder.join(&cases.model))?;
        let mut check = Check {
            file: &name,
            failures: Vec::new(),
        };
        check.all(&tokenizer, &cases);
        reports.push(FileReport {
            failures: check.failures.len(),
            file: name.clone(),
            model: cases.model,
            texts,
            prompts,
            decodes,
        });
        failures.append(&mut check.failures);
    }
    Ok(Report { files: reports })
}

/// One file of cases under way.
struct Check<'a> {
    file: &'a str,
    failures: Vec<String>,
}

impl Check<'_> {
    fn all(&mut self, tokenizer: &Tokenizer, cases: &Cases) {
        if let Some(vocab) = cases.vocab {
            self.equal(
                "pieces of the vocabulary",
                &cases.model,
                &tokenizer.vocab_size(),
                &vocab,
            );
        }
        for case in &cases.texts {
            self.text(tokenizer, case);
        }
        for case in &cases.prompts {
            let id = |item: &PromptItem| match item {
                PromptItem::Token(id) => i64::from(*id),
                PromptItem::Picture => -200,
            };
            let ids: Vec<i64> = tokenizer
                .encode_prompt(&case.prompt)
                .iter()
                .map(id)
                .collect();
            self.equal("ids of the prompt", &case.prompt, &ids, &case.input_ids);
        }
        for case in &cases.decodes {
            self.decode(tokenizer, case);
        }
    }

    fn text(&mut self, tokenizer: &Tokenizer, case: &Text) {
        let text = &case.text;
        let Some(pieces) = &case.sentencepiece_ids else {
            self.equal("ids of", text, &tokenizer.encode_pieces(text), &case.ids);
            self.equal(
                "text decoded from",
                text,
                &tokenizer.decode_pieces(&case.ids),
                &case.decoded,
            );
            return;
        };
        self.equal("ids of", text, &tokenizer.encode(text), &case.ids);
        self.equal(
            "ids of the library for",
            text,
            &tokenizer.encode_pieces(text),
            pieces,
        );
        self.equal(
            "text decoded from",
            text,
            &tokenizer.decode(&case.ids, true),
            &case.decoded,
        );
        if let Some(decoded) = &case.decoded_with_special {
            self.equal(
                "text with control tokens decoded from",
                text,
                &tokenizer.decode(&case.ids, false),
                decoded,
            );
        }
    }

    fn decode(&mut self, tokenizer: &Tokenizer, case: &Decode) {
        self.equal(
            "text of the ids",
            &case.ids,
            &tokenizer.decode(&case.ids, true),
            &case.text,
        );
        let prefix = |end: usize| tokenizer.decode(&case.ids[..end], true);
        let prefixes: Vec<String> = (1..=case.ids.len()).map(prefix).collect();
        self.equal("prefixes of the ids", &case.ids, &prefixes, &case.prefixes);
        let mut stream = tokenizer.decode_stream();
        let mut shown: String = case.ids.iter().filter_map(|&id| stream.push(id)).collect();
        shown.extend(stream.finish());
        self.equal("text streamed from the ids", &case.ids, &shown, &case.text);
    }

    fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        case: &impl std::fmt::Debug,
        computed: &T,
        recorded: &T,
    ) {
        if computed != recorded {
            let case = short(case);
            let (computed, recorded) = (short(computed), short(recorded));
            self.failures.push(format!(
                "{}: {what} {case}: {computed}, recorded is {recorded}",
                self.file
            ));
        }
    }
}

/// As Rust writes it, at most 200 characters.
fn short(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        for file in &self.files {
            let FileReport {
                file,
                model,
                texts,
                prompts,
                decodes,
                failures,
            } = file;
            writeln!(
                out,
                "{file} with {model}: {texts} texts, {prompts} prompts, {decodes} decodings; {failures} differ"
            )?;
        }
        writeln!(out)
    }
}
