//! Runs the part of the pickle machine that describes tensors.
//!
//! A pickle is a program for a stack machine. Python's may import and call anything; this one has
//! an allow-list of instructions and of names ([`Callable`]), and refuses everything else by its
//! name. Calling is replaced by noting down: the result of `_rebuild_tensor_v2` is a [`TensorRecord`].
//!
//! Values refer to one another by index, so that a program that puts a list into itself makes no
//! cycle of ownership, and nothing here recurses. What a program may allocate is a budget that is
//! used up.
//!
//! Python's `Lib/pickletools.py` defines the instructions.

mod machine;

use std::ops::Range;

use super::TorchError;
use crate::tensor::Dtype;

/// Runs the program that begins at `range.start` and returns what it made and where it ended.
///
/// All positions in errors count from the beginning of `file`.
pub(super) fn run(file: &[u8], range: Range<usize>) -> Result<(Pickle, usize), TorchError> {
    machine::Machine::new(file, range).run()
}

/// What a program made.
#[derive(Default)]
pub(super) struct Pickle {
    root: Value,
    texts: Vec<String>,
    /// Contents of tuples, lists and dictionaries; of these keys and values in turn.
    items: Vec<Vec<Value>>,
    storages: Vec<Storage>,
    tensors: Vec<TensorRecord>,
}

/// A stretch of numbers of one type, somewhere else in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    pub(super) elements: usize,
}

/// The arguments of `_rebuild_tensor_v2`, not yet compared with the storage.
pub(super) struct TensorRecord {
    storage: usize,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Pickle {
    /// The tensors of the dictionary that the program returned, by name.
    pub(super) fn state(&self) -> Result<impl Iterator<Item = (&str, &TensorRecord)>, TorchError> {
        let mut pairs = Vec::new();
        for pair in self.dictionary()? {
            match (self.text(pair[0]), pair[1]) {
                (Some(name), Value::Tensor(index)) => pairs.push((name, &self.tensors[index])),
                (name, _) => {
                    let name = name.unwrap_or("a key that is no text").to_owned();
                    return Err(TorchError::NoTensor { name });
                }
            }
        }
        Ok(pairs.into_iter())
    }

    /// The storage of a tensor.
    pub(super) fn storage(&self, tensor: &TensorRecord) -> &Storage {
        &self.storages[tensor.storage]
    }

    /// Every storage that the program named, as often as it named it.
    pub(super) fn storages(&self) -> &[Storage] {
        &self.storages
    }

    /// The truth value under `key` of the dictionary that the program returned.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let mut pairs = self.dictionary().ok()?;
        match pairs.find(|pair| self.text(pair[0]) == Some(key))?[1] {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The list of texts that the program returned.
    pub(super) fn texts(&self) -> Result<Vec<&str>, TorchError> {
        let texts = match self.root {
            Value::List(index) => self.items[index]
                .iter()
                .map(|&value| self.text(value))
                .collect(),
            _ => None,
        };
        texts.ok_or_else(|| self.wrong_root("a list of texts"))
    }

    fn dictionary(&self) -> Result<impl Iterator<Item = &[Value]>, TorchError> {
        match self.root {
            Value::Dict(index) => Ok(self.items[index].chunks_exact(2)),
            _ => Err(self.wrong_root("a dictionary")),
        }
    }

    fn wrong_root(&self, expected: &'static str) -> TorchError {
        TorchError::Malformed {
            what: "what the pickle makes",
            at: 0,
            expected,
            found: self.root.describe(),
        }
    }

    fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(index) => Some(&self.texts[index]),
            _ => None,
        }
    }
}

/// A value; those that hold others refer to them by index.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Value {
    #[default]
    None,
    Bool(bool),
    Int(i64),
    /// A float, which nothing here needs.
    Real,
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Callable(Callable),
    Storage(usize),
    Tensor(usize),
}

impl Value {
    fn describe(self) -> String {
        let name = match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(number) => return number.to_string(),
            Self::Real => "a float",
            Self::Text(_) => "a text",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Callable(_) => "a function or class",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        };
        name.to_owned()
    }
}

/// The names that a program may use.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Callable {
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch.FloatStorage` and its like, which are named and never called.
    StorageType(Dtype),
}

impl Callable {
    fn from_name(module: &str, name: &str) -> Option<Self> {
        let dtype = match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => return Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => return Some(Self::RebuildParameter),
            ("collections", "OrderedDict") => return Some(Self::OrderedDict),
            ("torch", "FloatStorage") => Dtype::F32,
            ("torch", "HalfStorage") => Dtype::F16,
            ("torch", "BFloat16Storage") => Dtype::BF16,
            ("torch", "DoubleStorage") => Dtype::F64,
            ("torch", "LongStorage") => Dtype::I64,
            ("torch", "IntStorage") => Dtype::I32,
            ("torch", "ShortStorage") => Dtype::I16,
            ("torch", "CharStorage") => Dtype::I8,
            ("torch", "ByteStorage") => Dtype::U8,
            ("torch", "BoolStorage") => Dtype::Bool,
            _ => return None,
        };
        Some(Self::StorageType(dtype))
    }
}
