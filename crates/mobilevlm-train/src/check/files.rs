use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use mobilevlm_checkpoint::{Access, Inventory, stored_tensors};
use mobilevlm_data::Message;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why something cannot be compared.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String);

impl<E: std::error::Error> From<E> for Wrong {
    fn from(error: E) -> Wrong {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Wrong(text)
    }
}

/// The folder of a check.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Folder {
        Folder {
            path: path.to_owned(),
        }
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Wrong> {
        let path = self.join(name);
        fs::read(&path).map_err(|error| Wrong(format!("{}: {error}", path.display())))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Wrong> {
        let file = self.read(name)?;
        serde_json::from_slice(&file).map_err(|error| self.wrong(name, error))
    }

    /// A JSON file of records, whose numbers can be [`Exact`].
    pub(super) fn record<T: DeserializeOwned>(&self, name: &str) -> Result<T, Wrong> {
        let file = quote_reals(&self.read(name)?);
        serde_json::from_slice(&file).map_err(|error| self.wrong(name, error))
    }

    /// Tensors under the names they are stored by; `None` if there is no such file.
    pub(super) fn tensors(&self, name: &str) -> Result<Option<Inventory>, Wrong> {
        let path = self.join(name);
        match path.is_file() {
            false => Ok(None),
            true => Ok(Some(
                stored_tensors(&path, Access::default())?
                    .into_iter()
                    .collect(),
            )),
        }
    }

    /// The names of the files, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, Wrong> {
        let wrong = |error| self.wrong("", error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(wrong)? {
            names.extend(entry.map_err(wrong)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn wrong(&self, name: &str, what: impl Display) -> Wrong {
        Wrong(format!("{}: {what}", self.join(name).display()))
    }
}

/// A number as the nearest float64, which learning rates need to be equal to the bit: serde_json
/// may give a neighbour of it, unless a feature is on that all other crates would get too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exact(pub(super) f64);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Whole(number) => Ok(Exact(number as f64)),
            Written::Text(text) => text.parse().map(Exact).map_err(serde::de::Error::custom),
        }
    }
}

/// Puts quotes around all numbers that are not whole.
fn quote_reals(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + json.len() / 8);
    let mut rest = json;
    while let Some(&first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => {
                let end = rest
                    .iter()
                    .position(|byte| !b"+-.eE0123456789".contains(byte));
                end.unwrap_or(rest.len())
            }
            _ => 1,
        };
        let (token, behind) = rest.split_at(length);
        let is_real = first != b'"' && token.iter().any(|byte| b".eE".contains(byte)) && length > 1;
        if is_real {
            out.push(b'"');
        }
        out.extend_from_slice(token);
        if is_real {
            out.push(b'"');
        }
        rest = behind;
    }
    out
}

/// Bytes of the string that `json` begins with, quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut is_escaped = false;
    for (place, &byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    json.len()
}

/// A file of cases.
#[derive(Deserialize)]
pub(super) struct Cases<T> {
    pub(super) cases: Vec<T>,
}

/// A row of a data file.
#[derive(Deserialize)]
pub(super) struct DataRow {
    pub(super) image: Option<String>,
    pub(super) conversations: Vec<Message>,
}

/// `trajectory-*.json`.
#[derive(Deserialize)]
pub(super) struct Trajectory {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) picture_mode: String,
    pub(super) accumulate: usize,
    pub(super) arguments: Vec<String>,
    pub(super) trained: Vec<String>,
    pub(super) groups: Vec<Group>,
    pub(super) steps: Vec<Step>,
    pub(super) gradient_norms_step_1: BTreeMap<String, Exact>,
    #[serde(rename = "final")]
    pub(super) end: BTreeMap<String, Summary>,
    #[serde(rename = "final_merged", default)]
    pub(super) merged: Option<BTreeMap<String, Summary>>,
    #[serde(default)]
    pub(super) target_modules: Option<Vec<String>>,
    pub(super) micro_batches: Vec<MicroBatch>,
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) lr: Exact,
    pub(super) weight_decay: Exact,
    pub(super) decays: bool,
    pub(super) betas: [Exact; 2],
    pub(super) eps: Exact,
    pub(super) parameters: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Step {
    pub(super) step: u64,
    pub(super) loss: Option<Exact>,
    pub(super) learning_rates: Vec<Exact>,
    pub(super) gradient_norm: Exact,
}

/// What is recorded of a tensor whose values may not be there.
#[derive(Deserialize)]
pub(super) struct Summary {
    pub(super) shape: Vec<usize>,
    pub(super) norm: Exact,
    pub(super) mean: Exact,
    pub(super) first: Vec<Exact>,
}

#[derive(Deserialize)]
pub(super) struct MicroBatch {
    pub(super) samples: Vec<usize>,
    pub(super) loss: Option<Exact>,
    pub(super) input_ids: Vec<Vec<i32>>,
    pub(super) labels: Vec<Vec<i32>>,
    pub(super) supervised: usize,
}

impl Trajectory {
    /// The value of an argument of upstream's command line.
    pub(super) fn argument(&self, name: &str) -> Option<&str> {
        let mut words = self.arguments.iter();
        words.find(|word| word.strip_prefix("--") == Some(name))?;
        words.next().map(String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Wrong> {
        let text = self.argument(name);
        let number = text.map(|text| {
            let parsed = text.parse();
            parsed.map_err(|_| Wrong(format!("--{name}: expected a number, found {text:?}")))
        });
        number.transpose()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.argument(name) == Some("True")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_are_read_to_the_bit() {
        let json = br#"{"a": [1e-3, -2, 0.0009903926402016151], "b": "1.5 \" 2.5", "c": null}"#;
        let quoted = String::from_utf8(quote_reals(json)).unwrap();
        let expected =
            r#"{"a": ["1e-3", -2, "0.0009903926402016151"], "b": "1.5 \" 2.5", "c": null}"#;
        assert_eq!(quoted, expected);
        let numbers: Vec<Exact> = serde_json::from_str(r#"["0.0009903926402016151", 3]"#).unwrap();
        assert_eq!(numbers, [Exact(0.0009903926402016151), Exact(3.0)]);
    }
}
