//! Reads keys of a JSON object with bounds, and words the errors.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{CONFIG_LIMIT, ConfigError};

/// Parses one configuration file.
pub(super) fn parse(file: &'static str, text: &[u8]) -> Result<Value, ConfigError> {
    if text.len() > CONFIG_LIMIT {
        return Err(ConfigError::TooLong {
            file,
            limit: CONFIG_LIMIT,
            found: text.len(),
        });
    }
    serde_json::from_slice(text).map_err(|source| ConfigError::Json { file, source })
}

/// An object of a configuration file. A key whose value is `null` counts as absent, as it does in
/// Python's configurations.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    file: &'static str,
    path: String,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The outermost object of a file.
    pub(super) fn new(file: &'static str, json: &'a Value) -> Result<Self, ConfigError> {
        match json {
            Value::Object(object) => Ok(Self {
                file,
                path: String::new(),
                object,
            }),
            other => Err(ConfigError::Value {
                file,
                key: "the file".to_owned(),
                expected: "an object".to_owned(),
                found: show(other),
            }),
        }
    }

    /// An error about `key`.
    pub(super) fn wrong(
        &self,
        key: &str,
        expected: impl Display,
        found: impl Display,
    ) -> ConfigError {
        ConfigError::Value {
            file: self.file,
            key: format!("{}{key}", self.path),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn object(&self, key: &str) -> Result<Option<Self>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self {
                file: self.file,
                path: format!("{}{key}.", self.path),
                object,
            })),
            Some(other) => Err(self.wrong(key, "an object", show(other))),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", show(other))),
        }
    }

    /// The first text of a list of texts.
    pub(super) fn first_text(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(list.first().and_then(Value::as_str)),
            Some(other) => Err(self.wrong(key, "a list of texts", show(other))),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, "true or false", show(other))),
        }
    }

    /// A whole number within `bounds`.
    pub(super) fn whole(
        &self,
        key: &str,
        bounds: RangeInclusive<usize>,
    ) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let number = value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let expected =
                    format!("a whole number from {} to {}", bounds.start(), bounds.end());
                Err(self.wrong(key, expected, show(value)))
            }
        }
    }

    /// A whole number that may be negative.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "a whole number", show(value))),
            },
        }
    }

    /// A number within `bounds`.
    pub(super) fn real(
        &self,
        key: &str,
        bounds: RangeInclusive<f64>,
    ) -> Result<Option<f32>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_f64().filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number as f32)),
            None => {
                let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
                Err(self.wrong(key, expected, show(value)))
            }
        }
    }

    /// The id of a token; of a list of ids the first.
    pub(super) fn token(&self, key: &str, vocab: usize) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let first = match value {
            Value::Array(list) => list.first().unwrap_or(value),
            _ => value,
        };
        match first.as_u64().filter(|&id| id < vocab as u64) {
            Some(id) => Ok(Some(id as u32)),
            None => Err(self.wrong(key, format!("an id below {vocab}"), show(value))),
        }
    }
}

/// A value as JSON, cut where it is long.
pub(super) fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
