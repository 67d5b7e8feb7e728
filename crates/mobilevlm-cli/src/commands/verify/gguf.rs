//! A model in a GGUF file: the logits behind each recorded prompt, against those recorded for the
//! very same file.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use mobilevlm::{Arithmetic, EncodedPicture, Event, GenerateOptions, Model};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compare::deviation;
use super::files::{self, Recorded, content};
use super::model::{self, Pictures};
use crate::args::VerifyArgs;
use crate::error::CliError;
use crate::plan::{self, Network};
use crate::terminal::Terminal;

/// Allowed in float32: largest difference over standard deviation.
const F32_TOLERANCE: f64 = 5e-4;
/// Allowed in whole numbers, in each case: root mean square difference over standard deviation.
const FAST_TOLERANCE: f64 = 0.05;
/// Allowed in whole numbers, on average over the cases, of llama.cpp's own difference.
const FAST_SHARE: f64 = 1.1;
/// Where the two best logits were recorded closer than this over standard deviation, either may
/// win.
const CLOSE: f64 = 0.15;

/// `expected.json`. Other keys are not needed.
#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
    files: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    images: Vec<String>,
    input_ids: Vec<i64>,
}

/// What is recorded of one file; lists are in the order of the cases.
#[derive(Deserialize)]
struct File {
    sha256: String,
    argmax: Vec<usize>,
    margin_over_std: Vec<f64>,
    /// What builds of llama.cpp computed; only those that are named here count.
    #[serde(default)]
    llama_cpp: Builds,
}

#[derive(Default, Deserialize)]
struct Builds {
    native: Option<Build>,
    avx2: Option<Build>,
}

#[derive(Deserialize)]
struct Build {
    rms_difference_over_std: Vec<f64>,
}

impl Builds {
    /// The larger of the builds' mean differences, if there are any.
    fn difference(&self) -> Option<f64> {
        [&self.native, &self.avx2]
            .into_iter()
            .flatten()
            .map(|build| mean(&build.rms_difference_over_std))
            .reduce(f64::max)
    }
}

/// What came out for the file.
#[derive(Serialize)]
pub(super) struct Report {
    model: String,
    /// The file's name in the record.
    file: String,
    sha256: String,
    kernels: &'static str,
    threads: usize,
    arithmetic: &'static str,
    cases: Vec<CaseReport>,
    /// Largest difference of all cases over standard deviation.
    max_over_std: f64,
    /// Mean of the cases' root mean square differences over standard deviation.
    mean_rms_over_std: f64,
    /// The same of llama.cpp, the larger of its builds.
    llama_cpp_mean_rms_over_std: Option<f64>,
}

#[derive(Serialize)]
struct CaseReport {
    name: String,
    max_over_std: f64,
    rms_over_std: f64,
    argmax: usize,
    recorded_argmax: usize,
    recorded_margin_over_std: f64,
}

/// Compares the model with the record of its file in `folder`; `golden` has the pictures.
pub(super) fn verify(
    args: &VerifyArgs,
    name: &str,
    golden: &Path,
    folder: &Path,
    terminal: Terminal,
    failures: &mut Vec<String>,
) -> Result<Report, CliError> {
    let path = folder.join("expected.json");
    let expected: Expected = files::json(&path)?;
    let found = plan::find_model(Some(name), Network::Never, terminal)?;
    let sha256 = hash(&found.files()?.path)?;
    let record = expected
        .files
        .iter()
        .find(|(_, file)| file.sha256 == sha256);
    let Some((file_name, file)) = record else {
        let known: Vec<&str> = expected.files.keys().map(String::as_str).collect();
        let wrong = format!(
            "expected the record of a file with SHA-256 {sha256} ({name}), found those of {}",
            known.join(", ")
        );
        return Err(content(&path, wrong));
    };
    if expected.cases.is_empty() {
        return Err(content(&path, "expected cases, found none"));
    }
    for (list, length) in [
        ("argmax", file.argmax.len()),
        ("margin_over_std", file.margin_over_std.len()),
    ] {
        if length != expected.cases.len() {
            let cases = expected.cases.len();
            let wrong = format!("{file_name}: expected {cases} of {list}, found {length}");
            return Err(content(&path, wrong));
        }
    }
    let model = model::open(args, name, terminal)?;
    let run = Run {
        model: &model,
        embeds: Recorded::open(golden.join("reference.safetensors"))?,
        pictures: Pictures::new(args, golden, &model)?,
        path: &path,
    };
    let vocab = model.language().vocab();
    let reference = Recorded::open(folder.join("expected.safetensors"))?;
    let tensor = reference_of(file_name, &reference)?;
    let rows = reference.get(&tensor, &[expected.cases.len(), vocab])?;
    let rows = rows.unwrap_or_default();

    let mut cases = Vec::new();
    for (index, (case, recorded)) in expected.cases.iter().zip(rows.chunks(vocab)).enumerate() {
        let computed = run.logits(case)?;
        cases.push(CaseReport {
            recorded_argmax: file.argmax[index],
            recorded_margin_over_std: file.margin_over_std[index],
            ..CaseReport::new(&case.name, &computed, recorded)
        });
    }
    let compute = model.compute();
    let rms: Vec<f64> = cases.iter().map(|case| case.rms_over_std).collect();
    let report = Report {
        model: name.to_owned(),
        file: file_name.clone(),
        sha256,
        kernels: compute.kernels().name(),
        threads: compute.pool().threads(),
        arithmetic: compute.arithmetic().name(),
        max_over_std: cases
            .iter()
            .map(|case| case.max_over_std)
            .fold(0.0, f64::max),
        mean_rms_over_std: mean(&rms),
        llama_cpp_mean_rms_over_std: file.llama_cpp.difference(),
        cases,
    };
    failures.extend(report.failures(compute.arithmetic()));
    Ok(report)
}

/// SHA-256 of a file, in hexadecimal.
fn hash(path: &Path) -> Result<String, CliError> {
    let mut file = std::fs::File::open(path).map_err(CliError::read(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(CliError::read(path))? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    let hash = hash.finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The tensor with a file's logits: `q4_k_m.reference` for `v2-ldpv2-q4_k_m.gguf`.
fn reference_of(file: &str, reference: &Recorded) -> Result<String, CliError> {
    let stem = file.strip_suffix(".gguf").unwrap_or(file);
    let names = reference.names()?;
    let found = names.into_iter().find(|name| {
        let kind = name.strip_suffix(".reference");
        kind.is_some_and(|kind| stem.ends_with(&format!("-{kind}")))
    });
    found.ok_or_else(|| {
        let wrong = format!("expected a tensor KIND.reference for {file}, found none");
        content(reference.path(), wrong)
    })
}

/// A model under comparison.
struct Run<'a> {
    model: &'a Model,
    /// Recorded embeds of pictures.
    embeds: Recorded,
    pictures: Pictures,
    path: &'a Path,
}

impl Run<'_> {
    /// The logits behind the last position of a case's prompt.
    fn logits(&self, case: &Case) -> Result<Vec<f32>, CliError> {
        let items = model::items(&case.name, &case.input_ids, self.path)?;
        let pictures = case
            .images
            .iter()
            .enumerate()
            .map(|(index, image)| self.encode(&format!("{}.{index}", case.name), image))
            .collect::<Result<Vec<EncodedPicture>, CliError>>()?;
        let prompt = self.model.prompt(&items, &pictures)?;
        let options = GenerateOptions {
            max_new_tokens: 1,
            ..GenerateOptions::default()
        };
        let mut logits = Vec::new();
        self.model.generate(prompt, &options, &mut |event| {
            if let Event::Token { logits: row, .. } = event {
                logits = row.to_vec();
            }
            ControlFlow::Break(())
        })?;
        Ok(logits)
    }

    /// The recorded embeds of a picture, else those of the projector's file, in float32.
    fn encode(&self, name: &str, image: &str) -> Result<EncodedPicture, CliError> {
        let model = self.model;
        let width = model.language().hidden();
        let shape = [model.projector().tokens(), width];
        let recorded = self.embeds.get(&format!("{name}.image_embeds"), &shape)?;
        let embeds = match recorded {
            Some(recorded) => recorded,
            None => {
                let exact = model.compute().clone().with_arithmetic(Arithmetic::F32);
                let pixels = model.pixels(&self.pictures.read(image)?)?;
                let features = model.tower().encode(&exact, &pixels);
                let features = features.map_err(mobilevlm::Error::from)?;
                let embeds = model.projector().forward(&exact, &features);
                embeds.map_err(mobilevlm::Error::from)?
            }
        };
        Ok(EncodedPicture::from_embeds(embeds, width))
    }
}

impl CaseReport {
    /// The differences of a case; a value that is no number is infinitely wrong.
    fn new(name: &str, computed: &[f32], recorded: &[f32]) -> CaseReport {
        let std = deviation(recorded);
        let differences = computed.iter().zip(recorded).map(|(&x, &y)| {
            let difference = (f64::from(x) - f64::from(y)).abs() / std;
            match difference.is_nan() || computed.len() != recorded.len() {
                true => f64::INFINITY,
                false => difference,
            }
        });
        let differences: Vec<f64> = differences.collect();
        let squares: Vec<f64> = differences.iter().map(|x| x * x).collect();
        let best = computed.iter().enumerate();
        CaseReport {
            name: name.to_owned(),
            // Of no differences infinitely much, as of a mean.
            max_over_std: differences
                .iter()
                .copied()
                .reduce(f64::max)
                .unwrap_or(f64::INFINITY),
            rms_over_std: mean(&squares).sqrt(),
            argmax: best
                .max_by(|a, b| a.1.total_cmp(b.1))
                .map_or(0, |(index, _)| index),
            recorded_argmax: 0,
            recorded_margin_over_std: 0.0,
        }
    }
}

/// The mean of some values; of none, infinitely much, so that nothing passes by default.
fn mean(values: &[f64]) -> f64 {
    match values.len() {
        0 => f64::INFINITY,
        count => values.iter().sum::<f64>() / count as f64,
    }
}

impl Report {
    /// What is not as it should be.
    fn failures(&self, arithmetic: Arithmetic) -> Vec<String> {
        let mut failures = Vec::new();
        for case in &self.cases {
            let name = &case.name;
            let (found, allowed, what) = match arithmetic {
                Arithmetic::F32 => (case.max_over_std, F32_TOLERANCE, "largest"),
                _ => (case.rms_over_std, FAST_TOLERANCE, "root mean square"),
            };
            // So that what is no number fails.
            if !matches!(found.partial_cmp(&allowed), Some(order) if order.is_le()) {
                failures.push(format!(
                    "case {name}: {what} difference of the logits over standard deviation is \
                     {found:.2e}, at most {allowed:.0e} is allowed"
                ));
            }
            let decided = case.recorded_margin_over_std > CLOSE;
            if decided && case.argmax != case.recorded_argmax {
                failures.push(format!(
                    "case {name}: the largest logit is that of {}, recorded is {}",
                    case.argmax, case.recorded_argmax
                ));
            }
        }
        let theirs = self.llama_cpp_mean_rms_over_std;
        if let Some(theirs) = theirs.filter(|_| arithmetic != Arithmetic::F32) {
            let (found, allowed) = (self.mean_rms_over_std, FAST_SHARE * theirs);
            if found > allowed {
                failures.push(format!(
                    "root mean square differences over standard deviation are {found:.2e} on \
                     average, at most {allowed:.2e} is allowed ({FAST_SHARE} of llama.cpp's)"
                ));
            }
        }
        failures
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: recorded as {}; kernels {}, {} threads, arithmetic {}\n",
            self.model, self.file, self.kernels, self.threads, self.arithmetic
        )?;
        writeln!(
            out,
            "{:<20} {:>10} {:>10} {:>8} {:>8} {:>8}",
            "case", "largest", "rms", "best", "recorded", "margin"
        )?;
        for case in &self.cases {
            writeln!(
                out,
                "{:<20} {:>10.1e} {:>10.1e} {:>8} {:>8} {:>8.4}",
                case.name,
                case.max_over_std,
                case.rms_over_std,
                case.argmax,
                case.recorded_argmax,
                case.recorded_margin_over_std
            )?;
        }
        writeln!(
            out,
            "\nlogits over standard deviation: largest difference {:.1e}, rms {:.1e} on average",
            self.max_over_std, self.mean_rms_over_std
        )?;
        if let Some(theirs) = self.llama_cpp_mean_rms_over_std {
            writeln!(
                out,
                "llama.cpp on the same file: rms {theirs:.1e} on average"
            )?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(case: CaseReport) -> Report {
        Report {
            model: "m".to_owned(),
            file: "f".to_owned(),
            sha256: String::new(),
            kernels: "portable",
            threads: 1,
            arithmetic: "f32",
            max_over_std: case.max_over_std,
            mean_rms_over_std: case.rms_over_std,
            llama_cpp_mean_rms_over_std: Some(0.02),
            cases: vec![case],
        }
    }

    #[test]
    fn each_arithmetic_has_its_tolerance() {
        // Deviation 1; differences of 0.03 everywhere.
        let recorded = [1.0, -1.0, 1.0, -1.0];
        let computed = recorded.map(|x| x + 0.03);
        let case = CaseReport::new("a", &computed, &recorded);
        assert!((case.max_over_std - 0.03).abs() < 1e-6 && (case.rms_over_std - 0.03).abs() < 1e-6);
        let report = report(case);
        assert!(report.failures(Arithmetic::F32)[0].contains("largest difference"));
        let fast = report.failures(Arithmetic::Fast);
        assert_eq!(fast.len(), 1, "{fast:?}");
        assert!(fast[0].contains("of llama.cpp's"), "{fast:?}");
    }

    #[test]
    fn another_best_logit_counts_where_the_record_was_decided() {
        let recorded = [1.0, -1.0, 1.0 + 1e-6];
        let case = |margin| CaseReport {
            recorded_argmax: 1,
            recorded_margin_over_std: margin,
            ..CaseReport::new("a", &recorded, &recorded)
        };
        assert!(report(case(0.1)).failures(Arithmetic::Fast).is_empty());
        let failures = report(case(0.2)).failures(Arithmetic::Fast);
        assert!(
            failures[0].contains("is that of 2, recorded is 1"),
            "{failures:?}"
        );
    }

    #[test]
    fn what_is_no_number_fails() {
        for (computed, recorded) in [
            (&[f32::NAN, 1.0][..], &[0.0_f32, 1.0][..]),
            (&[0.0], &[0.0, 1.0]),
            (&[], &[0.0, 1.0]),
        ] {
            let case = CaseReport::new("a", computed, recorded);
            for arithmetic in [Arithmetic::F32, Arithmetic::Fast] {
                assert!(
                    !report(CaseReport { ..clone(&case) })
                        .failures(arithmetic)
                        .is_empty()
                );
            }
        }
    }

    fn clone(case: &CaseReport) -> CaseReport {
        CaseReport {
            name: case.name.clone(),
            ..*case
        }
    }
}
