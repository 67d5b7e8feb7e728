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
        "kernels {}, arithmetic {}, {} threads; limits of this machine: {:.0} GFLOP/s, \
         {:.0} Gop/s int8, {:.1} GB/s\n",
        report.kernels,
        report.arithmetic,
        report.threads,
        limits.f32_gflops,
        limits.int8_gops,
        limits.read_gb_s
    )?;
    writeln!(
        out,
        "{:<10} {:>10} {:>10} {:>10} {:>9} {:<8} {:>6} {:>8} {:>9}",
        "stage", "median ms", "p95 ms", "products", "rate", "", "share", "products", "tokens/s"
    )?;
    for (name, stage) in [
        ("vision", &stages.vision),
        ("projector", &stages.projector),
        ("prefill", &stages.prefill),
        ("step", &stages.step),
        (
            &format!("step × {}", stages.batch_step.sequences),
            &stages.batch_step.stage,
        ),
    ] {
        let tokens = stage
            .tokens_per_s
            .map_or(String::new(), |rate| format!("{rate:.1}"));
        let line = format!(
            "{name:<10} {:>10.2} {:>10.2} {:>10.2} {:>9.1} {:<8} {:>5.1}% {:>7.1}% {tokens:>9}",
            stage.median_ms,
            stage.p95_ms,
            stage.matrix_ms,
            stage.rate,
            stage.unit,
            100.0 * stage.share,
            100.0 * stage.matrix_share,
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "\nfirst word  {:.0} ms", report.first_word_ms)?;
    if let Some(bytes) = report.peak_memory_bytes {
        writeln!(out, "peak memory {:.0} MB", bytes as f64 / 1e6)?;
    }
    Ok(out.flush()?)
}
