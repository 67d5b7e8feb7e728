//! What goes into products: how much each column of a weight matters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Matrix;

/// Adds up the squares of what the columns of each [named](Matrix::named) matrix are multiplied
/// with by the linear layers of [`ops`](crate::ops).
///
/// An error of a weight changes an output by the error times its input, so the mean square of the
/// input says what the square of that error costs. Complete under
/// [`Arithmetic::F32`](crate::Arithmetic::F32) only: layers in integers can share their inputs.
///
/// Off until it is [switched on](InputSquares::switch).
#[derive(Debug, Default)]
pub struct InputSquares {
    on: AtomicBool,
    sums: Mutex<BTreeMap<Arc<str>, Sums>>,
}

#[derive(Debug)]
struct Sums {
    rows: usize,
    /// Of each column.
    squares: Vec<f64>,
}

impl InputSquares {
    /// Begins or stops to add up.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// The mean square of each column's input, by the name of the matrix. Matrices that were not
    /// multiplied are not there.
    pub fn means(&self) -> BTreeMap<String, Vec<f32>> {
        let mean = |(name, sums): (&Arc<str>, &Sums)| {
            let rows = sums.rows.max(1) as f64;
            let means = sums.squares.iter().map(|sum| (sum / rows) as f32);
            (name.as_ref().to_owned(), means.collect())
        };
        self.lock().iter().map(mean).collect()
    }

    /// Counts the rows of `x`, `[m, w.columns()]`.
    pub(crate) fn add(&self, w: &Matrix, x: &[f32]) {
        if !self.on.load(Ordering::Relaxed) || w.columns() == 0 {
            return;
        }
        let Some(name) = w.name() else {
            return;
        };
        let mut all = self.lock();
        let sums = all.entry(name.clone()).or_insert_with(|| Sums {
            rows: 0,
            squares: vec![0.0; w.columns()],
        });
        for row in x.chunks_exact(w.columns()) {
            sums.rows += 1;
            for (sum, &x) in sums.squares.iter_mut().zip(row) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Sums>> {
        // Sums that a panicking thread left behind are still sums.
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Bytes, Compute, Format, Kernels, ops};

    #[test]
    fn squares_are_those_of_the_inputs_while_it_is_on() {
        let kernels = Kernels::detect().unwrap();
        let compute = Compute::new(kernels, 2).with_arithmetic(Arithmetic::F32);
        let stored = Bytes::from(Format::F32.encode(&[1.0; 6]));
        let nameless = Matrix::new(Format::F32, 3, 2, stored).unwrap();
        let named = nameless.clone().named("w");
        let x = [1.0, -2.0, 3.0, 0.0];
        let mut y = [0.0; 6];
        ops::linear(&compute, &x, &named, None, &mut y);
        compute.input_squares().switch(true);
        ops::linear(&compute, &x, &nameless, None, &mut y);
        assert!(compute.input_squares().means().is_empty());
        ops::linear(&compute, &x, &named, None, &mut y);
        ops::linear_add(&compute, &x[..2], &named, None, &mut y[..3]);
        let means = compute.input_squares().means();
        assert_eq!(means.len(), 1);
        assert_eq!(means["w"], [11.0 / 3.0, 8.0 / 3.0]);
    }
}
