//! Guessing how repeated text goes on.
//!
//! A step for several rows of one sequence costs little more than one for a single row, because
//! the weights are read once. So where the last tokens occurred before, those that followed them
//! then are read along, as a guess: each whose predecessors were right is one step saved. The ids
//! are those of plain steps, since a row computes the same whatever is computed beside it, and
//! the sampler is asked once for each token, in their order. (Saxena 2023, "Prompt lookup
//! decoding".)
//!
//! A wrong guess costs its row. A [`Ledger`] counts in plain steps what guessing has cost and
//! saved, and allows no guess that could make the answer more than 2 % slower.

use crate::prompt::Prompt;

/// Most tokens guessed at once, for all sequences together: eight rows still share one reading of
/// the weights well.
pub(crate) const MOST_DRAFTED: usize = 7;

/// As many tokens in a row must have occurred before: of two, one in three goes on otherwise.
const LEAST_MATCH: usize = 3;

/// Longer matches than this are taken for equally good, and the latest wins.
const MOST_MATCH: usize = 12;

/// What guessing may cost, as a share of all steps.
const ALLOWED: f64 = 0.02;

/// Steps that were saved are remembered up to so many, to be risked again.
const MOST_SAVED: f64 = 4.0;

/// The position that continues an earlier occurrence of the last tokens of `read`: of the longest,
/// and of equally long ones of the latest.
pub(crate) fn continuation(read: &Prompt) -> Option<usize> {
    let last = read.len().checked_sub(1)?;
    let mut best = (LEAST_MATCH - 1, None);
    for end in (0..last).rev() {
        let length = matching(read, end, last);
        if length > best.0 {
            best = (length, Some(end + 1));
            if length == MOST_MATCH {
                break;
            }
        }
    }
    best.1
}

/// Number of tokens, at most [`MOST_MATCH`], that are the same up to `end` and up to `last`.
fn matching(read: &Prompt, end: usize, last: usize) -> usize {
    let same = |back: &usize| {
        let token = read.token(last - back);
        token.is_some() && read.token(end - back) == token
    };
    (0..MOST_MATCH.min(end + 1)).take_while(same).count()
}

/// What guessing has cost and saved one answer, in plain steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ledger {
    /// Plain steps that the answer would have taken so far, the reading of the prompt among them.
    work: f64,
    /// Cost less savings.
    lost: f64,
    /// Tokens to guess at once, for all that the text says.
    length: usize,
}

impl Ledger {
    /// A ledger after the reading of a prompt that took as long as `work` steps.
    pub(crate) fn new(work: f64) -> Ledger {
        Ledger {
            work,
            lost: 0.0,
            length: 2,
        }
    }

    /// How many tokens may be guessed, where each costs `row` of a plain step.
    pub(crate) fn allowance(&self, row: f64) -> usize {
        let left = ALLOWED * self.work - self.lost;
        // A float is cut off to an integer, below 0 to 0.
        let affordable = (left / row) as usize;
        affordable.min(self.length)
    }

    /// Enters a step for which `drafted` tokens were guessed and `accepted` of them were right.
    pub(crate) fn enter(&mut self, drafted: usize, accepted: usize, row: f64) {
        self.work += 1.0 + accepted as f64;
        if drafted == 0 {
            return;
        }
        let cost = drafted as f64 * row - accepted as f64;
        self.lost = (self.lost + cost).max(-MOST_SAVED);
        self.length = if accepted == drafted {
            (2 * self.length).min(MOST_DRAFTED)
        } else {
            accepted.max(1)
        };
    }
}

/// What a row beside others costs, measured on the steps themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowCost {
    /// Sequences in the steps that were measured.
    sequences: usize,
    /// Seconds of a step with one row for each of them; 0 before the first.
    plain: f64,
    /// Share of that for a row more.
    row: f64,
}

impl RowCost {
    /// Before a row was measured: four bits on two cores need about a quarter.
    const FIRST: f64 = 0.35;

    /// Weight of the newest measurement.
    const NEWEST: f64 = 0.25;

    /// Whether it is known what a step of so many sequences costs.
    pub(crate) fn knows(&self, sequences: usize) -> bool {
        self.sequences == sequences && self.plain > 0.0
    }

    /// What a guessed token costs, in plain steps of one sequence. All wait for it, so it costs
    /// each of them.
    pub(crate) fn row(&self) -> f64 {
        self.row * self.sequences as f64
    }

    /// Seconds of a plain step, where one was measured.
    pub(crate) fn plain(&self) -> Option<f64> {
        (self.plain > 0.0).then_some(self.plain)
    }

    /// Enters a step of one row for each of `sequences` and `drafted` rows more.
    pub(crate) fn enter(&mut self, sequences: usize, drafted: usize, seconds: f64) {
        if self.sequences != sequences {
            *self = RowCost {
                sequences,
                plain: 0.0,
                row: Self::FIRST,
            };
        }
        let towards = |old: f64, new: f64| old + Self::NEWEST * (new - old);
        if drafted == 0 {
            self.plain = match self.plain {
                0.0 => seconds,
                plain => towards(plain, seconds),
            };
        } else if self.plain > 0.0 {
            let row = (seconds / self.plain - 1.0) / drafted as f64;
            // Between what no machine undercuts and a step of its own.
            self.row = towards(self.row, row.clamp(0.02, 1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ids: &[u32]) -> Prompt {
        let mut prompt = Prompt::default();
        ids.iter().for_each(|&id| prompt.push_token(id));
        prompt
    }

    #[test]
    fn the_longest_and_then_the_latest_occurrence_goes_on() {
        for (ids, expected) in [
            (&[][..], None),
            (&[1], None),
            (&[1, 2, 3, 1, 2], None),
            (&[1, 2, 3, 9, 1, 2, 3], Some(3)),
            // Both have three tokens: the later one.
            (&[1, 2, 3, 8, 1, 2, 3, 9, 1, 2, 3], Some(7)),
            // The earlier one has four.
            (&[5, 1, 2, 3, 8, 1, 2, 3, 9, 5, 1, 2, 3], Some(4)),
            // A text may run into its own repetition.
            (&[7, 7, 7, 7], Some(3)),
            (&[1, 2, 1, 2, 1, 2], Some(4)),
        ] {
            assert_eq!(continuation(&read(ids)), expected, "{ids:?}");
        }
    }

    /// Plays an answer of `steps` tokens with guesses that are right in a share of cases, and
    /// returns its cost as a share of that of plain steps.
    fn cost(row: f64, tokens: usize, right: impl Fn(usize) -> bool) -> f64 {
        let mut ledger = Ledger::new(10.0);
        let (mut made, mut cost) = (0, 10.0);
        while made < tokens {
            let drafted = ledger.allowance(row);
            let accepted = (0..drafted)
                .take_while(|&ahead| right(made + ahead))
                .count();
            ledger.enter(drafted, accepted, row);
            made += 1 + accepted;
            cost += 1.0 + drafted as f64 * row;
        }
        cost / (10.0 + made as f64)
    }

    #[test]
    fn wrong_guesses_never_cost_more_than_two_in_a_hundred() {
        for row in [0.05, 0.35, 1.0, 3.0] {
            for tokens in [1, 5, 30, 500] {
                let always_wrong = cost(row, tokens, |_| false);
                assert!(always_wrong <= 1.02, "row {row}, {tokens}: {always_wrong}");
                // A repetition that ends in the middle.
                let half = cost(row, tokens, |token| token < tokens / 2);
                assert!(half <= 1.02, "row {row}, {tokens}: {half}");
                let seldom = cost(row, tokens, |token| token % 5 == 0);
                assert!(seldom <= 1.02, "row {row}, {tokens}: {seldom}");
            }
        }
    }

    #[test]
    fn right_guesses_save_most_steps() {
        let always_right = cost(0.25, 300, |_| true);
        assert!(always_right < 0.5, "{always_right}");
    }

    #[test]
    fn a_row_costs_what_was_measured() {
        let mut cost = RowCost::default();
        assert!(!cost.knows(1));
        cost.enter(1, 0, 0.1);
        assert!(cost.knows(1) && !cost.knows(2));
        assert_eq!(cost.row(), RowCost::FIRST);
        (0..40).for_each(|_| cost.enter(1, 4, 0.14));
        assert!((cost.row() - 0.1).abs() < 1e-3, "{cost:?}");
        cost.enter(3, 0, 0.2);
        assert!(cost.knows(3));
        assert_eq!(cost.row(), 3.0 * RowCost::FIRST);
    }
}
