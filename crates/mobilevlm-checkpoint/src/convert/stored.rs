//! One tensor on its way from a checkpoint into a file: decoded, encoded and laid out a few rows
//! at a time, on all threads.

use std::io::{self, Write};
use std::sync::OnceLock;

use mobilevlm_tensor::{Bytes, Format, Matrix, Pool};

use crate::gguf::write::Listed;
use crate::tensor::{Dtype, Tensor};

/// Rows of one task: those of a panel.
const TASK_ROWS: usize = 16;

/// Numbers that are in work at a time, as `f32`: 32 MiB of them.
const NUMBERS_AT_A_TIME: usize = 8 << 20;

/// A tensor and how a file is to hold it.
#[derive(Clone, Debug)]
pub(crate) struct Stored<'a> {
    /// Its name in the file.
    pub(crate) name: String,
    /// Its sizes in the file, slowest first.
    pub(crate) shape: Vec<usize>,
    /// Its type in the file.
    pub(crate) dtype: Dtype,
    /// Rows of a head, if those of each are to be brought into llama.cpp's order of rotary pairs.
    pub(crate) paired: Option<usize>,
    /// What is stored; it has as many numbers as `shape` says.
    pub(crate) tensor: &'a Tensor,
}

/// Is told how many numbers were written, and may stop the writing with an error.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

impl Stored<'_> {
    /// What the file's list says of it.
    pub(crate) fn listed(&self) -> Listed {
        Listed {
            name: self.name.clone(),
            dimensions: self.shape.iter().rev().map(|&size| size as u64).collect(),
            // Types and shapes are chosen to fit each other.
            number: self.dtype.ggml_type().unwrap_or(u32::MAX),
            bytes: self.dtype.bytes(&self.shape).unwrap_or(0) as u64,
        }
    }

    /// How many numbers it holds.
    pub(crate) fn elements(&self) -> u64 {
        self.tensor.elements() as u64
    }

    /// Writes its bytes.
    pub(crate) fn write(
        &self,
        pool: &Pool,
        out: &mut dyn Write,
        progress: Progress<'_>,
    ) -> io::Result<()> {
        if self.paired.is_none() && self.tensor.dtype() == self.dtype {
            out.write_all(&self.tensor.data())?;
            return progress(self.elements());
        }
        let (rows, columns) = match *self.shape {
            [rows, ref rest @ ..] if !rest.is_empty() => (rows, rest.iter().product()),
            _ => (1, self.tensor.elements()),
        };
        let unfit = || io::Error::new(io::ErrorKind::InvalidData, self.name.clone());
        let (format, panels) = target(self.dtype).ok_or_else(unfit)?;
        let source = self.tensor.to_matrix(rows, columns).ok_or_else(unfit)?;
        let work = Work {
            source: source.deinterleave(),
            format,
            panels,
            paired: self.paired,
            importance: self.tensor.importance(),
        };
        let tasks = rows.div_ceil(TASK_ROWS);
        let at_a_time = (NUMBERS_AT_A_TIME / (TASK_ROWS * columns).max(1)).max(pool.threads());
        for first in (0..tasks).step_by(at_a_time) {
            let count = at_a_time.min(tasks - first);
            let done: Vec<OnceLock<Bytes>> = (0..count).map(|_| OnceLock::new()).collect();
            pool.run(count, &|task| {
                // Each task runs once, so its place is free.
                let _ = done[task].set(work.panel(first + task));
            });
            for bytes in done.into_iter().filter_map(OnceLock::into_inner) {
                out.write_all(&bytes)?;
            }
            let end = rows.min((first + count) * TASK_ROWS);
            progress(((end - first * TASK_ROWS) * columns) as u64)?;
        }
        Ok(())
    }
}

/// The format of a type, and whether its rows are in panels.
fn target(dtype: Dtype) -> Option<(Format, bool)> {
    Some(match dtype {
        Dtype::F32 => (Format::F32, false),
        Dtype::F16 => (Format::F16, false),
        Dtype::BF16 => (Format::BF16, false),
        Dtype::Blocks(format) => (format, false),
        Dtype::Panels(format) => (format, true),
        _ => return None,
    })
}

struct Work<'a> {
    /// In rows.
    source: Matrix,
    format: Format,
    panels: bool,
    paired: Option<usize>,
    /// Of each column.
    importance: Option<&'a [f32]>,
}

impl Work<'_> {
    /// The bytes of sixteen rows, or of what is left of them.
    fn panel(&self, panel: usize) -> Bytes {
        let (source, columns) = (&self.source, self.source.columns());
        let first = panel * TASK_ROWS;
        let rows = first..source.rows().min(first + TASK_ROWS);
        let count = rows.len();
        let row_bytes = source.bytes().len() / source.rows().max(1);
        let mut numbers = vec![0.0; columns];
        let mut bytes = Vec::new();
        for row in rows {
            let row = self.paired.map_or(row, |head| unpaired_row(row, head));
            if source.format() == self.format {
                bytes.extend_from_slice(&source.bytes()[row * row_bytes..][..row_bytes]);
            } else {
                source.row(row, &mut numbers);
                bytes.extend(match self.importance {
                    Some(importance) => self.format.encode_weighted(&numbers, importance),
                    None => self.format.encode(&numbers),
                });
            }
        }
        let bytes = Bytes::from(bytes);
        match Matrix::new(self.format, count, columns, bytes.clone()) {
            Ok(matrix) if self.panels => matrix.interleave().bytes().clone(),
            _ => bytes,
        }
    }
}

/// Which of upstream's rows is llama.cpp's `row`, where a head has `head` rows: row `2·j + s` of a
/// head is upstream's row `s·head/2 + j`, so that rotary pairs are neighbours.
fn unpaired_row(row: usize, head: usize) -> usize {
    let (whole, place) = (row / head * head, row % head);
    whole + place % 2 * (head / 2) + place / 2
}
