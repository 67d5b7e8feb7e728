//! How fast the operations are on the shapes of MobileVLM V2 1.7B, beside what the machine can do.
//!
//!     cargo bench -p mobilevlm-tensor -- [--threads N] [--kernels NAME] [--only WORD] [--cpu]
//!
//! Each line is the best of several runs, with its share of the limit measured in the same process
//! with the same table: multiply-add peak for products, read bandwidth for decoding. `--only` keeps
//! the lines that contain a word. With `--cpu`
//! time is the calling thread's processor time, which other processes on the machine disturb less;
//! it means something for one thread only.

use std::time::Duration;

use mobilevlm_tensor::ops::{self, KeyValues, Visible};
use mobilevlm_tensor::{Bytes, Compute, Format, Kernels, Matrix, probe, tables};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value_of = |flag: &str| {
        arguments
            .iter()
            .position(|a| a == flag)
            .and_then(|at| arguments.get(at + 1))
    };
    let threads = match value_of("--threads") {
        Some(number) => number.parse().expect("--threads takes a number"),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let cpu = arguments.iter().any(|a| a == "--cpu");
    let only = value_of("--only").cloned().unwrap_or_default();
    for table in tables() {
        if value_of("--kernels").is_some_and(|name| name != table.name) {
            continue;
        }
        match table.kernels() {
            Some(kernels) => Bench::new(kernels, threads, cpu, only.clone()).run(),
            None => println!(
                "{}: skipped, this machine lacks {}",
                table.name,
                table.missing.join(", ")
            ),
        }
    }
}

struct Bench {
    compute: Compute,
    threads: usize,
    cpu: bool,
    only: String,
    gflops: f64,
    gigabytes: f64,
}

impl Bench {
    fn new(kernels: &'static Kernels, threads: usize, cpu: bool, only: String) -> Bench {
        let compute = Compute::new(kernels, threads);
        let (gflops, gigabytes) = (
            probe::multiply_add_peak(&compute),
            probe::read_bandwidth(&compute),
        );
        println!(
            "\n{}, {threads} threads: {gflops:.1} GFLOP/s multiply-add, {:.1} Gop/s int8, \
             {gigabytes:.1} GB/s read",
            kernels.name(),
            probe::int8_peak(&compute)
        );
        Bench {
            compute,
            threads,
            cpu,
            only,
            gflops,
            gigabytes,
        }
    }

    fn run(&self) {
        for (m, k, n) in [(577, 1024, 1024), (577, 1024, 4096), (577, 4096, 1024)] {
            self.linear("tower", m, k, n);
        }
        self.attention("tower", 577, 16, 64, Visible::All);
        for (m, k, n) in [(205, 2048, 2048), (205, 2048, 5632), (205, 5632, 2048)] {
            self.linear("prefill", m, k, n);
        }
        self.attention("prefill", 205, 16, 128, Visible::Causal { first: 0 });
        self.elementwise();
        for rows in [1, 4, 8] {
            self.step(rows);
        }
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    fn linear(&self, part: &str, m: usize, k: usize, n: usize) {
        let name = format!("{part} linear {m}×{k}→{n}");
        if !self.wants(&name) {
            return;
        }
        let x = numbers(m * k);
        let mut y = vec![0.0; m * n];
        let w = weights(n, k);
        let seconds = self.best(|| ops::linear(&self.compute, &x, &w, None, &mut y));
        self.report_flops(&name, 2.0 * (m * k * n) as f64, seconds);
    }

    fn attention(&self, part: &str, m: usize, heads: usize, head_dim: usize, visible: Visible) {
        let name = format!("{part} attention {m}, {heads} heads of {head_dim}");
        if !self.wants(&name) {
            return;
        }
        let q = numbers(m * heads * head_dim);
        let mut kv = KeyValues::new(heads, head_dim);
        kv.append(&self.compute, &q, &q);
        let mut out = vec![0.0; q.len()];
        let seconds =
            self.best(|| ops::attention(&self.compute, &q, heads, &kv, visible, &mut out));
        if visible == Visible::All {
            let name = format!("{name}, in integers");
            let seconds = self
                .best(|| ops::attention_i16(&self.compute, &q, &q, &q, heads, head_dim, &mut out));
            self.report_flops(&name, 4.0 * (m * m * heads * head_dim) as f64, seconds);
        }
        let pairs = match visible {
            Visible::All => m * m,
            Visible::Causal { .. } => m * (m + 1) / 2,
        };
        self.report_flops(&name, 4.0 * (pairs * heads * head_dim) as f64, seconds);
    }

    /// The vector work of one block of the tower, which should be small beside its products.
    fn elementwise(&self) {
        if !self.wants("elementwise") {
            return;
        }
        let (m, hidden, ffn) = (577, 1024, 4096);
        let source = numbers(m * ffn);
        // Copied in each run, since repeated activations end in subnormal numbers, which are slow.
        let mut x = source.clone();
        let weight = numbers(hidden);
        let mut out = vec![0.0; m * hidden];
        let c = &self.compute;
        let rows = numbers(m * hidden);
        let mut kv = KeyValues::new(16, 64);
        for (name, seconds) in [
            (
                "quick_gelu 577×4096",
                self.best(|| {
                    x.copy_from_slice(&source);
                    ops::quick_gelu(c, &mut x);
                }),
            ),
            (
                "gelu 577×4096",
                self.best(|| {
                    x.copy_from_slice(&source);
                    ops::gelu(c, &mut x);
                }),
            ),
            (
                "layer_norm 577×1024",
                self.best(|| ops::layer_norm(c, &rows, &weight, &weight, 1e-5, &mut out)),
            ),
            (
                "rms_norm 577×1024",
                self.best(|| ops::rms_norm(c, &rows, &weight, 1e-5, &mut out)),
            ),
            (
                "append keys and values 577×1024",
                self.best(|| {
                    kv.truncate(0);
                    kv.append(c, &rows, &rows);
                }),
            ),
        ] {
            println!("  {name:<44} {:8.3} ms", seconds * 1e3);
        }
    }

    /// The matrices of the language model, read once each, as a step of `rows` sequences does.
    fn step(&self, rows: usize) {
        let name = format!("step of {rows}");
        if !self.wants(&name) {
            return;
        }
        let (hidden, ffn, layers) = (2048, 5632, 6);
        let layer: Vec<Vec<Matrix>> = (0..layers)
            .map(|_| {
                let square = (0..4).map(|_| weights(hidden, hidden));
                square
                    .chain([
                        weights(ffn, hidden),
                        weights(ffn, hidden),
                        weights(hidden, ffn),
                    ])
                    .collect()
            })
            .collect();
        let bytes: usize = layer.iter().flatten().map(|w| w.bytes().len()).sum();
        let x = numbers(rows * ffn);
        let mut y = vec![0.0; rows * ffn];
        let seconds = self.best(|| {
            for w in layer.iter().flatten() {
                ops::linear(
                    &self.compute,
                    &x[..rows * w.columns()],
                    w,
                    None,
                    &mut y[..rows * w.rows()],
                );
            }
        });
        let rate = bytes as f64 / seconds / 1e9;
        println!(
            "  {:<44} {:8.3} ms {rate:8.1} GB/s   {:5.1} % of read bandwidth",
            format!("{name}, {} MB of f16 weights", bytes / 1_000_000),
            seconds * 1e3,
            100.0 * rate / self.gigabytes
        );
    }

    fn report_flops(&self, name: &str, operations: f64, seconds: f64) {
        let rate = operations / seconds / 1e9;
        println!(
            "  {name:<44} {:8.3} ms {rate:8.1} GFLOP/s {:5.1} % of peak",
            seconds * 1e3,
            100.0 * rate / self.gflops
        );
    }

    /// Seconds of the best run: as many as fit in half a second, and five at least.
    fn best(&self, mut run: impl FnMut()) -> f64 {
        run();
        let (mut best, mut total) = (f64::INFINITY, 0.0);
        for round in 0.. {
            if round >= 5 && total > 0.5 {
                break;
            }
            let start = self.now();
            run();
            let seconds = (self.now() - start).as_secs_f64();
            best = best.min(seconds);
            total += seconds;
        }
        best
    }

    fn now(&self) -> Duration {
        let clock = if self.cpu && self.threads == 1 {
            libc::CLOCK_THREAD_CPUTIME_ID
        } else {
            libc::CLOCK_MONOTONIC
        };
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a place for the result, and both clocks exist on Linux.
        unsafe { libc::clock_gettime(clock, &mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// Numbers between −0.5 and 0.5, the same in each run.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn weights(rows: usize, columns: usize) -> Matrix {
    let stored = Format::F16.encode(&numbers(rows * columns));
    Matrix::new(Format::F16, rows, columns, Bytes::from(stored))
        .expect("as many bytes as the shape has")
}
