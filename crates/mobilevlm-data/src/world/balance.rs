//! How much a guess that never looks would get right.

use std::collections::BTreeMap;
use std::fmt;

use super::Exchange;

/// The most frequent answer of some exchanges.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// Exchanges looked at.
    pub exchanges: usize,
    /// The most frequent answer; empty where there are no exchanges.
    pub answer: String,
    /// Its share, from 0 to 1: the accuracy of whoever always gives it.
    pub share: f64,
}

impl Balance {
    /// Counts the answers of these exchanges.
    pub fn of<'a>(exchanges: impl IntoIterator<Item = &'a Exchange>) -> Balance {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for exchange in exchanges {
            *counts.entry(&exchange.answer).or_default() += 1;
        }
        let exchanges = counts.values().sum();
        let most = counts.iter().max_by_key(|(_, count)| **count);
        let (answer, count) = most.map_or(("", 0), |(answer, count)| (*answer, *count));
        Balance {
            exchanges,
            answer: answer.to_owned(),
            share: count as f64 / usize::max(exchanges, 1) as f64,
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance {
            exchanges,
            answer,
            share,
        } = self;
        write!(
            f,
            "{:.1} % of {exchanges} answers are {answer:?}",
            share * 100.0
        )
    }
}
