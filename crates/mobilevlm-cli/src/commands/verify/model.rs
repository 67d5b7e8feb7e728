//! A model: features, embeds, logits and answers of every recorded case.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::{Event, GenerateOptions, Model, Picture};
use mobilevlm_processor::{Aspect, PromptItem};
use serde::{Deserialize, Serialize};

use super::compare::Stage;
use super::files::{self, Recorded, content};
use super::preprocess::Row;
use crate::args::{ArithmeticName, ComputeArgs, ModelArgs, VerifyArgs};
use crate::error::CliError;
use crate::plan::{self, Network};
use crate::terminal::Terminal;

/// Allowed of vision features and image embeds: largest difference over standard deviation.
const FEATURES_TOLERANCE: f64 = 5e-5;
/// Allowed of logits.
const LOGITS_TOLERANCE: f64 = 2e-4;
/// Where the two best logits were recorded closer than this, either may win.
const TIE: f64 = 1e-3;
/// What upstream writes for a picture among the ids of a prompt (`IMAGE_TOKEN_INDEX`).
const PICTURE_ID: i64 = -200;

/// A recorded case. Other keys are not needed.
#[derive(Deserialize)]
struct Case {
    name: String,
    images: Vec<String>,
    prompt: String,
    input_ids: Vec<i64>,
    max_new_tokens: usize,
    output_ids: Vec<u32>,
    margins: Vec<f64>,
}

/// What came out for the whole set.
#[derive(Serialize)]
pub(super) struct Report {
    model: String,
    kernels: &'static str,
    threads: usize,
    stages: Stages,
    cases: Vec<CaseReport>,
}

#[derive(Serialize)]
struct Stages {
    vision_features: Stage,
    image_embeds: Stage,
    logits: Stage,
}

#[derive(Serialize)]
struct CaseReport {
    name: String,
    /// Whether the prompt tokenises to the recorded ids.
    prompt_equal: bool,
    ids: Ids,
    /// Ids that are equal from the start.
    equal_ids: usize,
    recorded_ids: usize,
}

/// How the greedy ids compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Ids {
    Equal,
    /// They part where the record was as good as undecided.
    Tie,
    Differ,
}

/// Compares the model with the set in `golden`.
pub(super) fn verify(
    args: &VerifyArgs,
    name: &str,
    golden: &Path,
    terminal: Terminal,
    failures: &mut Vec<String>,
) -> Result<Report, CliError> {
    let cases_path = golden.join("cases.json");
    let cases: Vec<Case> = files::json(&cases_path)?;
    if cases.is_empty() {
        return Err(content(&cases_path, "expected cases, found none"));
    }
    let reference = Recorded::open(golden.join("reference.safetensors"))?;
    let model = open(args, name, terminal)?;
    let pictures = Pictures::new(args, golden, &model)?;
    let mut run = Run {
        model: &model,
        reference,
        stages: Stages {
            vision_features: Stage::new(FEATURES_TOLERANCE),
            image_embeds: Stage::new(FEATURES_TOLERANCE),
            logits: Stage::new(LOGITS_TOLERANCE),
        },
        failures,
    };
    let mut reports = Vec::new();
    for case in &cases {
        check(case, &cases_path)?;
        reports.push(run.case(case, &pictures, &cases_path)?);
    }
    let Run {
        stages,
        reference,
        failures,
        ..
    } = run;
    let with_pictures = cases.iter().any(|case| !case.images.is_empty());
    for (stage, name, needed) in [
        (&stages.vision_features, "vision_features", with_pictures),
        (&stages.image_embeds, "image_embeds", with_pictures),
        (&stages.logits, "logits", true),
    ] {
        if needed && stage.tensors() == 0 {
            return Err(content(
                reference.path(),
                format!("expected recorded {name}, found none"),
            ));
        }
        failures.extend(stage.failure(name));
    }
    let compute = model.compute();
    Ok(Report {
        model: name.to_owned(),
        kernels: compute.kernels().name(),
        threads: compute.pool().threads(),
        stages,
        cases: reports,
    })
}

/// Opens the model that was named.
pub(super) fn open(args: &VerifyArgs, name: &str, terminal: Terminal) -> Result<Model, CliError> {
    let model_args = ModelArgs {
        model: Some(name.to_owned()),
        vision_tower: args.vision_tower.clone(),
        mmproj: args.mmproj.clone(),
        no_mmap: false,
        no_state_cache: true,
    };
    let compute = ComputeArgs {
        // The record was made in float32.
        arithmetic: args.compute.arithmetic.or(Some(ArithmeticName::F32)),
        ..args.compute.clone()
    };
    plan::open_model(&model_args, &compute, Network::Never, terminal)
}

/// Whether the parts of a case fit together.
fn check(case: &Case, path: &Path) -> Result<(), CliError> {
    let wrong = |what: String| Err(content(path, format!("case {:?}: {what}", case.name)));
    let places = case
        .input_ids
        .iter()
        .filter(|&&id| id == PICTURE_ID)
        .count();
    let (answer, margins) = (case.output_ids.len(), case.margins.len());
    if answer == 0 {
        return wrong("expected output_ids, found none".to_owned());
    }
    if margins != answer {
        return wrong(format!(
            "expected {answer} margins, one for each output id, found {margins}"
        ));
    }
    if places != case.images.len() {
        return wrong(format!(
            "input_ids have places for {places} pictures, images has {}",
            case.images.len()
        ));
    }
    Ok(())
}

/// A set under way.
struct Run<'a> {
    model: &'a Model,
    reference: Recorded,
    stages: Stages,
    failures: &'a mut Vec<String>,
}

impl Run<'_> {
    fn case(
        &mut self,
        case: &Case,
        pictures: &Pictures,
        path: &Path,
    ) -> Result<CaseReport, CliError> {
        let prompt_equal = self.prompt(case);
        let mut encoded = Vec::new();
        for (index, image) in case.images.iter().enumerate() {
            let picture = pictures.read(image)?;
            self.picture(&format!("{}.{index}", case.name), &picture)?;
            encoded.push(self.model.encode(&picture)?);
        }
        // From the recorded ids, so that a wrong tokenizer is one failure and not many.
        let items = items(&case.name, &case.input_ids, path)?;
        let prompt = self.model.prompt(&items, &encoded)?;
        let options = GenerateOptions {
            max_new_tokens: case.max_new_tokens,
            ..GenerateOptions::default()
        };
        let (mut ids, mut logits) = (Vec::new(), Vec::new());
        self.model.generate(prompt, &options, &mut |event| {
            let Event::Token { id, logits: row } = event else {
                return ControlFlow::Continue(());
            };
            // Rows behind a different id continue another answer.
            let recorded = case.output_ids.get(ids.len());
            if recorded.is_some() {
                logits.extend_from_slice(row);
            }
            ids.push(id);
            if recorded == Some(&id) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        let shape = [case.output_ids.len(), self.model.language().vocab()];
        let name = format!("{}.logits", case.name);
        match self.reference.get(&name, &shape)? {
            Some(recorded) => self.stages.logits.add(&logits, &recorded),
            None => {
                return Err(content(
                    self.reference.path(),
                    format!("expected a tensor {name:?}, found none"),
                ));
            }
        }
        Ok(self.ids(case, prompt_equal, &ids))
    }

    /// Whether the prompt's text becomes the recorded ids.
    fn prompt(&mut self, case: &Case) -> bool {
        let id = |item: &PromptItem| match item {
            PromptItem::Token(id) => i64::from(*id),
            PromptItem::Picture => PICTURE_ID,
        };
        let ids: Vec<i64> = self
            .model
            .tokenizer()
            .encode_prompt(&case.prompt)
            .iter()
            .map(id)
            .collect();
        if let Some(at) = first_difference(&ids, &case.input_ids) {
            self.failures.push(format!(
                "case {}: the prompt tokenises to {:?} at position {at}, recorded is {:?}",
                case.name,
                ids.get(at),
                case.input_ids.get(at)
            ));
            return false;
        }
        true
    }

    /// Compares the stages of one picture, where they are recorded.
    fn picture(&mut self, name: &str, picture: &Picture) -> Result<(), CliError> {
        let vision = &self.model.config().vision;
        let shape = [vision.patches(), vision.hidden];
        let features = self
            .reference
            .get(&format!("{name}.vision_features"), &shape)?;
        let shape = [
            self.model.projector().tokens(),
            self.model.language().hidden(),
        ];
        let embeds = self
            .reference
            .get(&format!("{name}.image_embeds"), &shape)?;
        if let Some(recorded) = features {
            let computed = self.model.vision_features(&self.model.pixels(picture)?)?;
            self.stages.vision_features.add(&computed, &recorded);
        }
        if let Some(recorded) = embeds {
            self.stages
                .image_embeds
                .add(self.model.encode(picture)?.embeds(), &recorded);
        }
        Ok(())
    }

    fn ids(&mut self, case: &Case, prompt_equal: bool, ids: &[u32]) -> CaseReport {
        let recorded = &case.output_ids;
        let at = first_difference(ids, recorded);
        let result = match at {
            None => Ids::Equal,
            // Both chose, and the record hardly cared.
            Some(at)
                if at < ids.len() && case.margins.get(at).is_some_and(|margin| *margin < TIE) =>
            {
                Ids::Tie
            }
            Some(at) => {
                self.failures.push(format!(
                    "case {}: id {at} of the answer is {:?}, recorded is {:?}",
                    case.name,
                    ids.get(at),
                    recorded.get(at)
                ));
                Ids::Differ
            }
        };
        CaseReport {
            name: case.name.clone(),
            prompt_equal,
            ids: result,
            equal_ids: at.unwrap_or(recorded.len()),
            recorded_ids: recorded.len(),
        }
    }
}

/// The items of a prompt that is recorded as ids.
pub(super) fn items(case: &str, ids: &[i64], path: &Path) -> Result<Vec<PromptItem>, CliError> {
    let item = |&id: &i64| match (id, u32::try_from(id)) {
        (PICTURE_ID, _) => Ok(PromptItem::Picture),
        (_, Ok(id)) => Ok(PromptItem::Token(id)),
        _ => Err(content(path, format!("case {case:?}: {id} is no id"))),
    };
    ids.iter().map(item).collect()
}

/// Where two sequences part; one that ends earlier parts at its end.
fn first_difference<T: PartialEq>(a: &[T], b: &[T]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common)
}

/// Where the pictures of a set are.
pub(super) struct Pictures {
    images: Option<PathBuf>,
    preprocess: Option<PathBuf>,
    /// Files that the index of the recorded pixels names.
    indexed: Vec<String>,
    mode: &'static str,
    size: usize,
}

impl Pictures {
    pub(super) fn new(
        args: &VerifyArgs,
        golden: &Path,
        model: &Model,
    ) -> Result<Pictures, CliError> {
        let place = |named: Option<&PathBuf>, name: &str| match named {
            Some(folder) => files::named_folder(folder).map(Some),
            None => Ok(files::first_folder(&[
                golden.join(name),
                golden.join("../..").join(name),
            ])),
        };
        let preprocess = place(args.preprocess.as_ref(), "preprocess")?;
        let mut indexed = Vec::new();
        if let Some(folder) = &preprocess {
            let index = folder.join("index.json");
            if index.exists() {
                indexed.extend(
                    files::json::<Vec<Row>>(&index)?
                        .into_iter()
                        .map(|row| row.file),
                );
            }
        }
        let preprocessor = model.preprocessor();
        Ok(Pictures {
            images: place(args.images.as_ref(), "images")?,
            preprocess,
            indexed,
            mode: match preprocessor.aspect {
                Aspect::Pad => "pad",
                Aspect::Square => "square",
            },
            size: preprocessor.size,
        })
    }

    /// The recorded pixels of a picture where there are, else the picture itself.
    ///
    /// The picture must be there in both cases: a set that lacks one is not the set that it says.
    pub(super) fn read(&self, name: &str) -> Result<Picture, CliError> {
        let Some(images) = &self.images else {
            return Err(CliError::Failed(format!(
                "{name}: there is no folder of pictures; name it with --images"
            )));
        };
        let image = images.join(name);
        if !image.is_file() {
            return Err(content(
                &image,
                "cases.json names this picture, and it is not there",
            ));
        }
        if let Some(preprocess) = &self.preprocess {
            let file = format!("{name}.{}.{}.png", self.mode, self.size);
            let path = preprocess.join(&file);
            if path.exists() || self.indexed.contains(&file) {
                return Ok(Picture::from_prepared(files::picture(&path)?));
            }
        }
        Ok(Picture::from_image(files::picture(&image)?))
    }
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: kernels {}, {} threads\n",
            self.model, self.kernels, self.threads
        )?;
        writeln!(out, "{}", Stage::heading())?;
        writeln!(
            out,
            "{}",
            self.stages.vision_features.row("vision features")
        )?;
        writeln!(out, "{}", self.stages.image_embeds.row("image embeds"))?;
        writeln!(out, "{}", self.stages.logits.row("logits"))?;
        writeln!(out, "\n{:<20} {:<8} ids", "case", "prompt")?;
        for case in &self.cases {
            let prompt = if case.prompt_equal {
                "equal"
            } else {
                "DIFFERS"
            };
            let ids = match case.ids {
                Ids::Equal => "equal",
                Ids::Tie => "equal up to a tie",
                Ids::Differ => "DIFFER",
            };
            writeln!(
                out,
                "{:<20} {prompt:<8} {ids} ({} of {})",
                case.name, case.equal_ids, case.recorded_ids
            )?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_part_at_the_first_difference_or_where_one_ends() {
        assert_eq!(first_difference(&[1, 2], &[1, 2]), None);
        assert_eq!(first_difference(&[1, 2], &[1, 3]), Some(1));
        assert_eq!(first_difference(&[1], &[1, 3]), Some(1));
        assert_eq!(first_difference(&[1, 2, 3], &[1, 2]), Some(2));
        assert_eq!(first_difference::<u8>(&[], &[]), None);
    }
}
