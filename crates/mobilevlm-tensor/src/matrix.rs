//! A weight matrix, kept as it is stored.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Format, panel};

/// Weights `[rows, columns]` in the [`Format`] in which they are stored, row by row or, in block
/// formats, interleaved in panels of sixteen rows as integer kernels read them.
///
/// The bytes are usually a part of a mapped file: no alignment is assumed, nothing is copied, and
/// a clone shares them. A row holds the weights of one output of [`ops::linear`](crate::ops::linear).
#[derive(Clone, Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    columns: usize,
    interleaved: bool,
    /// Exactly `rows · row_bytes(columns)` bytes, or those of whole panels, as was checked.
    data: Bytes,
    /// What [`InputSquares`](crate::InputSquares) call it.
    name: Option<Arc<str>>,
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
    /// Only block formats are interleaved.
    #[error("a {} matrix is stored in rows, it cannot be interleaved", format.name())]
    NotInterleaved {
        /// Storage format of the matrix.
        format: Format,
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
        Matrix::checked(format, rows, columns, false, data)
    }

    /// The matrix `[rows, columns]` stored in `data` as panels of sixteen interleaved rows, without
    /// copying. Rows that the last panel has too many are zero bytes, which are not looked at.
    ///
    /// # Errors
    /// [`MatrixError`] if the format has no blocks, or `data` does not have exactly the bytes of
    /// that shape.
    pub fn panels(
        format: Format,
        rows: usize,
        columns: usize,
        data: Bytes,
    ) -> Result<Matrix, MatrixError> {
        if format.layout().is_none() {
            return Err(MatrixError::NotInterleaved { format });
        }
        Matrix::checked(format, rows, columns, true, data)
    }

    fn checked(
        format: Format,
        rows: usize,
        columns: usize,
        interleaved: bool,
        data: Bytes,
    ) -> Result<Matrix, MatrixError> {
        if !columns.is_multiple_of(format.block()) {
            return Err(MatrixError::Blocks { format, columns });
        }
        let stored_rows = match interleaved {
            true => rows.checked_next_multiple_of(panel::ROWS),
            false => Some(rows),
        };
        let expected = format
            .row_bytes(columns)
            .and_then(|row| row.checked_mul(stored_rows?))
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
            interleaved,
            data,
            name: None,
        })
    }

    /// Whether rows are interleaved in panels of sixteen.
    pub fn is_interleaved(&self) -> bool {
        self.interleaved
    }

    /// The same weights in panels. What has no blocks, or is interleaved already, is only shared.
    pub fn interleave(&self) -> Matrix {
        if self.interleaved || self.format.layout().is_none() {
            return self.clone();
        }
        let row_bytes = self.row_bytes();
        let mut data = vec![0; self.rows.next_multiple_of(panel::ROWS) * row_bytes];
        if row_bytes > 0 {
            let panel_bytes = panel::ROWS * row_bytes;
            let rows = self.data.chunks(panel_bytes);
            for (rows, out) in rows.zip(data.chunks_exact_mut(panel_bytes)) {
                panel::interleave(self.format, rows, row_bytes, out);
            }
        }
        Matrix {
            interleaved: true,
            data: data.into(),
            name: self.name.clone(),
            ..*self
        }
    }

    /// The same weights row by row. What is so already is only shared.
    pub fn deinterleave(&self) -> Matrix {
        if !self.interleaved {
            return self.clone();
        }
        let mut data = vec![0; self.rows * self.row_bytes()];
        self.rows_into(0, &mut data);
        Matrix {
            interleaved: false,
            data: data.into(),
            name: self.name.clone(),
            ..*self
        }
    }

    /// The same matrix with a name, under which [`InputSquares`](crate::InputSquares) count.
    pub fn named(self, name: &str) -> Matrix {
        Matrix {
            name: Some(name.into()),
            ..self
        }
    }

    /// The name that it was given.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
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
        if !self.interleaved {
            return self.format.decode(self.rows_from(row, 1), out);
        }
        let mut stored = vec![0; self.row_bytes()];
        self.rows_into(row, &mut stored);
        self.format.decode(&stored, out);
    }

    /// The stored bytes of `count` rows from row `first` of a matrix that is not interleaved.
    pub(crate) fn rows_from(&self, first: usize, count: usize) -> &[u8] {
        debug_assert!(!self.interleaved);
        let each = self.row_bytes();
        &self.data[first * each..(first + count) * each]
    }

    /// Copies the stored bytes of rows from row `first`, as many as fill `out`, out of panels.
    pub(crate) fn rows_into(&self, first: usize, out: &mut [u8]) {
        let row_bytes = self.row_bytes();
        let panel_bytes = panel::ROWS * row_bytes;
        if panel_bytes == 0 {
            return;
        }
        let mut block = vec![0; panel_bytes];
        let mut row = first;
        let mut out = out;
        while !out.is_empty() {
            let stored = &self.data[row / panel::ROWS * panel_bytes..][..panel_bytes];
            panel::deinterleave(self.format, stored, row_bytes, &mut block);
            let skipped = row % panel::ROWS * row_bytes;
            let wanted = (panel_bytes - skipped).min(out.len());
            let (now, rest) = out.split_at_mut(wanted);
            now.copy_from_slice(&block[skipped..skipped + wanted]);
            out = rest;
            row = (row / panel::ROWS + 1) * panel::ROWS;
        }
    }

    /// Bytes of a stored row.
    pub(crate) fn row_bytes(&self) -> usize {
        // The constructors have checked that the product exists.
        self.format.row_bytes(self.columns).unwrap_or(0)
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
    fn panels_hold_the_same_rows() {
        let values: Vec<f32> = (0..21 * 64).map(|i| (i % 31) as f32 - 15.0).collect();
        let stored = Bytes::from(Format::Q5_0.encode(&values));
        let rows = Matrix::new(Format::Q5_0, 21, 64, stored).unwrap();
        let panels = rows.interleave();
        assert!(panels.is_interleaved() && !rows.is_interleaved());
        let again = Matrix::panels(Format::Q5_0, 21, 64, panels.bytes().clone()).unwrap();
        let (mut expected, mut found) = ([0.0; 64], [0.0; 64]);
        for row in 0..21 {
            rows.row(row, &mut expected);
            again.row(row, &mut found);
            assert_eq!(found, expected, "row {row}");
        }
        assert_eq!(again.deinterleave().bytes(), rows.bytes());
        let error = Matrix::panels(Format::F16, 1, 1, Bytes::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a f16 matrix is stored in rows, it cannot be interleaved"
        );
        let error = Matrix::panels(Format::Q5_0, 21, 64, rows.bytes().clone()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a q5_0 matrix of 21 × 64 has 1408 bytes, found 924"
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
