//! Every operation of every kernel table against its scalar definition in double precision.
//!
//! The suite is one for all tables: a table's cells (operation × storage format) say what is
//! checked, and a cell without a check is a failure. The matrix of what passed and what was
//! skipped is printed; run with `--nocapture` to see it.

mod attention;
mod attention_i16;
mod elementwise;
mod grid;
mod linear;
mod norm;
mod panels;
mod rotary;
mod rounded;
mod support;

use mobilevlm_tensor::{Cell, Compute, Kernels, tables};

use support::Differences;

/// Products in integers, as those of decode steps are in every table.
fn integers(compute: &Compute) -> Compute {
    compute.with_steps(usize::MAX)
}

/// Checks one cell on a table; failures are collected in `differences`.
fn check(cell: &Cell, compute: &Compute, differences: &mut Differences) {
    match (cell.operation, cell.format) {
        ("direct", Some(format)) => linear::few_rows(compute, format, differences),
        ("packed", Some(format)) => linear::many_rows(compute, format, differences),
        ("few", Some(format)) => panels::few(&integers(compute), format, differences),
        ("many", Some(format)) => panels::many(&integers(compute), format, differences),
        ("tiles", Some(format)) => panels::tiles(compute, format, differences),
        ("rounded", None) => rounded::check(compute, differences),
        ("quantise", None) => panels::quantise(&integers(compute), differences),
        ("pack_rows", None) => linear::packing(compute, differences),
        ("attention", None) => attention::check(compute, differences),
        ("attention_i16" | "pack_keys_i16" | "pack_values_i16", None) => {
            attention_i16::check(compute, differences)
        }
        ("rotary", None) => rotary::check(compute, differences),
        ("rms_norm", None) => norm::rms(compute, differences),
        ("layer_norm", None) => norm::layer(compute, differences),
        ("add", None) => elementwise::add(compute, differences),
        ("gelu", None) => elementwise::gelu(compute, differences),
        ("hard_sigmoid", None) => elementwise::hard_sigmoid(compute, differences),
        ("hard_swish", None) => elementwise::hard_swish(compute, differences),
        ("quick_gelu", None) => elementwise::quick_gelu(compute, differences),
        ("relu", None) => elementwise::relu(compute, differences),
        ("silu_mul", None) => elementwise::silu_mul(compute, differences),
        ("add_product", None) => grid::check(compute, differences),
        (operation, format) => panic!("no check for {operation} {format:?}"),
    }
}

#[test]
fn every_cell_of_every_table() {
    let mut failures = Vec::new();
    for table in tables() {
        let compute = table
            .kernels()
            .map(|kernels: &'static Kernels| Compute::new(kernels, 2));
        if compute.is_none() {
            println!(
                "{}: skipped, this machine lacks {}",
                table.name,
                table.missing.join(", ")
            );
        }
        for cell in &table.cells {
            let format = cell.format.map_or("", |format| format.name());
            let outcome = match &compute {
                None => "skipped".to_string(),
                Some(compute) => {
                    let mut differences = Differences::default();
                    check(cell, compute, &mut differences);
                    assert!(
                        differences.compared() > 0,
                        "{}: the check of {cell:?} compares nothing",
                        table.name
                    );
                    match differences.report() {
                        None => "passed".to_string(),
                        Some(report) => {
                            failures.push(format!(
                                "{} {} {format}: {report}",
                                table.name, cell.operation
                            ));
                            "FAILED".to_string()
                        }
                    }
                }
            };
            println!(
                "{:<9} {:<15} {format:<5} {:<9} {outcome}",
                table.name,
                cell.operation,
                cell.origin.name()
            );
        }
    }
    assert!(
        failures.is_empty(),
        "{} cells failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
