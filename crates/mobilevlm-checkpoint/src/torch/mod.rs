//! Reads the tensors of files that `torch.save` wrote, without executing anything.
//!
//! Two formats exist. Since torch 1.6 a file is a ZIP archive of stored, uncompressed entries
//! (`zip.rs`): `data.pkl` describes the tensors, `data/KEY` holds the numbers of one storage. Before
//! that it is a row of pickles, followed by the storages (`legacy.rs`). In both the description is
//! a pickle, a program for a small machine that in Python may call any function; here it may call
//! the four that tensors need (`pickle.rs`).
//!
//! What a tensor is: a storage (numbers of one type), an offset, sizes, and strides.

mod legacy;
mod pickle;
mod strided;
mod zip;

pub(crate) use strided::row_major;

use std::collections::HashSet;
use std::ops::Range;

use crate::tensor::{Dtype, Entry};
use pickle::{Pickle, Storage};

/// What is wrong with a torch file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// Neither of the formats of `torch.save`.
    #[error(
        "expected a file that torch.save wrote (a ZIP archive or a row of pickles), found other bytes"
    )]
    Unknown,
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
        /// Where the bytes end.
        end: usize,
    },
    /// A number or a structure is not what the format asks for.
    #[error("{what} at byte {at}: expected {expected}, found {found}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// An archive's entry is absent.
    #[error("the archive has no entry {name:?}")]
    NoEntry {
        /// Its name.
        name: String,
    },
    /// An archive's entry is compressed or encrypted, which `torch.save` never does.
    #[error(
        "the archive's entry {name:?} is compressed or encrypted; torch.save stores entries as they are"
    )]
    Compressed {
        /// Its name.
        name: String,
    },
    /// The pickle has an instruction that tensors do not need.
    #[error(
        "pickle at byte {at}: instruction {opcode:#04x} is not allowed, because no tensor needs it"
    )]
    Opcode {
        /// Where, counted from the beginning of the file.
        at: usize,
        /// The instruction.
        opcode: u8,
    },
    /// The pickle names a function or class that tensors do not need.
    #[error("pickle at byte {at}: {name:?} is not allowed; nothing of the file is executed")]
    Global {
        /// Where, counted from the beginning of the file.
        at: usize,
        /// Module and name.
        name: String,
    },
    /// More of something than any model has.
    #[error("{what}: more than {limit}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A tensor does not fit its storage.
    #[error(
        "tensor {name:?}: {dtype} {shape:?} with strides {strides:?} at {offset} does not fit a storage of {storage} numbers"
    )]
    Outside {
        /// The tensor.
        name: String,
        /// The type of its numbers.
        dtype: Dtype,
        /// Its sizes.
        shape: Vec<usize>,
        /// Its steps.
        strides: Vec<usize>,
        /// Where it begins, in numbers.
        offset: usize,
        /// Numbers in the storage.
        storage: usize,
    },
    /// Two tensors have one name.
    #[error("the name {name:?} occurs twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// The file holds something beside tensors.
    #[error(
        "expected a tensor under {name:?}, found something else: weights alone are read, no training state"
    )]
    NoTensor {
        /// The name.
        name: String,
    },
}

/// Lists the tensors of a whole file, in the order of the file.
///
/// All is checked here: every tensor lies in its storage, every storage in the file.
///
/// # Errors
/// [`TorchError`] names the first thing that is wrong.
pub fn parse(file: &[u8]) -> Result<Vec<Entry>, TorchError> {
    if file.starts_with(zip::LOCAL_SIGNATURE) {
        zip::parse(file)
    } else if file.starts_with(legacy::MAGIC) {
        legacy::parse(file)
    } else {
        Err(TorchError::Unknown)
    }
}

/// The entries of a state dictionary; `place` says where in the file a storage lies.
fn entries(
    pickle: &Pickle,
    file: usize,
    mut place: impl FnMut(&Storage) -> Result<Range<usize>, TorchError>,
) -> Result<Vec<Entry>, TorchError> {
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    // What tensors in other than row-major order may take when they are copied.
    let mut copies = file;
    for (name, tensor) in pickle.state()? {
        if !names.insert(name) {
            return Err(TorchError::Twice {
                name: name.to_owned(),
            });
        }
        let storage = pickle.storage(tensor);
        let bytes = place(storage)?;
        let size = storage.dtype.size();
        let outside = || TorchError::Outside {
            name: name.to_owned(),
            dtype: storage.dtype,
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
            offset: tensor.offset,
            storage: storage.elements,
        };
        let view = strided::View::new(&tensor.shape, &tensor.strides).ok_or_else(outside)?;
        let end = tensor
            .offset
            .checked_add(view.span)
            .filter(|&end| end <= storage.elements);
        let end = end.ok_or_else(outside)?;
        if !view.is_row_major {
            // An expanded tensor, which repeats numbers, would be larger than its storage.
            copies = copies
                .checked_sub(view.elements * size)
                .ok_or(TorchError::Limit {
                    what: "bytes of tensors that are not in row-major order",
                    limit: file,
                })?;
        }
        entries.push(Entry {
            name: name.to_owned(),
            dtype: storage.dtype,
            shape: tensor.shape.clone(),
            strides: (!view.is_row_major).then(|| tensor.strides.clone()),
            // `place` has checked that the storage's numbers lie in the file, so nothing overflows.
            range: bytes.start + tensor.offset * size..bytes.start + end * size,
        });
    }
    Ok(entries)
}

/// The `N` bytes at `at`.
fn take<const N: usize>(
    what: &'static str,
    bytes: &[u8],
    at: usize,
) -> Result<[u8; N], TorchError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().ok_or(TorchError::Truncated {
        what,
        at,
        needed: N as u64,
        end: bytes.len(),
    })
}

#[cfg(test)]
mod tests;
