//! Numbers to compute with, and a way to compare results that shows what is wrong.

/// Half the distance from 1 to the next `f32`: the relative error of one rounding.
pub(crate) const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// `count` numbers between −1 and 1, of many magnitudes, the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| {
            let magnitude = if next() < 0.25 { next() * next() } else { 1.0 };
            (2.0 * next() - 1.0) * magnitude
        })
        .collect()
}

/// Compared numbers and those that differ by more than they may.
#[derive(Default)]
pub(crate) struct Differences {
    compared: usize,
    failed: usize,
    worst: f64,
    first: Vec<String>,
}

impl Differences {
    /// Compares `found` with `expected`, which may differ by `bound`; both may be NaN.
    pub(crate) fn compare(
        &mut self,
        found: f32,
        expected: f64,
        bound: f64,
        what: impl Fn() -> String,
    ) {
        self.compared += 1;
        let difference = (f64::from(found) - expected).abs();
        let equal = f64::from(found) == expected || (found.is_nan() && expected.is_nan());
        if equal || difference <= bound {
            return;
        }
        self.failed += 1;
        self.worst = self.worst.max(difference / bound);
        if self.first.len() < 3 {
            self.first.push(format!(
                "{}: expected {expected}, found {found}, allowed ± {bound:.2e}",
                what()
            ));
        }
    }

    /// How many numbers were compared.
    pub(crate) fn compared(&self) -> usize {
        self.compared
    }

    /// The first failures and how bad the worst is; `None` if there are none.
    pub(crate) fn report(&self) -> Option<String> {
        (self.failed > 0).then(|| {
            format!(
                "{} of {} differ, by up to {:.1} times the bound\n  {}",
                self.failed,
                self.compared,
                self.worst,
                self.first.join("\n  ")
            )
        })
    }
}
