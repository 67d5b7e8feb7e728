//! What is compared: the cells of the paper's Tables 6 and 7.

use serde::{Deserialize, Serialize};

/// One way to train: a projector, and what learns in the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Cell {
    /// The projector.
    pub(super) projector: Projector,
    /// Whether the language model learns in stage 1; in stage 2 it always does.
    pub(super) language_in_stage1: bool,
}

/// The projectors of both tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Projector {
    /// V1's.
    Ldp,
    /// V2's: pooling, then the positional encoding generator.
    LdpV2,
    /// V2's without pooling.
    NoPool,
    /// V2's with pooling only.
    Pool,
    /// Pooling, then learned positions.
    PoolPositions,
}

/// Table 6: V1's projector and V2's, alone or with the language model in stage 1.
pub(super) const TABLE_6: [Cell; 4] = [
    Cell::new(Projector::Ldp, false),
    Cell::new(Projector::Ldp, true),
    Cell::new(Projector::LdpV2, false),
    Cell::new(Projector::LdpV2, true),
];

/// Table 7: V2's projector and parts of it, trained as V2 is.
pub(super) const TABLE_7: [Cell; 4] = [
    Cell::new(Projector::NoPool, true),
    Cell::new(Projector::Pool, true),
    Cell::new(Projector::PoolPositions, true),
    Cell::new(Projector::LdpV2, true),
];

/// The cells of both tables, each once.
pub(super) fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> = TABLE_6.into_iter().chain(TABLE_7).collect();
    cells.sort();
    cells.dedup();
    cells
}

impl Cell {
    const fn new(projector: Projector, language_in_stage1: bool) -> Cell {
        Cell {
            projector,
            language_in_stage1,
        }
    }

    /// Its name in folders.
    pub(super) fn name(self) -> String {
        let learns = match self.language_in_stage1 {
            true => "trained",
            false => "frozen",
        };
        format!("{}-{learns}", self.projector.name())
    }

    /// What it lays over the recipe of stage 1.
    pub(super) fn settings(self) -> Vec<String> {
        let mut set = vec![
            format!("projector.type=\"{}\"", self.projector.kind()),
            format!("train.language={}", self.language_in_stage1),
        ];
        if let Some(variant) = self.projector.variant() {
            set.push(format!("projector.variant=\"{variant}\""));
        }
        set
    }
}

impl Projector {
    /// Its name in folders.
    fn name(self) -> &'static str {
        match self {
            Projector::Ldp => "ldp",
            Projector::LdpV2 => "ldpv2",
            Projector::NoPool => "no-pool",
            Projector::Pool => "pool",
            Projector::PoolPositions => "pool-positions",
        }
    }

    /// Its name in tables.
    pub(super) fn title(self) -> &'static str {
        match self {
            Projector::Ldp => "LDP (V1)",
            Projector::LdpV2 => "LDPv2: pooling + PEG",
            Projector::NoPool => "no pooling, PEG",
            Projector::Pool => "pooling only",
            Projector::PoolPositions => "pooling + learned positions",
        }
    }

    /// The recipe's `projector.type`.
    fn kind(self) -> &'static str {
        match self {
            Projector::Ldp => "ldpnet",
            _ => "ldpnetv2",
        }
    }

    /// The recipe's `projector.variant`.
    fn variant(self) -> Option<&'static str> {
        match self {
            Projector::Ldp => None,
            Projector::LdpV2 => Some("pool+peg"),
            Projector::NoPool => Some("no-pool"),
            Projector::Pool => Some("pool"),
            Projector::PoolPositions => Some("pool+positions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_share_a_cell() {
        let cells = all();
        assert_eq!(cells.len(), 7);
        let names: std::collections::BTreeSet<String> =
            cells.iter().map(|cell| cell.name()).collect();
        assert_eq!(names.len(), cells.len(), "{names:?}");
    }
}
