//! The machine: its kernel tables, and which of them computes.

use std::io::{self, Write};

use mobilevlm_tensor::{Cell, Kernels, tables};
use serde::Serialize;

use crate::error::chain;

/// What computes here.
#[derive(Serialize)]
pub(super) struct Machine {
    os: &'static str,
    architecture: &'static str,
    threads: usize,
    /// The kernel table in use; absent where the one that was asked for cannot run.
    kernels: Option<&'static str>,
    why: String,
    tables: Vec<Table>,
}

/// A kernel table, runnable here or not.
#[derive(Serialize)]
struct Table {
    name: &'static str,
    runs_here: bool,
    needs: Vec<&'static str>,
    missing: Vec<&'static str>,
    operations: Vec<Operation>,
}

/// Whose code one operation runs: `own`, `shared` with another table, or `portable`.
#[derive(Serialize)]
struct Operation {
    operation: &'static str,
    /// The storage format of the weights that it reads; absent where it reads none.
    format: Option<&'static str>,
    origin: &'static str,
}

impl Machine {
    pub(super) fn examine(problems: &mut Vec<String>) -> Machine {
        let tables: Vec<Table> = tables().into_iter().map(Table::new).collect();
        let forced = std::env::var("MOBILEVLM_KERNELS")
            .ok()
            .filter(|name| !name.is_empty());
        let (kernels, why) = match (Kernels::detect(), forced) {
            (Ok(kernels), Some(_)) => {
                (Some(kernels.name()), "MOBILEVLM_KERNELS says so".to_owned())
            }
            (Ok(kernels), None) => (Some(kernels.name()), reason(kernels.name(), &tables)),
            (Err(error), _) => {
                problems.push(format!(
                    "MOBILEVLM_KERNELS: {}; unset it for the best table",
                    chain(&error)
                ));
                (
                    None,
                    "the table that MOBILEVLM_KERNELS names cannot run here".to_owned(),
                )
            }
        };
        Machine {
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            kernels,
            why,
            tables,
        }
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "Machine: {} {}, {} threads",
            self.os, self.architecture, self.threads
        )?;
        writeln!(
            out,
            "Kernels: {} ({})",
            self.kernels.unwrap_or("none"),
            self.why
        )?;
        for table in &self.tables {
            let state = match table.missing.is_empty() {
                true => "can run".to_owned(),
                false => format!(
                    "cannot run: this machine lacks {}",
                    table.missing.join(", ")
                ),
            };
            let needs = if table.needs.is_empty() {
                "nothing".to_owned()
            } else {
                table.needs.join(", ")
            };
            writeln!(
                out,
                "  {:<9} {state}; needs {needs}; {}",
                table.name,
                table.origins()
            )?;
        }
        Ok(())
    }
}

/// Why a table is chosen, given all of them, best first.
fn reason(chosen: &str, tables: &[Table]) -> String {
    let better: Vec<String> = tables
        .iter()
        .take_while(|table| table.name != chosen)
        .map(|table| format!("{} lacks {}", table.name, table.missing.join(", ")))
        .collect();
    match better.is_empty() {
        true => "the best there is for this architecture".to_owned(),
        false => format!("the best that can run: {}", better.join("; ")),
    }
}

impl Table {
    fn new(table: mobilevlm_tensor::Table) -> Table {
        Table {
            name: table.name,
            runs_here: table.missing.is_empty(),
            needs: table.features,
            missing: table.missing,
            operations: table.cells.iter().map(Operation::new).collect(),
        }
    }

    /// How many operations have code of their own, and so on.
    fn origins(&self) -> String {
        let count = |origin| {
            self.operations
                .iter()
                .filter(|operation| operation.origin == origin)
                .count()
        };
        let counted = ["own", "shared", "portable"].map(|origin| (count(origin), origin));
        let told: Vec<String> = counted
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, origin)| format!("{n} {origin}"))
            .collect();
        format!("operations: {}", told.join(", "))
    }
}

impl Operation {
    fn new(cell: &Cell) -> Operation {
        Operation {
            operation: cell.operation,
            format: cell.format.map(|format| format.name()),
            origin: cell.origin.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_what_better_tables_lack() {
        let table = |name, missing: &[&'static str]| Table {
            name,
            runs_here: missing.is_empty(),
            needs: Vec::new(),
            missing: missing.to_vec(),
            operations: Vec::new(),
        };
        let tables = [
            table("big", &["x", "y"]),
            table("small", &[]),
            table("portable", &[]),
        ];
        assert_eq!(
            reason("small", &tables),
            "the best that can run: big lacks x, y"
        );
        assert_eq!(
            reason("small", &tables[1..]),
            "the best there is for this architecture"
        );
    }
}
