//! Running the recipes: the common start once, and stage 1, stage 2 and an examination for each run.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mobilevlm::{Model, OpenOptions, Picture, RgbImage};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::cells::Cell;
use super::outcome::{Figures, Outcome, Stage};
use crate::steps::{Done, keep_pages, output, say, workspace};

/// The recipes, below the root.
const RECIPES: &str = "recipes/train/ablation";

const TOKENIZER: &str = "1-tokenizer";
const SHAPES: &str = "2-shapes";
const START: &str = "3-start";
const STAGE_1: &str = "4-stage1";
const STAGE_2: &str = "5-stage2";

/// Where everything of these recipes is, and the program that runs them.
pub(super) struct Chain {
    /// Named by a hash of the recipes and the examination.
    folder: PathBuf,
    program: PathBuf,
    /// Questions of each kind.
    limit: NonZeroUsize,
}

impl Chain {
    /// Nothing is run yet.
    pub(super) fn new(
        folder: &Path,
        program: PathBuf,
        limit: NonZeroUsize,
    ) -> Result<Chain, Box<dyn Error>> {
        let mut digest = Sha256::new();
        for name in [TOKENIZER, SHAPES, START, STAGE_1, STAGE_2] {
            let path = recipe(name);
            let text = fs::read(&path)
                .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
            digest.update(text);
        }
        digest.update(format!("{limit} questions"));
        let digest = digest.finalize();
        let name: String = digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Chain {
            folder: folder.join(name),
            program,
            limit,
        })
    }

    /// Makes tokenizer, tower and language model, if they are not there yet.
    pub(super) fn make_start(&self) -> Done {
        fs::create_dir_all(&self.folder)?;
        self.train_once(TOKENIZER, &[])?;
        let from_tokenizer = set("tokenizer.from", &self.model(TOKENIZER));
        self.train_once(SHAPES, &[from_tokenizer])?;
        self.train_once(START, &[set("model.from", &self.model(SHAPES))])
    }

    /// How the training of the common start ended.
    pub(super) fn start(&self) -> Result<Stage, Box<dyn Error>> {
        Stage::read(&self.folder.join(START))
    }

    /// Where a run keeps what came out.
    pub(super) fn outcome_path(&self, cell: Cell, seed: u64) -> PathBuf {
        self.run_folder(cell, seed).join("outcome.json")
    }

    /// Trains and examines a cell, unless that was done before.
    pub(super) fn run(&self, cell: Cell, seed: u64) -> Done {
        let path = self.outcome_path(cell, seed);
        if Outcome::read(&path)?.is_some() {
            return Ok(());
        }
        let folder = self.run_folder(cell, seed);
        fs::create_dir_all(&folder)?;
        let (first, second) = (folder.join("stage1"), folder.join("stage2"));
        let cache = set("run.feature_cache", &self.folder.join("features"));
        let common = [format!("seed={seed}"), cache];

        let mut settings = cell.settings();
        settings.extend(common.clone());
        settings.push(set("vision.from", &self.model(START)));
        settings.push(set("language.from", &self.model(START)));
        self.train(STAGE_1, &first, &settings)?;

        let mut settings = common.to_vec();
        settings.push(set("model.from", &first.join("model")));
        self.train(STAGE_2, &second, &settings)?;

        let model = second.join("model");
        let (side, tokens) = picture(&model)?;
        let outcome = Outcome {
            cell,
            seed,
            tokens,
            projector_parameters: self.projector_parameters(&model)?,
            stage1: Stage::read(&first)?,
            stage2: Stage::read(&second)?,
            figures: self.examine(&model, side)?,
        };
        outcome.write(&path)?;
        // They are large, and of no use any more.
        for stage in [first, second] {
            let _ = fs::remove_dir_all(stage.join("checkpoints"));
        }
        Ok(())
    }

    fn run_folder(&self, cell: Cell, seed: u64) -> PathBuf {
        self.folder.join(format!("{}-{seed}", cell.name()))
    }

    /// What a recipe of the start leaves.
    fn model(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("model")
    }

    /// `model` is written last, and whole or not at all.
    fn train_once(&self, name: &str, settings: &[String]) -> Done {
        if self.model(name).exists() {
            return Ok(());
        }
        say(name);
        self.train(name, &self.folder.join(name), settings)
    }

    fn train(&self, name: &str, out: &Path, settings: &[String]) -> Done {
        let mut command = self.command(&["train"]);
        command.arg(recipe(name)).arg("--out").arg(out);
        command.args(["--resume", "--json", "--quiet"]);
        for set in settings {
            command.args(["--set", set]);
        }
        output(&mut command)?;
        Ok(())
    }

    fn projector_parameters(&self, model: &Path) -> Result<u64, Box<dyn Error>> {
        #[derive(Deserialize)]
        struct Inspection {
            parts: Vec<Part>,
        }
        #[derive(Deserialize)]
        struct Part {
            name: String,
            parameters: u64,
        }
        let mut command = self.command(&["inspect", "--json"]);
        let text = output(command.arg(model))?;
        let inspection: Inspection = serde_json::from_str(&text)?;
        let mut parts = inspection.parts.iter();
        let part = parts.find(|part| part.name == "projector");
        part.map(|part| part.parameters)
            .ok_or_else(|| format!("{}: has no projector", model.display()).into())
    }

    /// Asks the held-out world; gives the kinds that stage 2 trains.
    fn examine(
        &self,
        model: &Path,
        side: usize,
    ) -> Result<BTreeMap<String, Figures>, Box<dyn Error>> {
        #[derive(Deserialize)]
        struct Examination {
            figures: BTreeMap<String, Figures>,
        }
        let mut command = self.command(&["eval", "world", "--json", "--threads", "1"]);
        command.args(["--limit", &self.limit.to_string()]);
        command.args(["--size", &side.to_string()]);
        let text = output(command.arg("-m").arg(model))?;
        let examination: Examination = serde_json::from_str(&text)?;
        let kinds = kinds(&fs::read_to_string(recipe(STAGE_2))?)?;
        let all = examination.figures.into_iter();
        Ok(all.filter(|(kind, _)| kinds.contains(kind)).collect())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        keep_pages(&mut command);
        command
    }
}

/// A path laid over a recipe's, as TOML's literal text.
fn set(key: &str, path: &Path) -> String {
    format!("{key}='{}'", path.display())
}

fn recipe(name: &str) -> PathBuf {
    workspace().join(RECIPES).join(format!("{name}.toml"))
}

/// The line `kinds = ["…", …]` of a recipe.
fn kinds(recipe: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let line = recipe
        .lines()
        .find_map(|line| line.strip_prefix("kinds = "));
    let list = line.ok_or("expected a line that begins with \"kinds = \", found none")?;
    Ok(serde_json::from_str(list)?)
}

/// Pixels in a side of the tower's pictures, and the places that a picture takes in the engine.
fn picture(model: &Path) -> Result<(usize, usize), Box<dyn Error>> {
    let model = Model::open(model, &OpenOptions::default())?;
    let side = model.config().preprocess.image_size;
    let picture = RgbImage::filled(side, side, [128; 3]);
    Ok((side, model.encode(&Picture::from_image(picture))?.tokens()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablation::cells::TABLE_7;
    use crate::ablation::outcome::tests::outcome;

    fn chain(folder: &Path, limit: usize) -> Chain {
        let nothing = folder.join("no such program");
        Chain::new(folder, nothing, NonZeroUsize::new(limit).unwrap()).unwrap()
    }

    #[test]
    fn a_run_that_is_done_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let chain = chain(folder.path(), 100);
        let cell = TABLE_7[0];
        let path = chain.outcome_path(cell, 1);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        outcome(cell, 1, 0.5).write(&path).unwrap();
        // The program does not exist: whoever runs it fails.
        chain.run(cell, 1).unwrap();
        let error = chain.run(cell, 0).unwrap_err().to_string();
        assert!(error.contains("no such program"), "{error}");
    }

    #[test]
    fn another_examination_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = |limit| chain(folder.path(), limit).outcome_path(TABLE_7[0], 0);
        assert_eq!(path(100), path(100));
        assert_ne!(path(100), path(50));
    }

    #[test]
    fn kinds_are_those_of_the_recipe() {
        let text = fs::read_to_string(recipe(STAGE_2)).unwrap();
        let examined = mobilevlm_data::world::Kind::EXAMINED.map(|kind| kind.name());
        let kinds = kinds(&text).unwrap();
        assert!(!kinds.is_empty());
        let known = |kind: &String| examined.contains(&kind.as_str());
        assert!(kinds.iter().all(known), "{kinds:?}");
        assert!(super::kinds("task = 1").is_err());
    }
}
