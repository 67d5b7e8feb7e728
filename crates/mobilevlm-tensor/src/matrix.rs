//! A weight matrix, kept as it is stored.

use bytes::Bytes;

use crate::Format;

/// Weights `[rows, columns]`, row-major, in the [`Format`] in which they are stored.
///
/// The bytes are usually a part of a mapped file: no alignment is assumed, nothing is copied, and
/// a clone shares them. A row holds the weights of one output of [`ops::linear`](crate::ops::linear).
#[derive(Clone, Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    columns: usize,
    /// Exactly `rows · row_bytes(columns)` bytes, as [`Matrix::new`] checked.
    data: Bytes,
}

/// Why bytes are not a matrix.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatrixError {
    /// The number of bytes does not fit the shape.
    #[error("a {} matrix of {rows} × {columns} has {expected} bytes, found {found}", format.name())]
    Length {
        /// Storage format of the matrix.
        format: Format,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
        /// Bytes that this shape has.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A row is no whole number of the format's blocks.
    #[error("a {} matrix has rows of whole blocks of {}, found {columns} columns", format.name(), format.block())]
    Blocks {
        /// Storage format of the matrix.
        format: Format,
        /// Columns asked for.
        columns: usize,
    },
    /// The shape has more bytes than can be addressed.
    #[error("a {} matrix of {rows} × {columns} is larger than any memory", format.name())]
    TooLarge {
        /// Storage format of the matrix.
        format: Format,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
    },
}

impl Matrix {
    /// The matrix `[rows, columns]` stored in `data`, without copying.
    ///
    /// # Errors
    /// [`MatrixError`] if `data` does not have exactly the bytes of that shape.
    pub fn new(
        format: Format,
        rows: usize,
        columns: usize,
        data: Bytes,
    ) -> Result<Matrix, MatrixError> {
        if !columns.is_multiple_of(format.block()) {
            return Err(MatrixError::Blocks { format, columns });
        }
        let expected = format
            .row_bytes(columns)
            .and_then(|row| row.checked_mul(rows))
            .ok_or(MatrixError::TooLarge {
                format,
                rows,
                columns,
            })?;
        if data.len() != expected {
            return Err(MatrixError::Length {
                format,
                rows,
                columns,
                expected,
                found: data.len(),
            });
        }
        Ok(Matrix {
            format,
            rows,
            columns,
            data,
        })
    }

    /// Number of rows: outputs of a linear layer.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns: inputs of a linear layer.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How the numbers are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// Decodes one row.
    ///
    /// # Panics
    /// If `row` is not below [`rows`](Matrix::rows) or `out` does not have
    /// [`columns`](Matrix::columns) places.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(
            row < self.rows,
            "row {row} of a matrix of {} rows",
            self.rows
        );
        assert_eq!(
            out.len(),
            self.columns,
            "a row has {} columns, the output {} places",
            self.columns,
            out.len()
        );
        self.format.decode(self.rows_from(row, 1), out);
    }

    /// The stored bytes of `count` rows from row `first`.
    pub(crate) fn rows_from(&self, first: usize, count: usize) -> &[u8] {
        // `new` has checked that the product exists.
        let each = self.data.len().checked_div(self.rows).unwrap_or(0);
        &self.data[first * each..(first + count) * each]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_decoded() {
        let values = [1.0, -2.0, 0.5, 4.0, 0.25, 8.0];
        for format in [Format::F32, Format::F16, Format::BF16] {
            let matrix = Matrix::new(format, 2, 3, format.encode(&values).into()).unwrap();
            let mut row = [0.0; 3];
            matrix.row(1, &mut row);
            assert_eq!(row, [4.0, 0.25, 8.0], "{}", format.name());
        }
    }

    #[test]
    fn a_wrong_number_of_bytes_is_refused_with_both_numbers() {
        let error = Matrix::new(Format::F16, 2, 3, vec![0; 13].into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a f16 matrix of 2 × 3 has 12 bytes, found 13"
        );
        let huge = Matrix::new(Format::F32, usize::MAX / 2, 3, Bytes::new()).unwrap_err();
        assert!(matches!(huge, MatrixError::TooLarge { .. }));
    }

    #[test]
    fn rows_are_whole_blocks() {
        let values: Vec<f32> = (0..512).map(|i| (i % 16) as f32 - 8.0).collect();
        let stored = Bytes::from(Format::Q4_0.encode(&values));
        let matrix = Matrix::new(Format::Q4_0, 2, 256, stored).unwrap();
        let mut row = [0.0; 256];
        matrix.row(1, &mut row);
        assert_eq!(row, values[256..], "levels of the format are exact");
        let error = Matrix::new(Format::Q4K, 2, 300, Bytes::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a q4_k matrix has rows of whole blocks of 256, found 300 columns"
        );
    }

    #[test]
    fn empty_matrices_exist() {
        assert_eq!(
            Matrix::new(Format::F32, 0, 7, Bytes::new()).unwrap().rows(),
            0
        );
        let no_columns = Matrix::new(Format::F32, 3, 0, Bytes::new()).unwrap();
        no_columns.row(2, &mut []);
    }
}
