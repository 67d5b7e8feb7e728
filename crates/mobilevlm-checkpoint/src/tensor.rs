//! What a file says about one tensor, and the tensor itself.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use mobilevlm_tensor::{Format, Matrix};

use crate::error::TensorError;

/// The type of a stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// The upper half of a single.
    BF16,
    /// IEEE 754 double.
    F64,
    /// Eight-bit float with 4 bits of exponent; listed, never computed with.
    F8E4M3,
    /// Eight-bit float with 5 bits of exponent; listed, never computed with.
    F8E5M2,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// A byte that is 0 or 1.
    Bool,
}

impl Dtype {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The name that safetensors uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F64 => "F64",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U64 => "U64",
            Self::U32 => "U32",
            Self::U16 => "U16",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// The type of a safetensors name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        use Dtype::*;
        [
            F32, F16, BF16, F64, F8E4M3, F8E5M2, I64, I32, I16, I8, U64, U32, U16, U8, Bool,
        ]
        .into_iter()
        .find(|dtype| dtype.name() == name)
    }

    /// Whether weights of this type can be computed with.
    pub fn is_weight(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One tensor as a file's header describes it: a checked place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name in the file.
    pub name: String,
    /// The type of its numbers.
    pub dtype: Dtype,
    /// Its sizes, slowest first.
    pub shape: Vec<usize>,
    /// Steps between neighbours in each dimension, in numbers; `None` for row-major order.
    pub strides: Option<Vec<usize>>,
    /// The bytes of the file that hold it.
    pub range: Range<usize>,
}

/// Numbers in a shape, or `None` where the product overflows.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
}

/// A tensor, row-major, as stored. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Bytes,
    file: Option<Arc<Path>>,
}

impl Tensor {
    /// A tensor of `data`, row-major, little-endian.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless `data` holds exactly the numbers of `shape`.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        let bytes = elements(&shape).and_then(|count| count.checked_mul(dtype.size()));
        if bytes != Some(data.len()) {
            return Err(TensorError::Length {
                dtype,
                shape,
                found: data.len(),
            });
        }
        Ok(Self {
            dtype,
            shape,
            data,
            file: None,
        })
    }

    /// The same tensor, with the file it came from for messages.
    pub(crate) fn of_file(self, file: &Arc<Path>) -> Self {
        Self {
            file: Some(file.clone()),
            ..self
        }
    }

    /// The type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its sizes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its bytes, little-endian, at any alignment.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The file it came from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// How many numbers it holds.
    pub fn elements(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Its numbers as `f32`; doubles are rounded. `None` for types that are no weights.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        let format = match self.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            Dtype::F64 => return Some(narrow(&self.data)),
            _ => return None,
        };
        let mut numbers = vec![0.0; self.elements()];
        format.decode(&self.data, &mut numbers);
        Some(numbers)
    }

    /// The tensor as weights `[rows, columns]`, kept as stored; doubles become `f32`.
    /// `None` for types that are no weights, and where the sizes do not multiply to the tensor's.
    pub(crate) fn to_matrix(&self, rows: usize, columns: usize) -> Option<Matrix> {
        let (format, data) = match self.dtype {
            Dtype::F32 => (Format::F32, self.data.clone()),
            Dtype::F16 => (Format::F16, self.data.clone()),
            Dtype::BF16 => (Format::BF16, self.data.clone()),
            Dtype::F64 => {
                let bytes: Vec<u8> = narrow(&self.data)
                    .into_iter()
                    .flat_map(f32::to_le_bytes)
                    .collect();
                (Format::F32, bytes.into())
            }
            _ => return None,
        };
        Matrix::new(format, rows, columns, data).ok()
    }
}

/// Little-endian doubles, rounded.
fn narrow(doubles: &[u8]) -> Vec<f32> {
    let (doubles, _) = doubles.as_chunks::<8>();
    doubles
        .iter()
        .map(|&double| f64::from_le_bytes(double) as f32)
        .collect()
}
