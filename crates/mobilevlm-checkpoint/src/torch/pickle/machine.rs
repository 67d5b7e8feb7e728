//! The machine itself: its stack, its memo, and what each instruction does.

use std::collections::HashMap;
use std::ops::Range;

use super::super::{TorchError, take};
use super::{Callable, Pickle, Storage, TensorRecord, Value};
use crate::safetensors::RANK_LIMIT;

/// Bytes that a program may allocate beyond its own length. A tensor takes some 2 kB of it.
const ALLOWANCE: usize = 5 << 20;

/// Values on the stack. Python stores dictionaries in runs of 1000 pairs.
const STACK_LIMIT: usize = 1 << 14;

/// A program that is being run.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// The next byte.
    at: usize,
    /// Bytes that may still be allocated.
    allowance: usize,
    stack: Vec<Value>,
    /// Heights of the stack at which groups begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    made: Pickle,
}

impl<'a> Machine<'a> {
    /// A machine at the beginning of the program at `range.start`.
    pub(super) fn new(file: &'a [u8], range: Range<usize>) -> Self {
        Self {
            bytes: &file[..range.end],
            at: range.start,
            allowance: ALLOWANCE + range.len().min(ALLOWANCE),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            made: Pickle::default(),
        }
    }

    /// Runs the program to its end: what it made, and where it ended.
    pub(super) fn run(mut self) -> Result<(Pickle, usize), TorchError> {
        while !self.step()? {}
        self.made.root = self.pop()?;
        Ok((self.made, self.at))
    }

    /// Runs one instruction; true where it was the last.
    fn step(&mut self) -> Result<bool, TorchError> {
        let start = self.at;
        let [opcode] = self.read()?;
        match opcode {
            // PROTO and FRAME say how the program is written, which its instructions say too.
            0x80 => {
                let [version] = self.read()?;
                if version > 5 {
                    return Err(self.malformed(start, "a protocol up to 5", version.to_string()));
                }
            }
            0x95 => drop(self.read::<8>()?),
            b'.' => return Ok(true),

            b'(' => {
                if self.marks.len() >= STACK_LIMIT {
                    return Err(TorchError::Limit {
                        what: "marks of a pickle",
                        limit: STACK_LIMIT,
                    });
                }
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),

            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let [number] = self.read()?;
                self.push(Value::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.read()?);
                self.push(Value::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.read()?);
                self.push(Value::Int(number.into()))?;
            }
            0x8a => self.long(start)?,
            b'G' => {
                self.read::<8>()?;
                self.push(Value::Real)?;
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.read()?);
                self.text(start, length.into())?;
            }
            0x8c | b'U' => {
                let [length] = self.read()?;
                self.text(start, length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.read()?);
                self.text(start, length)?;
            }

            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let length = self.group()?;
                self.tuple(length)?;
            }
            b']' => {
                let list = self.container(Vec::new())?;
                self.push(Value::List(list))?;
            }
            b'}' => {
                let dictionary = self.container(Vec::new())?;
                self.push(Value::Dict(dictionary))?;
            }
            b'a' => self.extend(start, 1, false)?,
            b'e' => {
                let length = self.group()?;
                self.extend(start, length, false)?;
            }
            b's' => self.extend(start, 2, true)?,
            b'u' => {
                let length = self.group()?;
                self.extend(start, length, true)?;
            }

            b'q' => {
                let [key] = self.read()?;
                self.memorise(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.read()?);
                self.memorise(key)?;
            }
            // At most one entry per byte of the program, and the budget ends long before 2³².
            0x94 => self.memorise(self.memo.len() as u32)?,
            b'h' => {
                let [key] = self.read()?;
                self.recall(start, key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.read()?);
                self.recall(start, key)?;
            }

            b'c' => {
                let module = self.line(start)?;
                let name = self.line(start)?;
                self.global(start, &module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.made.text(module), self.made.text(name)) {
                    (Some(module), Some(name)) => {
                        let (module, name) = (module.to_owned(), name.to_owned());
                        self.global(start, &module, &name)?;
                    }
                    _ => return Err(self.malformed(start, "two texts", module.describe())),
                }
            }
            b'Q' => self.persistent(start)?,
            b'R' => self.call(start)?,
            b'b' => {
                // The state of an OrderedDict is `_metadata`: versions of modules, never read.
                self.pop()?;
                match self.stack.last() {
                    Some(Value::Dict(_)) => {}
                    other => {
                        let found = other.map_or("nothing".to_owned(), |value| value.describe());
                        return Err(self.malformed(
                            start,
                            "a dictionary to set the state of",
                            found,
                        ));
                    }
                }
            }
            _ => return Err(TorchError::Opcode { at: start, opcode }),
        }
        Ok(false)
    }

    /// A number of up to eight bytes, two's complement.
    fn long(&mut self, start: usize) -> Result<(), TorchError> {
        let [length] = self.read()?;
        if length > 8 {
            return Err(self.malformed(
                start,
                "a number of at most 8 bytes",
                format!("{length} bytes"),
            ));
        }
        let mut number = 0;
        let mut bits = 0;
        for _ in 0..length {
            let [byte] = self.read()?;
            number |= i64::from(byte) << bits;
            bits += 8;
        }
        // Extends the sign; a number without bytes is 0.
        let unused = 64 - bits;
        self.push(Value::Int(if bits == 0 {
            0
        } else {
            number << unused >> unused
        }))
    }

    fn text(&mut self, start: usize, length: u64) -> Result<(), TorchError> {
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length));
        let bytes =
            end.and_then(|end| self.bytes.get(self.at..end))
                .ok_or(TorchError::Truncated {
                    what: "a text of a pickle",
                    at: self.at,
                    needed: length,
                    end: self.bytes.len(),
                })?;
        self.allowance = spend(self.allowance, 2 * size_of::<String>() + bytes.len())?;
        // The copy is checked, not the file, which somebody might change.
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|error| self.malformed(start, "UTF-8", error.utf8_error().to_string()))?;
        self.at += text.len();
        self.made.texts.push(text);
        self.push(Value::Text(self.made.texts.len() - 1))
    }

    /// The text up to the next line break.
    fn line(&mut self, start: usize) -> Result<String, TorchError> {
        // No allowed name is longer than 25 bytes.
        let rest = &self.bytes[self.at..self.bytes.len().min(self.at + 200)];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let Some(end) = end else {
            return Err(self.malformed(
                start,
                "a name of at most 200 bytes",
                "a longer one".to_owned(),
            ));
        };
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    fn global(&mut self, start: usize, module: &str, name: &str) -> Result<(), TorchError> {
        match Callable::from_name(module, name) {
            Some(callable) => self.push(Value::Callable(callable)),
            None => {
                let name = format!("{module}.{name}").chars().take(200).collect();
                Err(TorchError::Global { at: start, name })
            }
        }
    }

    /// A reference to a storage: `('storage', type, key, device, numbers)`, and before torch 1.6
    /// a sixth that says which part of another storage it is, None in all but the oldest files.
    fn persistent(&mut self, start: usize) -> Result<(), TorchError> {
        let value = self.pop()?;
        let arguments = self.arguments(value);
        let expected = "('storage', type, key, device, numbers)";
        let (&[
            kind,
            Value::Callable(Callable::StorageType(dtype)),
            key,
            _,
            Value::Int(elements),
        ]
        | &[
            kind,
            Value::Callable(Callable::StorageType(dtype)),
            key,
            _,
            Value::Int(elements),
            Value::None,
        ]) = arguments
        else {
            return Err(self.malformed(start, expected, value.describe()));
        };
        let (Some("storage"), Some(key)) = (self.made.text(kind), self.made.text(key)) else {
            return Err(self.malformed(start, expected, value.describe()));
        };
        let key = key.to_owned();
        let Ok(elements) = usize::try_from(elements) else {
            return Err(self.malformed(start, "a number of numbers", elements.to_string()));
        };
        self.allowance = spend(self.allowance, 2 * size_of::<Storage>() + key.len())?;
        self.made.storages.push(Storage {
            key,
            dtype,
            elements,
        });
        self.push(Value::Storage(self.made.storages.len() - 1))
    }

    /// Notes down what Python would call.
    fn call(&mut self, start: usize) -> Result<(), TorchError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let result = match (callable, self.arguments(arguments)) {
            (Value::Callable(Callable::OrderedDict), []) => {
                Value::Dict(self.container(Vec::new())?)
            }
            (Value::Callable(Callable::RebuildParameter), &[tensor @ Value::Tensor(_), ..]) => {
                tensor
            }
            (Value::Callable(Callable::RebuildTensor), &[storage, offset, shape, strides, ..]) => {
                self.tensor(start, [storage, offset, shape, strides])?
            }
            _ => {
                let found = format!("{callable:?} with {}", arguments.describe());
                return Err(self.malformed(start, "a function with its arguments", found));
            }
        };
        self.push(result)
    }

    fn tensor(&mut self, start: usize, arguments: [Value; 4]) -> Result<Value, TorchError> {
        let [storage, offset, shape, strides] = arguments;
        let (Value::Storage(storage), Value::Int(offset)) = (storage, offset) else {
            return Err(self.malformed(start, "a storage and an offset", storage.describe()));
        };
        let offset = usize::try_from(offset)
            .map_err(|_| self.malformed(start, "an offset of at least 0", offset.to_string()))?;
        let (shape, strides) = (self.sizes(start, shape)?, self.sizes(start, strides)?);
        self.allowance = spend(
            self.allowance,
            2 * size_of::<TensorRecord>() + 16 * shape.len(),
        )?;
        self.made.tensors.push(TensorRecord {
            storage,
            offset,
            shape,
            strides,
        });
        Ok(Value::Tensor(self.made.tensors.len() - 1))
    }

    /// A tuple of sizes.
    fn sizes(&self, start: usize, value: Value) -> Result<Vec<usize>, TorchError> {
        let items = match value {
            Value::Tuple(index) => &self.made.items[index],
            other => return Err(self.malformed(start, "a tuple of sizes", other.describe())),
        };
        if items.len() > RANK_LIMIT {
            return Err(TorchError::Limit {
                what: "sizes of a tensor",
                limit: RANK_LIMIT,
            });
        }
        let size = |value: &Value| match value {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let sizes: Option<Vec<usize>> = items.iter().map(size).collect();
        sizes.ok_or_else(|| self.malformed(start, "sizes of at least 0", format!("{items:?}")))
    }

    /// The contents of a tuple, or nothing.
    fn arguments(&self, value: Value) -> &[Value] {
        match value {
            Value::Tuple(index) => &self.made.items[index],
            _ => &[],
        }
    }

    /// Makes a tuple of the topmost values.
    fn tuple(&mut self, length: usize) -> Result<(), TorchError> {
        let first = self
            .stack
            .len()
            .checked_sub(length)
            .filter(|&first| first >= self.floor());
        let first = first.ok_or_else(|| self.empty())?;
        let items = self.stack.drain(first..).collect();
        let tuple = self.container(items)?;
        self.push(Value::Tuple(tuple))
    }

    /// Moves the topmost values into the container below them.
    fn extend(&mut self, start: usize, length: usize, pairs: bool) -> Result<(), TorchError> {
        let first = self
            .stack
            .len()
            .checked_sub(length)
            .filter(|&first| first > self.floor());
        let first = first.ok_or_else(|| self.empty())?;
        let container = match (self.stack[first - 1], pairs) {
            (Value::List(index), false) => index,
            (Value::Dict(index), true) if length.is_multiple_of(2) => index,
            (other, _) => {
                return Err(self.malformed(start, "a container for the values", other.describe()));
            }
        };
        self.allowance = spend(self.allowance, 2 * length * size_of::<Value>())?;
        self.made.items[container].extend(self.stack.drain(first..));
        Ok(())
    }

    fn container(&mut self, items: Vec<Value>) -> Result<usize, TorchError> {
        let bytes = 2 * size_of::<Vec<Value>>() + 2 * items.len() * size_of::<Value>();
        self.allowance = spend(self.allowance, bytes)?;
        self.made.items.push(items);
        Ok(self.made.items.len() - 1)
    }

    fn memorise(&mut self, key: u32) -> Result<(), TorchError> {
        let value = *self.stack.last().ok_or_else(|| self.empty())?;
        if self.memo.insert(key, value).is_none() {
            self.allowance = spend(self.allowance, 3 * size_of::<(u32, Value)>())?;
        }
        Ok(())
    }

    fn recall(&mut self, start: usize, key: u32) -> Result<(), TorchError> {
        match self.memo.get(&key) {
            Some(&value) => self.push(value),
            None => {
                Err(self.malformed(start, "a value that was memorised", format!("number {key}")))
            }
        }
    }

    /// How many values lie above the last mark, which is removed.
    fn group(&mut self) -> Result<usize, TorchError> {
        let mark = self.marks.pop().ok_or_else(|| self.empty())?;
        Ok(self.stack.len() - mark)
    }

    fn push(&mut self, value: Value) -> Result<(), TorchError> {
        if self.stack.len() >= STACK_LIMIT {
            return Err(TorchError::Limit {
                what: "values on a pickle's stack",
                limit: STACK_LIMIT,
            });
        }
        self.stack.push(value);
        Ok(())
    }

    /// Takes the topmost value. One below a mark belongs to an outer group and stays.
    fn pop(&mut self) -> Result<Value, TorchError> {
        if self.stack.len() <= self.floor() {
            return Err(self.empty());
        }
        self.stack.pop().ok_or_else(|| self.empty())
    }

    /// The height of the stack below which nothing may be taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let bytes = take("a pickle", self.bytes, self.at)?;
        self.at += N;
        Ok(bytes)
    }

    fn empty(&self) -> TorchError {
        self.malformed(self.at, "more values on the stack", "too few".to_owned())
    }

    fn malformed(&self, at: usize, expected: &'static str, found: String) -> TorchError {
        TorchError::Malformed {
            what: "a pickle",
            at,
            expected,
            found,
        }
    }
}

/// What is left of an allowance.
fn spend(allowance: usize, bytes: usize) -> Result<usize, TorchError> {
    let limit = TorchError::Limit {
        what: "bytes that a pickle allocates",
        limit: 2 * ALLOWANCE,
    };
    allowance.checked_sub(bytes).ok_or(limit)
}
