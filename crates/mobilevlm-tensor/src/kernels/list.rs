//! The list of tables, and where each of their functions comes from.

use super::{Kernels, portable};
use crate::Format;

/// Every table's name with its architecture, best first within one architecture.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("amx", "x86_64"),
    ("avx512", "x86_64"),
    ("avx2", "x86_64"),
    ("neon_i8mm", "aarch64"),
    ("neon_dot", "aarch64"),
    ("neon", "aarch64"),
    ("portable", "any"),
];

/// The tables compiled for this architecture, best first; the last one runs everywhere.
pub(super) static COMPILED: &[&Kernels] = &[
    #[cfg(target_arch = "x86_64")]
    &super::amx::TABLE,
    #[cfg(target_arch = "x86_64")]
    &super::avx512::TABLE,
    #[cfg(target_arch = "x86_64")]
    &super::avx2::TABLE,
    #[cfg(target_arch = "aarch64")]
    &super::neon_i8mm::TABLE,
    #[cfg(target_arch = "aarch64")]
    &super::neon_dot::TABLE,
    #[cfg(target_arch = "aarch64")]
    &super::neon::TABLE,
    &portable::TABLE,
];

/// A kernel table as data, runnable here or not.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, for [`Kernels::by_name`].
    pub name: &'static str,
    /// The processor features that it needs.
    pub features: Vec<&'static str>,
    /// Those of them that this machine lacks; none if the table can run.
    pub missing: Vec<&'static str>,
    /// What it computes, and with whose code.
    pub cells: Vec<Cell>,
}

impl Table {
    /// The table itself, if this machine can run it.
    pub fn kernels(&self) -> Option<&'static Kernels> {
        Kernels::by_name(self.name).ok()
    }
}

/// One operation of a table, for one storage format where it reads stored weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The operation: `direct`, `packed`, `attention`; docs/kernel-names.md explains each.
    pub operation: &'static str,
    /// The storage format that it reads, if it reads weights.
    pub format: Option<Format>,
    /// Whose code it runs.
    pub origin: Origin,
}

/// Whose code an operation of a table runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Code compiled with the table's own instructions.
    Own,
    /// The code of another table with special instructions.
    Shared,
    /// The code of the table `portable`.
    Portable,
}

impl Origin {
    /// The name that is printed: `own`, `shared`, `portable`.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Shared => "shared",
            Origin::Portable => "portable",
        }
    }
}

/// Every table of this architecture, best first, also those that the machine lacks.
pub fn tables() -> Vec<Table> {
    COMPILED
        .iter()
        .map(|table| Table {
            name: table.name,
            features: table.features.iter().map(|feature| feature.name).collect(),
            missing: table.missing(),
            cells: table
                .functions()
                .into_iter()
                .map(|(operation, format, address)| Cell {
                    operation,
                    format,
                    origin: origin(table, operation, format, address),
                })
                .collect(),
        })
        .collect()
}

/// Found by comparing addresses, so that it cannot say anything else than what runs. A function
/// belongs to the last table of the list that has it: better tables borrow from simpler ones.
fn origin(table: &Kernels, operation: &str, format: Option<Format>, address: usize) -> Origin {
    let has = |other: &Kernels| other.functions().contains(&(operation, format, address));
    if has(&portable::TABLE) {
        return Origin::Portable;
    }
    let owner = COMPILED
        .iter()
        .rev()
        .find(|other| has(other))
        .map_or(table.name, |owner| owner.name);
    if owner == table.name {
        Origin::Own
    } else {
        Origin::Shared
    }
}

impl Kernels {
    /// Each function of the table: operation, storage format, address. The operations are the
    /// functions' names, as docs/kernel-names.md explains them.
    fn functions(&self) -> Vec<(&'static str, Option<Format>, usize)> {
        let mut all = Vec::new();
        for format in Format::ALL {
            // Blocks are multiplied in integers, out of panels.
            if format.block() > 1 {
                let linear = self.panel_linear(format);
                let (few, many) = match self.words(format) {
                    Some(words) => (words.few as usize, words.many as usize),
                    None => (linear.few as usize, linear.many as usize),
                };
                all.push(("few", Some(format), few));
                all.push(("many", Some(format), many));
                if let Some(tiles) = self.tiles() {
                    all.push(("tiles", Some(format), tiles.of(format) as usize));
                }
            } else {
                let linear = self.linear(format);
                all.push(("direct", Some(format), linear.direct as usize));
                all.push(("packed", Some(format), linear.packed as usize));
            }
        }
        if let Some(tiles) = self.tiles() {
            all.push(("rounded", None, tiles.rounded as usize));
        }
        all.extend([
            ("quantise", None, self.quantise as usize),
            ("pack_rows", None, self.pack_rows as usize),
            ("attention", None, self.attention as usize),
            ("attention_i16", None, self.attention_i16 as usize),
            ("pack_keys_i16", None, self.pack_keys_i16 as usize),
            ("pack_values_i16", None, self.pack_values_i16 as usize),
            ("rotary", None, self.rotary as usize),
            ("rms_norm", None, self.rms_norm as usize),
            ("layer_norm", None, self.layer_norm as usize),
            ("add", None, self.add as usize),
            ("gelu", None, self.gelu as usize),
            ("hard_sigmoid", None, self.hard_sigmoid as usize),
            ("hard_swish", None, self.hard_swish as usize),
            ("quick_gelu", None, self.quick_gelu as usize),
            ("relu", None, self.relu as usize),
            ("silu_mul", None, self.silu_mul as usize),
            ("add_product", None, self.add_product as usize),
        ]);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_named_with_its_architecture() {
        for table in tables() {
            let (_, architecture) = NAMES
                .iter()
                .find(|known| known.0 == table.name)
                .expect(table.name);
            assert!(
                ["any", std::env::consts::ARCH].contains(architecture),
                "{}",
                table.name
            );
        }
    }

    #[test]
    fn tables_with_special_instructions_borrow_nothing_from_portable() {
        for table in tables() {
            for cell in table.cells {
                let expected = match (table.name, cell.operation) {
                    ("portable", _) => Origin::Portable,
                    // All but the products in tile registers is that of `avx512`.
                    ("amx", operation) if !["tiles", "rounded"].contains(&operation) => {
                        Origin::Shared
                    }
                    // All but the products of many rows is that of `neon_dot`.
                    ("neon_i8mm", operation) if operation != "many" => Origin::Shared,
                    // All but the products of integers is that of `neon`.
                    ("neon_dot", operation) if !["few", "many"].contains(&operation) => {
                        Origin::Shared
                    }
                    _ => Origin::Own,
                };
                assert_eq!(
                    cell.origin, expected,
                    "{} {} {:?}",
                    table.name, cell.operation, cell.format
                );
            }
        }
    }

    #[test]
    fn every_operation_and_table_is_explained() {
        let page = mobilevlm_testing::workspace().join("docs/kernel-names.md");
        let page = std::fs::read_to_string(page).unwrap();
        let tables = COMPILED.iter();
        let operations: Vec<_> = tables.flat_map(|table| table.functions()).collect();
        let names = operations.iter().map(|(operation, ..)| *operation);
        for name in names.chain(NAMES.iter().map(|known| known.0)) {
            assert!(
                page.contains(&format!("\n| `{name}` |")),
                "{name} has no row"
            );
        }
    }
}
