//! Figures by name, nested.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Figures in order, each under its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<(String, Figure)>);

/// One figure, or several that belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// A number; the benchmark says in which unit.
    Number(f64),
    /// How many.
    Count(usize),
    /// Nothing to divide by; `null` in JSON.
    Undefined,
    /// Several.
    Group(Figures),
}

impl Figures {
    /// Adds a figure.
    pub(crate) fn push(&mut self, name: impl Into<String>, figure: impl Into<Figure>) {
        self.0.push((name.into(), figure.into()));
    }

    /// The figures with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.0.iter().map(|(name, figure)| (name.as_str(), figure))
    }

    /// The number at a path of names joined by full stops, such as `average.f1`; `None` if there is
    /// none or it is undefined.
    pub fn number(&self, path: &str) -> Option<f64> {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let (_, figure) = self.0.iter().find(|(name, _)| name == first)?;
        match (figure, rest) {
            (Figure::Number(number), None) => Some(*number),
            (Figure::Count(count), None) => Some(*count as f64),
            (Figure::Group(figures), Some(rest)) => figures.number(rest),
            _ => None,
        }
    }
}

impl<S: Into<String>, F: Into<Figure>> FromIterator<(S, F)> for Figures {
    fn from_iter<I: IntoIterator<Item = (S, F)>>(figures: I) -> Figures {
        let pair = |(name, figure): (S, F)| (name.into(), figure.into());
        Figures(figures.into_iter().map(pair).collect())
    }
}

impl From<Option<f64>> for Figure {
    fn from(number: Option<f64>) -> Figure {
        number.map_or(Figure::Undefined, Figure::Number)
    }
}

impl From<usize> for Figure {
    fn from(count: usize) -> Figure {
        Figure::Count(count)
    }
}

impl From<Figures> for Figure {
    fn from(figures: Figures) -> Figure {
        Figure::Group(figures)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, figure) in &self.0 {
            map.serialize_entry(name, figure)?;
        }
        map.end()
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Figure::Number(number) => number.serialize(serializer),
            Figure::Count(count) => count.serialize(serializer),
            Figure::Undefined => serializer.serialize_none(),
            Figure::Group(figures) => figures.serialize(serializer),
        }
    }
}

/// `part / whole`, or nothing where the whole is nothing.
pub(crate) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole != 0.0).then(|| part / whole)
}

/// The mean, or nothing of nothing; summed in order, as Python's `sum`.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sum = 0.0;
    let mut count = 0.0;
    for value in values {
        sum += value;
        count += 1.0;
    }
    ratio(sum, count)
}

/// 100 × the mean, or nothing of nothing.
pub(crate) fn percent(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    mean(values).map(|mean| 100.0 * mean)
}
