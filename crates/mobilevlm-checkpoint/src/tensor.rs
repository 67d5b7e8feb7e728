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
    /// Blocks of numbers of few bits, row by row, as ggml stores them. Never a format whose
    /// numbers stand alone: those have types of their own.
    Blocks(Format),
    /// The same blocks in panels of 16 rows, interleaved as the kernels read them.
    Panels(Format),
}

/// Rows of a panel. The last panel of a tensor is filled up with rows of zero bytes.
const PANEL_ROWS: usize = 16;

/// What is added to ggml's number of a format for its panels. ggml knows no such types.
const PANEL_TYPE: u32 = 1000;

/// The types of which ggml stores single numbers, by its own numbers (`ggml_type` in `ggml.h`).
const SINGLE_TYPES: [(u32, Dtype); 8] = [
    (0, Dtype::F32),
    (1, Dtype::F16),
    (24, Dtype::I8),
    (25, Dtype::I16),
    (26, Dtype::I32),
    (27, Dtype::I64),
    (28, Dtype::F64),
    (30, Dtype::BF16),
];

impl Dtype {
    /// The type of GGUF's number for it: ggml's, and 1000 more for panels.
    pub fn from_ggml_type(number: u32) -> Option<Self> {
        let single = SINGLE_TYPES.iter().find(|(known, _)| *known == number);
        if let Some(&(_, dtype)) = single {
            return Some(dtype);
        }
        match Format::from_ggml_type(number) {
            Some(format) => Some(Self::Blocks(format)),
            None => Format::from_ggml_type(number.checked_sub(PANEL_TYPE)?)
                .filter(|format| format.block() > 1)
                .map(Self::Panels),
        }
    }

    /// GGUF's number for the type; `None` for types that GGUF files do not hold.
    pub fn ggml_type(self) -> Option<u32> {
        match self {
            Self::Blocks(format) => Some(format.ggml_type()),
            Self::Panels(format) => Some(format.ggml_type() + PANEL_TYPE),
            single => SINGLE_TYPES
                .iter()
                .find(|(_, dtype)| *dtype == single)
                .map(|(number, _)| *number),
        }
    }

    /// Numbers in a block; 1 where each stands alone.
    pub fn block(self) -> usize {
        match self {
            Self::Blocks(format) | Self::Panels(format) => format.block(),
            _ => 1,
        }
    }

    /// Bytes of a block; where each number stands alone, of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
            // A block is a row of whole blocks.
            Self::Blocks(format) | Self::Panels(format) => {
                format.row_bytes(format.block()).unwrap_or(0)
            }
        }
    }

    /// Bytes of a tensor; `None` where its rows are no whole number of blocks, or its bytes
    /// cannot be addressed.
    ///
    /// A row is what has one first index: a tensor `[rows, …]` has `rows` of them. A vector is
    /// one row.
    pub fn bytes(self, shape: &[usize]) -> Option<usize> {
        let (rows, columns) = match shape {
            [] => (1, 1),
            &[columns] => (1, columns),
            [rows, rest @ ..] => (*rows, elements(rest)?),
        };
        if !columns.is_multiple_of(self.block()) {
            return None;
        }
        let rows = match self {
            Self::Panels(_) => rows.checked_next_multiple_of(PANEL_ROWS)?,
            _ => rows,
        };
        (columns / self.block())
            .checked_mul(self.size())?
            .checked_mul(rows)
    }

    /// The name: of a single number's type as safetensors has it, of a block format as
    /// [`Format::name`] says, of its panels with `_x16` behind that.
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
            Self::Blocks(format) => format.name(),
            Self::Panels(format) => match format {
                Format::Q8_0 => "q8_0_x16",
                Format::Q4_0 => "q4_0_x16",
                Format::Q4_1 => "q4_1_x16",
                Format::Q5_0 => "q5_0_x16",
                Format::Q5_1 => "q5_1_x16",
                Format::Q2K => "q2_k_x16",
                Format::Q3K => "q3_k_x16",
                Format::Q4K => "q4_k_x16",
                Format::Q5K => "q5_k_x16",
                Format::Q6K => "q6_k_x16",
                other => other.name(),
            },
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
        matches!(
            self,
            Self::F32 | Self::F16 | Self::BF16 | Self::F64 | Self::Blocks(_) | Self::Panels(_)
        )
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
    /// Rows of a head, where `data` holds the rows of each head in llama.cpp's order.
    paired: Option<usize>,
    file: Option<Arc<Path>>,
    /// What the squared error of a number in each column counts, if not the same.
    importance: Option<Arc<[f32]>>,
}

impl Tensor {
    /// A tensor of `data`, row-major, little-endian.
    ///
    /// # Errors
    /// [`TensorError::Length`] unless `data` holds exactly the numbers of `shape`.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        if dtype.bytes(&shape) != Some(data.len()) {
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
            paired: None,
            file: None,
            importance: None,
        })
    }

    /// The tensor of a query or key projection that llama.cpp wrote: it stores the rows of each
    /// head so that the two of a rotary pair are neighbours. Row `2·j + s` of a head of `head_dim`
    /// rows becomes row `s·head_dim/2 + j`, as upstream has it, when the bytes are asked for.
    ///
    /// `None` unless the rows are whole heads that can be moved by themselves.
    pub(crate) fn unpaired(self, head_dim: usize) -> Option<Self> {
        let moves = !matches!(self.dtype, Dtype::Panels(_));
        let rows = *self.shape.first()?;
        let whole = head_dim > 0 && head_dim.is_multiple_of(2) && rows.is_multiple_of(head_dim);
        (moves && whole && self.shape.len() == 2 && !self.data.is_empty()).then_some(Self {
            paired: Some(head_dim),
            ..self
        })
    }

    /// The same numbers under other sizes, where sizes of 1 are the only difference.
    pub(crate) fn with_shape(self, shape: &[usize]) -> Option<Self> {
        let sizes = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&size| size != 1).collect()
        };
        let same =
            sizes(&self.shape) == sizes(shape) && self.dtype.bytes(shape) == Some(self.data.len());
        same.then(|| Self {
            shape: shape.to_vec(),
            ..self
        })
    }

    /// The same tensor, with the file it came from for messages.
    pub(crate) fn of_file(self, file: &Arc<Path>) -> Self {
        Self {
            file: Some(file.clone()),
            ..self
        }
    }

    /// What the squared error of a number in each column counts where the tensor is quantised.
    pub(crate) fn importance(&self) -> Option<&[f32]> {
        self.importance.as_deref()
    }

    /// Sets what errors count, where there is one number for each column.
    pub(crate) fn set_importance(&mut self, columns: Arc<[f32]>) {
        let expected = self.shape.get(1..).and_then(elements);
        self.importance = (expected == Some(columns.len())).then_some(columns);
    }

    /// The type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its sizes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its bytes, little-endian, at any alignment: a part of the file, or, where the file has the
    /// rows in another order, a copy made now.
    pub fn data(&self) -> Bytes {
        match (self.paired, self.shape.first()) {
            (Some(head_dim), Some(&rows)) => unpair(&self.data, rows, head_dim).into(),
            _ => self.data.clone(),
        }
    }

    /// Its bytes as the file has them, which can be another order of rows than [`Tensor::data`].
    pub fn stored(&self) -> &Bytes {
        &self.data
    }

    /// The type and the bytes of the same tensor row by row: what is in panels is taken out of
    /// them, by a copy.
    pub fn in_rows(&self) -> (Dtype, Bytes) {
        let (rows, columns) = match self.shape[..] {
            [rows, ref rest @ ..] if !rest.is_empty() => (rows, rest.iter().product()),
            _ => (1, self.elements()),
        };
        match (self.dtype, self.to_matrix(rows, columns)) {
            (Dtype::Panels(format), Some(matrix)) => {
                (Dtype::Blocks(format), matrix.deinterleave().bytes().clone())
            }
            _ => (self.dtype, self.data()),
        }
    }

    /// The same tensor with its rows in panels, by a copy; clones a vector, and what has no blocks
    /// or is in panels already.
    pub fn interleave(&self) -> Tensor {
        let (Dtype::Blocks(format), [rows, rest @ ..]) = (self.dtype, &self.shape[..]) else {
            return self.clone();
        };
        let columns = elements(rest).filter(|_| !rest.is_empty());
        match columns.and_then(|columns| self.to_matrix(*rows, columns)) {
            Some(matrix) => Tensor {
                dtype: Dtype::Panels(format),
                data: matrix.interleave().bytes().clone(),
                paired: None,
                ..self.clone()
            },
            None => self.clone(),
        }
    }

    /// How many bytes [`Tensor::data`] has.
    pub fn byte_len(&self) -> usize {
        self.data.len()
    }

    /// The file it came from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// How many numbers it holds.
    pub fn elements(&self) -> usize {
        // `new` has checked that the product exists.
        elements(&self.shape).unwrap_or(0)
    }

    /// Its numbers as `f32`; doubles are rounded. `None` for types that are no weights.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        let format = match self.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            Dtype::F64 => return Some(narrow(&self.data())),
            Dtype::Blocks(format) => format,
            Dtype::Panels(_) => return self.decode_panels(),
            _ => return None,
        };
        let mut numbers = vec![0.0; self.elements()];
        format.decode(&self.data(), &mut numbers);
        Some(numbers)
    }

    /// The tensor as weights `[rows, columns]`, kept as stored; doubles become `f32`.
    /// `None` for types that are no weights, and where the sizes do not multiply to the tensor's.
    pub(crate) fn to_matrix(&self, rows: usize, columns: usize) -> Option<Matrix> {
        let (format, data) = match self.dtype {
            Dtype::F32 => (Format::F32, self.data()),
            Dtype::F16 => (Format::F16, self.data()),
            Dtype::BF16 => (Format::BF16, self.data()),
            Dtype::F64 => {
                let bytes: Vec<u8> = narrow(&self.data())
                    .into_iter()
                    .flat_map(f32::to_le_bytes)
                    .collect();
                (Format::F32, bytes.into())
            }
            Dtype::Blocks(format) => (format, self.data()),
            Dtype::Panels(format) => {
                return Matrix::panels(format, rows, columns, self.data()).ok();
            }
            _ => return None,
        };
        Matrix::new(format, rows, columns, data).ok()
    }

    fn decode_panels(&self) -> Option<Vec<f32>> {
        let (rows, columns) = match self.shape[..] {
            [rows, ref rest @ ..] if !rest.is_empty() => (rows, elements(rest)?),
            _ => (1, self.elements()),
        };
        let matrix = self.to_matrix(rows, columns)?;
        let mut numbers = vec![0.0; self.elements()];
        for (row, out) in numbers.chunks_exact_mut(columns.max(1)).enumerate() {
            matrix.row(row, out);
        }
        Some(numbers)
    }
}

/// The `rows` rows of `data`, those of each head of `head_dim` taken out of their rotary pairs.
fn unpair(data: &[u8], rows: usize, head_dim: usize) -> Vec<u8> {
    let row_bytes = data.len() / rows.max(1);
    let mut out = Vec::with_capacity(data.len());
    for head in data.chunks_exact(head_dim * row_bytes) {
        for of_pair in 0..2 {
            let rows = head.chunks_exact(row_bytes).skip(of_pair).step_by(2);
            rows.for_each(|row| out.extend_from_slice(row));
        }
    }
    out
}

/// Little-endian doubles, rounded.
fn narrow(doubles: &[u8]) -> Vec<f32> {
    let (doubles, _) = doubles.as_chunks::<8>();
    doubles
        .iter()
        .map(|&double| f64::from_le_bytes(double) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Inventory;

    #[test]
    fn bytes_are_counted_in_blocks_of_a_row() {
        let q4_k = Dtype::Blocks(Format::Q4K);
        assert_eq!(q4_k.bytes(&[3, 512]), Some(3 * 2 * 144));
        assert_eq!(q4_k.bytes(&[3, 2, 256]), Some(3 * 2 * 144));
        assert_eq!(q4_k.bytes(&[256]), Some(144));
        assert_eq!(q4_k.bytes(&[256, 128]), None, "half a block");
        assert_eq!(q4_k.bytes(&[1 << 40, 1 << 30]), None, "too many");
        let panels = Dtype::Panels(Format::Q8_0);
        assert_eq!(panels.bytes(&[17, 64]), Some(32 * 2 * 34));
        assert_eq!(panels.bytes(&[usize::MAX, 32]), None);
        assert_eq!(Dtype::F64.bytes(&[]), Some(8));
        assert_eq!(Dtype::F16.bytes(&[3, 0]), Some(0));
    }

    #[test]
    fn numbers_of_types_come_back() {
        let singles = SINGLE_TYPES.map(|(_, dtype)| dtype);
        let blocks = Format::ALL.into_iter().filter(|format| format.block() > 1);
        let types: Vec<_> = blocks
            .flat_map(|format| [Dtype::Blocks(format), Dtype::Panels(format)])
            .chain(singles)
            .collect();
        assert_eq!(types.len(), 28);
        for dtype in types {
            let number = dtype.ggml_type().expect("a type of GGUF files");
            assert_eq!(Dtype::from_ggml_type(number), Some(dtype), "{dtype}");
        }
        assert_eq!(Dtype::Panels(Format::Q4K).ggml_type(), Some(1012));
        // ggml's Q4_2, which it has dropped; Q8_1; F32 in panels.
        for unknown in [4, 9, 1000, 1030, u32::MAX] {
            assert_eq!(Dtype::from_ggml_type(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn rotary_pairs_become_halves_of_a_head() {
        // Two heads of four rows of one byte.
        let stored = Tensor::new(Dtype::U8, vec![8, 1], vec![0, 2, 1, 3, 4, 6, 5, 7].into());
        let stored = stored.expect("fits");
        assert!(stored.clone().unpaired(3).is_none(), "no whole pairs");
        assert!(stored.clone().unpaired(6).is_none(), "no whole heads");
        let tensor = stored.unpaired(4).expect("two heads");
        assert_eq!(tensor.data(), [0, 1, 2, 3, 4, 5, 6, 7][..]);
        assert_eq!(tensor.byte_len(), 8);
    }

    #[test]
    fn sizes_of_one_come_and_go() {
        let tensor = Tensor::new(Dtype::U8, vec![4, 3, 2], vec![0; 24].into()).expect("fits");
        let shaped = |shape: &[usize]| tensor.clone().with_shape(shape);
        assert_eq!(shaped(&[4, 1, 3, 2]).expect("fits").shape(), [4, 1, 3, 2]);
        assert!(shaped(&[3, 4, 2]).is_none());
        assert!(shaped(&[24]).is_none());
    }

    #[test]
    fn blocks_are_read_as_matrix_and_as_numbers() {
        let numbers: Vec<f32> = (0..96).map(|i| (i % 32) as f32 * 4.0 - 64.0).collect();
        let stored = Format::Q8_0.encode(&numbers);
        let mut expected = vec![0.0; 96];
        Format::Q8_0.decode(&stored, &mut expected);
        let tensor = Tensor::new(
            Dtype::Blocks(Format::Q8_0),
            vec![3, 32],
            stored.clone().into(),
        )
        .expect("fits");
        assert_eq!((tensor.elements(), tensor.data().len()), (96, 3 * 34));
        let inventory: Inventory = [("a.weight".to_owned(), tensor)].into_iter().collect();
        let scope = inventory.scope("a");
        assert_eq!(scope.tensor("weight", &[3, 32]).unwrap(), expected);
        let matrix = scope.matrix("weight", 3, 32).unwrap();
        let mut row = [0.0; 32];
        matrix.row(2, &mut row);
        assert_eq!(row, expected[64..]);
        assert_eq!(matrix.format(), Format::Q8_0);

        let panels = matrix.interleave();
        let dtype = Dtype::Panels(Format::Q8_0);
        let tensor = Tensor::new(dtype, vec![3, 32], panels.bytes().clone()).expect("fits");
        assert_eq!(tensor.to_f32().unwrap(), expected);
        let matrix = tensor.to_matrix(3, 32).unwrap();
        assert!(matrix.is_interleaved());
        assert_eq!(matrix.bytes(), panels.bytes());
        let rows = Tensor::new(Dtype::Blocks(Format::Q8_0), vec![3, 32], stored.into());
        let interleaved = rows.expect("fits").interleave();
        assert_eq!(interleaved.dtype(), dtype);
        assert_eq!(interleaved.data(), panels.bytes());
    }
}
