use serde::Serialize;

use super::files::Wrong;

/// How far one kind of number is from its record.
#[derive(Clone, Debug, Serialize)]
pub struct CheckItem {
    /// What is compared, such as `stage1: losses`.
    pub name: String,
    /// Numbers or cases compared.
    pub compared: usize,
    /// The largest difference; of what must be equal, the number of differences. `null` in JSON
    /// where it is no number.
    pub largest: f64,
    /// What is allowed.
    pub tolerance: f64,
    /// Whether all is within what is allowed.
    pub passed: bool,
    /// Where the largest difference is, or what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Whether everything that was recorded is there and within what is allowed.
    pub passed: bool,
    /// One entry for each kind of number.
    pub items: Vec<CheckItem>,
}

/// Differences while they are collected, in the order of the first.
#[derive(Debug, Default)]
pub(super) struct Items {
    items: Vec<CheckItem>,
}

impl Items {
    /// Something that could not be compared.
    pub(super) fn failed(&mut self, name: &str, wrong: Wrong) {
        self.items.push(CheckItem {
            name: name.to_owned(),
            compared: 0,
            largest: f64::INFINITY,
            tolerance: 0.0,
            passed: false,
            place: Some(wrong.0),
        });
    }

    /// A kind of number in which `tolerance` is allowed. With nothing compared it has failed.
    pub(super) fn add(&mut self, name: impl Into<String>, tolerance: f64) -> &mut CheckItem {
        let name = name.into();
        let index = match self.items.iter().position(|item| item.name == name) {
            Some(index) => index,
            None => {
                self.items.push(CheckItem {
                    name,
                    compared: 0,
                    largest: 0.0,
                    tolerance,
                    passed: false,
                    place: None,
                });
                self.items.len() - 1
            }
        };
        &mut self.items[index]
    }

    pub(super) fn report(self) -> CheckReport {
        CheckReport {
            passed: !self.items.is_empty() && self.items.iter().all(|item| item.passed),
            items: self.items,
        }
    }
}

impl CheckItem {
    /// Counts a difference, which is 0 or larger; what is no number is infinitely wrong.
    fn difference(&mut self, difference: f64, place: impl FnOnce() -> String) {
        let difference = match difference.is_nan() {
            true => f64::INFINITY,
            false => difference,
        };
        self.compared += 1;
        if difference > self.largest {
            self.largest = difference;
            self.place = Some(place());
        }
        self.passed = self.largest <= self.tolerance;
    }

    /// The absolute difference of two numbers. Two that are no numbers agree.
    pub(super) fn absolute(&mut self, ours: f64, recorded: f64, place: impl FnOnce() -> String) {
        let difference = match ours == recorded || (ours.is_nan() && recorded.is_nan()) {
            true => 0.0,
            false => (ours - recorded).abs(),
        };
        self.difference(difference, || {
            format!("{}: expected {recorded}, found {ours}", place())
        });
    }

    /// The difference relative to the record; where that is 0, ours must be 0.
    pub(super) fn relative(&mut self, ours: f64, recorded: f64, place: impl FnOnce() -> String) {
        let difference = match ours == recorded {
            true => 0.0,
            false => (ours - recorded).abs() / recorded.abs(),
        };
        self.difference(difference, || {
            format!("{}: expected {recorded}, found {ours}", place())
        });
    }

    /// A tensor of another length is infinitely wrong.
    pub(super) fn equal_length(&mut self, ours: usize, recorded: usize, place: &str) {
        if ours != recorded {
            self.difference(f64::INFINITY, || {
                format!("{place}: expected {recorded} values, found {ours}")
            });
        }
    }

    /// Something that must be equal; the number of those that are not is what counts.
    pub(super) fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        ours: &T,
        recorded: &T,
        place: impl FnOnce() -> String,
    ) {
        self.compared += 1;
        if ours != recorded {
            if self.largest == 0.0 {
                let (recorded, ours) = (shown(recorded), shown(ours));
                self.place = Some(format!("{}: expected {recorded}, found {ours}", place()));
            }
            self.largest += 1.0;
        }
        self.passed = self.largest <= self.tolerance;
    }
}

/// A value, cut where it is long.
fn shown(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_compared_or_no_number_fails() {
        let mut items = Items::default();
        items.add("nothing", 1.0);
        assert!(!items.report().passed);
        let mut items = Items::default();
        items.add("nan", 1.0).absolute(f64::NAN, 1.0, String::new);
        assert!(!items.report().passed);
        let mut items = Items::default();
        items.add("zero", 1e-4).relative(1e-30, 0.0, String::new);
        assert!(!items.report().passed);
        let mut items = Items::default();
        items.add("equal", 0.0).relative(0.0, 0.0, String::new);
        assert!(items.report().passed);
        assert!(!Items::default().report().passed);
    }
}
