//! The report of `bench` for people.

use std::io::{self, Write};

use super::Report;
use crate::error::CliError;

pub(super) fn print(report: &Report) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let Report { limits, stages, .. } = report;
    writeln!(out, "{}", report.model)?;
    writeln!(
        out,
        "kernels {}, {} threads; limits of this machine: {:.0} GFLOP/s, {:.1} GB/s\n",
        report.kernels, report.threads, limits.f32_gflops, limits.read_gb_s
    )?;
    writeln!(
        out,
        "{:<10} {:>11} {:>11} {:>9} {:<8} {:>6}",
        "stage", "median ms", "p95 ms", "rate", "", "share"
    )?;
    for (name, stage) in [
        ("vision", &stages.vision),
        ("projector", &stages.projector),
        ("prefill", &stages.prefill),
        ("step", &stages.step),
    ] {
        writeln!(
            out,
            "{name:<10} {:>11.2} {:>11.2} {:>9.1} {:<8} {:>5.1}%",
            stage.median_ms,
            stage.p95_ms,
            stage.rate,
            stage.unit,
            100.0 * stage.share
        )?;
    }
    writeln!(out, "\nfirst word  {:.0} ms", report.first_word_ms)?;
    if let Some(bytes) = report.peak_memory_bytes {
        writeln!(out, "peak memory {:.0} MB", bytes as f64 / 1e6)?;
    }
    Ok(out.flush()?)
}
