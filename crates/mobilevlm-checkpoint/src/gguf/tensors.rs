//! The tensors of a GGUF file as checked places in it.

use super::{Gguf, GgufError, Info};
use crate::tensor::{Dtype, Entry};

impl Gguf {
    /// The tensors of a file of `length` bytes, in the order of its header.
    ///
    /// All is checked here: types are known, no size is zero, rows are whole blocks, and every
    /// tensor lies in the file, begins at a multiple of the file's alignment and shares no byte
    /// with another.
    ///
    /// # Errors
    /// [`GgufError`] names the first tensor that is wrong.
    pub fn entries(&self, length: usize) -> Result<Vec<Entry>, GgufError> {
        let entries = self
            .tensors()
            .iter()
            .map(|info| self.entry(info, length))
            .collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|&index| entries[index].range.start);
        for pair in order.windows(2) {
            let (first, second) = (&entries[pair[0]], &entries[pair[1]]);
            if second.range.start < first.range.end {
                return Err(wrong(
                    &second.name,
                    format!("bytes of its own from byte {}", second.range.start),
                    format!(
                        "tensor {:?} there, up to byte {}",
                        first.name, first.range.end
                    ),
                ));
            }
        }
        Ok(entries)
    }

    fn entry(&self, info: &Info, length: usize) -> Result<Entry, GgufError> {
        let name = &info.name;
        let dtype = Dtype::from_ggml_type(info.format).ok_or_else(|| {
            wrong(
                name,
                "a type that is computed with (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K \
                 to Q6_K); convert the file to one of them",
                format!("ggml's type {}", info.format),
            )
        })?;
        let listed = || format!("{:?}, fastest first", info.dimensions);
        // Fastest first in the file, slowest first here.
        let shape: Option<Vec<usize>> = info
            .dimensions
            .iter()
            .rev()
            .map(|&size| usize::try_from(size).ok().filter(|&size| size > 0))
            .collect();
        let Some(shape) = shape.filter(|shape| !shape.is_empty()) else {
            return Err(wrong(name, "sizes of at least 1", listed()));
        };
        let whole = shape
            .last()
            .is_some_and(|columns| columns.is_multiple_of(dtype.block()));
        let Some(bytes) = dtype.bytes(&shape).filter(|_| whole) else {
            let expected = format!("rows of whole {dtype} blocks of {}", dtype.block());
            return Err(wrong(name, expected, listed()));
        };
        if !info.start.is_multiple_of(self.alignment) {
            return Err(wrong(
                name,
                format!("a beginning at a multiple of {} bytes", self.alignment),
                format!("byte {}", info.start),
            ));
        }
        let start = usize::try_from(info.start).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
        match range.filter(|range| range.end <= length) {
            Some(range) => Ok(Entry {
                name: name.clone(),
                dtype,
                shape,
                strides: None,
                range,
            }),
            None => Err(wrong(
                name,
                format!("{bytes} bytes from byte {}", info.start),
                format!("a file of {length} bytes: it is cut short or damaged"),
            )),
        }
    }
}

fn wrong(name: &str, expected: impl Into<String>, found: String) -> GgufError {
    GgufError::Tensor {
        name: name.to_owned(),
        expected: expected.into(),
        found,
    }
}
