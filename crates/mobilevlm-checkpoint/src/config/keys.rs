//! Reads keys of a GGUF file with bounds, and words the errors.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::ConfigError;
use crate::gguf::{Gguf, Kind, Value, keys};

/// The most numbers of a list.
const LIST_LIMIT: usize = 1 << 10;

/// The most blocks of a tower or a language model.
const BLOCK_LIMIT: usize = 1 << 10;

/// The keys of one file.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    /// What messages call the file.
    name: &'static str,
    file: &'a [u8],
    gguf: &'a Gguf,
    /// Whether the file is one of a pair, whose keys are llama.cpp's.
    pair: bool,
}

impl<'a> Keys<'a> {
    /// The keys of a whole model's file.
    pub(crate) fn new(file: &'a [u8], gguf: &'a Gguf) -> Self {
        Self {
            name: "keys",
            file,
            gguf,
            pair: false,
        }
    }

    /// The keys of one file of a pair, asked for by the names that a whole model's file has.
    pub(crate) fn of_pair(name: &'static str, file: &'a [u8], gguf: &'a Gguf) -> Self {
        Self {
            name,
            file,
            gguf,
            pair: true,
        }
    }

    /// Whether the file has a tensor of this name.
    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.gguf.tensors().iter().any(|info| info.name == name)
    }

    /// How many blocks a model in this file can have: each has tensors of its own. A larger number
    /// is one message and not thousands of missing tensors.
    pub(super) fn most_blocks(&self) -> usize {
        self.gguf.tensors().len().clamp(1, BLOCK_LIMIT)
    }

    /// The key's value, and what the file calls the key.
    fn find(&self, key: &'static str) -> (Cow<'static, str>, Option<&'a Value>) {
        let theirs = self.pair.then(|| keys::in_pair(key)).flatten();
        match theirs {
            Some(theirs) => {
                let value = self.gguf.get(&theirs).or_else(|| self.gguf.get(key));
                (theirs.into(), value)
            }
            None => (key.into(), self.gguf.get(key)),
        }
    }

    /// An error about `key`.
    pub(super) fn wrong(
        &self,
        key: &'static str,
        expected: impl Display,
        found: impl Display,
    ) -> ConfigError {
        ConfigError::Value {
            file: self.name,
            key: self.find(key).0.into_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// The value of a key that has no default.
    pub(super) fn needed<T>(
        &self,
        key: &'static str,
        value: Option<T>,
        expected: &str,
    ) -> Result<T, ConfigError> {
        value.ok_or_else(|| self.wrong(key, expected, "no such key"))
    }

    /// A whole number of any width, within `bounds`.
    pub(super) fn whole(
        &self,
        key: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Result<Option<usize>, ConfigError> {
        let fits = |number: i128| {
            usize::try_from(number)
                .ok()
                .filter(|number| bounds.contains(number))
        };
        let expected = || format!("a whole number from {} to {}", bounds.start(), bounds.end());
        match self.find(key).1 {
            None => Ok(None),
            Some(value) => match value {
                Value::Whole(number) => fits(*number),
                _ => None,
            }
            .map(Some)
            .ok_or_else(|| self.wrong(key, expected(), self.show(value))),
        }
    }

    /// A whole number that has no default.
    pub(super) fn size(
        &self,
        key: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Result<usize, ConfigError> {
        let value = self.whole(key, bounds)?;
        self.needed(key, value, "a whole number")
    }

    /// How many values a list has that has no default.
    pub(super) fn size_of_list(
        &self,
        key: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Result<usize, ConfigError> {
        let value = self.find(key).1;
        match value {
            Some(&Value::Array(_, count, _)) if bounds.contains(&count) => Ok(count),
            _ => {
                let expected = format!("{} to {} values", bounds.start(), bounds.end());
                let found = value.map_or("no such key".to_owned(), |value| self.show(value));
                Err(self.wrong(key, expected, found))
            }
        }
    }

    /// A number within `bounds`.
    pub(super) fn real(
        &self,
        key: &'static str,
        bounds: RangeInclusive<f64>,
    ) -> Result<Option<f32>, ConfigError> {
        let Some(value) = self.find(key).1 else {
            return Ok(None);
        };
        let number = match value {
            Value::Real(number) => Some(*number),
            Value::Whole(number) => Some(*number as f64),
            _ => None,
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number as f32)),
            None => {
                let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
                Err(self.wrong(key, expected, self.show(value)))
            }
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.find(key).1 {
            None => Ok(None),
            Some(&Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, "true or false", self.show(other))),
        }
    }

    pub(crate) fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.find(key).1 else {
            return Ok(None);
        };
        let bytes = match value {
            Value::Text(range) => self.file.get(range.clone()),
            _ => None,
        };
        // The copy is checked, not the file, which somebody might change.
        match bytes.map(|bytes| String::from_utf8(bytes.to_vec())) {
            Some(Ok(text)) => Ok(Some(text)),
            _ => Err(self.wrong(key, "a text in UTF-8", self.show(value))),
        }
    }

    /// A list of whole numbers of any width.
    pub(super) fn whole_list(&self, key: &'static str) -> Result<Option<Vec<i64>>, ConfigError> {
        let Some(value) = self.find(key).1 else {
            return Ok(None);
        };
        match self.list(value, whole) {
            Some(list) => Ok(Some(list)),
            None => {
                let expected = format!("a list of at most {LIST_LIMIT} whole numbers");
                Err(self.wrong(key, expected, self.show(value)))
            }
        }
    }

    /// A number for each channel, each from `least` to 10.
    pub(super) fn channels(
        &self,
        key: &'static str,
        least: f32,
    ) -> Result<Option<[f32; 3]>, ConfigError> {
        let Some(value) = self.find(key).1 else {
            return Ok(None);
        };
        let fits = |number: &f32| (least..=10.0).contains(number);
        match self.list(value, real).as_deref() {
            Some(&[red, green, blue]) if [red, green, blue].iter().all(fits) => {
                Ok(Some([red, green, blue]))
            }
            _ => {
                let expected = format!("three numbers from {least} to 10");
                Err(self.wrong(key, expected, self.show(value)))
            }
        }
    }

    /// The numbers of an array, each read by `number` from its own bytes.
    fn list<T>(&self, value: &Value, number: fn(Kind, &[u8]) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(kind, count, range) = value else {
            return None;
        };
        let bytes = self.file.get(range.clone())?;
        if *count > LIST_LIMIT {
            return None;
        }
        let size = bytes.len().checked_div(*count).unwrap_or(1).max(1);
        bytes
            .chunks(size)
            .map(|bytes| number(*kind, bytes))
            .collect()
    }

    /// A value for a message, cut where it is long.
    fn show(&self, value: &Value) -> String {
        let text = match value {
            Value::Whole(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Text(range) => {
                let bytes = self.file.get(range.clone()).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]);
                format!("{text:?}")
            }
            Value::Array(kind, count, _) => format!("{count} values of {kind:?}"),
        };
        match text.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

fn whole(kind: Kind, bytes: &[u8]) -> Option<i64> {
    match kind {
        Kind::U8 => Some(u8::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::I8 => Some(i8::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::U16 => Some(u16::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::I16 => Some(i16::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::U32 => Some(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::I32 => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::U64 => i64::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok(),
        Kind::I64 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

fn real(kind: Kind, bytes: &[u8]) -> Option<f32> {
    match kind {
        Kind::F32 => Some(f32::from_le_bytes(bytes.try_into().ok()?)),
        Kind::F64 => Some(f64::from_le_bytes(bytes.try_into().ok()?) as f32),
        _ => None,
    }
}
