//! Reads GGUF files, versions 2 and 3: their keys, their tensors and their vocabulary.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md> defines the format. Values stay
//! where they are in the file: a [`Value`] of text or of an array is a range of it. Every count is
//! compared with what is left of the file before anything is allocated for it.

mod cursor;
pub(crate) mod keys;
pub(crate) mod open;
mod tensors;
mod vocabulary;
pub(crate) mod write;

pub use vocabulary::{pieces, vocabulary};

use std::collections::HashMap;
use std::ops::Range;

use cursor::Cursor;

/// The most keys, and the most tensors, that are read.
const COUNT_LIMIT: u64 = 1 << 16;

/// The longest name of a key or tensor, in bytes. The format's own limits.
const KEY_LIMIT: u64 = (1 << 16) - 1;
const NAME_LIMIT: u64 = 64;

/// The most sizes of one tensor (ggml: `GGML_MAX_DIMS`).
const RANK_LIMIT: u32 = 4;

/// The deepest arrays of arrays. None are known.
const DEPTH_LIMIT: usize = 4;

/// What is wrong with a GGUF file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file does not begin as the format asks.
    #[error("expected a GGUF file of version 2 or 3, little-endian, found {found}")]
    Unknown {
        /// What is there.
        found: String,
    },
    /// The file ends where more was needed.
    #[error(
        "{what}: {needed} bytes needed at byte {at}, the file ends at {end}: it is cut short or damaged"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// Bytes needed there.
        needed: u64,
        /// Where the file ends.
        end: usize,
    },
    /// A number or text is not what the format asks for.
    #[error("{what} at byte {at}: expected {expected}, found {found}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A key or tensor occurs twice.
    #[error("the name {name:?} occurs twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A tensor is not where or what it can be.
    #[error("tensor {name:?}: expected {expected}, found {found}")]
    Tensor {
        /// The name in the file.
        name: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A key has a value of another kind, or there is no such key.
    #[error("{key}: expected {expected}, found {found}")]
    Key {
        /// The key.
        key: String,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}

/// A type of a key's value; the numbers are the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// 0
    U8,
    /// 1
    I8,
    /// 2
    U16,
    /// 3
    I16,
    /// 4
    U32,
    /// 5
    I32,
    /// 6
    F32,
    /// 7
    Bool,
    /// 8
    Text,
    /// 9
    Array,
    /// 10
    U64,
    /// 11
    I64,
    /// 12
    F64,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// Bytes of a value; `None` where they differ from value to value.
    fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number of any width.
    Whole(i128),
    /// A number with a fraction.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// A text: these bytes of the file, not checked to be UTF-8.
    Text(Range<usize>),
    /// So many values of one type: these bytes of the file.
    Array(Kind, usize, Range<usize>),
}

/// A tensor as the file lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The name in the file.
    pub name: String,
    /// Sizes, fastest first: a matrix `[rows, columns]` is listed as columns, rows.
    pub dimensions: Vec<u64>,
    /// The storage format, by ggml's number (0 F32, 1 F16, 12 Q4_K, 30 BF16, …).
    pub format: u32,
    /// Where it begins in the file.
    pub start: u64,
}

/// The keys and tensors of a file.
#[derive(Clone, Debug)]
pub struct Gguf {
    keys: HashMap<String, Value>,
    tensors: Vec<Info>,
    /// What every tensor's place is a multiple of; a power of two.
    alignment: u64,
}

/// Parses keys and tensor list of a whole file.
///
/// # Errors
/// [`GgufError`] names the first thing that is wrong.
pub fn parse(file: &[u8]) -> Result<Gguf, GgufError> {
    let mut cursor = Cursor::new(file);
    let magic: [u8; 4] = cursor.bytes("the file's beginning")?;
    if magic != *b"GGUF" {
        return Err(GgufError::Unknown {
            found: format!("a file that begins with {magic:02x?}"),
        });
    }
    let version = cursor.u32("the version")?;
    if !(2..=3).contains(&version) {
        return Err(GgufError::Unknown {
            found: format!("version {version:#x}"),
        });
    }
    // A key takes at least 13 bytes, a tensor at least 24; a count beyond that is a lie.
    let tensors = cursor.count("the number of tensors", 24)?;
    let keys = cursor.count("the number of keys", 13)?;

    let mut gguf = Gguf {
        // The file has room for so many; growing in steps would hold two tables at a time.
        keys: HashMap::with_capacity(keys as usize),
        tensors: Vec::new(),
        alignment: 32,
    };
    for _ in 0..keys {
        let name = cursor.name("a key", KEY_LIMIT)?;
        let kind = cursor.kind()?;
        let value = cursor.value(kind)?;
        if gguf.keys.insert(name.clone(), value).is_some() {
            return Err(GgufError::Twice { name });
        }
    }
    let mut names = HashMap::new();
    for _ in 0..tensors {
        let info = cursor.tensor()?;
        if names.insert(info.name.clone(), ()).is_some() {
            return Err(GgufError::Twice { name: info.name });
        }
        gguf.tensors.push(info);
    }
    gguf.place_tensors(cursor.at(), file.len() as u64)?;
    Ok(gguf)
}

impl Gguf {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)
    }

    /// Every key with its value, in no order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.keys.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The tensors, in the order of the file.
    pub fn tensors(&self) -> &[Info] {
        &self.tensors
    }

    /// Counts the tensors' offsets from the beginning of the file.
    fn place_tensors(&mut self, header: usize, file: u64) -> Result<(), GgufError> {
        let fits = |number: i128| (1..=1 << 20).contains(&number) && number.count_ones() == 1;
        match self.get("general.alignment") {
            None => {}
            Some(&Value::Whole(number)) if fits(number) => self.alignment = number as u64,
            Some(other) => {
                let (expected, found) = ("a power of two from 1 to 1048576", format!("{other:?}"));
                return Err(GgufError::Key {
                    key: "general.alignment".to_owned(),
                    expected,
                    found,
                });
            }
        }
        let base = (header as u64).next_multiple_of(self.alignment);
        for info in &mut self.tensors {
            let start = base.checked_add(info.start).filter(|&start| start <= file);
            info.start = start.ok_or_else(|| GgufError::Malformed {
                what: "a tensor's place",
                at: header,
                expected: format!("a place in the file of {file} bytes"),
                found: format!("{:?} at {} behind {base}", info.name, info.start),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
