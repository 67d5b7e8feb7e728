//! How good a model is while it is trained, on the engine that users run.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mobilevlm::{CancelToken, Chat, Exif, GenerateOptions, Limits, Model, OpenOptions, Picture};
use mobilevlm_data::{IMAGE_MARK, IndexPlace, Pictures, Rows};
use mobilevlm_eval::world::{self, Exam, is_right};
use mobilevlm_train::recipe::{DataSource, Recipe};

/// Tokens of an answer at most.
const ANSWER_TOKENS: usize = 128;

type Failure = Box<dyn Error + Send + Sync>;

/// Asks the model in a folder what the recipe wants it to be asked; gives shares of right answers.
pub(super) fn evaluate(
    recipe: &Recipe,
    folder: &Path,
    cancel: &CancelToken,
) -> Result<BTreeMap<String, f64>, Failure> {
    let model = Model::open(folder, &OpenOptions::default())?;
    let mut scores = BTreeMap::new();
    if let DataSource::World(data) = &recipe.data.source
        && data.eval_count > 0
    {
        let kinds = mobilevlm_data::world::Kind::EXAMINED.len() as u64;
        let exam = Exam {
            limit: usize::try_from(data.eval_count.div_ceil(kinds))?,
            seed: data.seed,
            size: model.preprocessor().size,
        };
        let examined = world::examine(&model, &exam, cancel, &mut |_, _| {})?;
        let right = examined
            .iter()
            .filter(|one| is_right(&one.answer, &one.expected));
        let share = right.count() as f64 / examined.len().max(1) as f64;
        scores.insert("accuracy".to_owned(), share);
        for (kind, figures) in world::figures(&examined) {
            scores.insert(format!("accuracy, {kind}"), figures.accuracy);
        }
    }
    if let Some(path) = &recipe.data.eval_path {
        let share = of_rows(&model, recipe, path, cancel)?;
        scores.insert("exact answers".to_owned(), share);
    }
    Ok(scores)
}

/// The share of rows whose first question is answered exactly as the row says.
fn of_rows(
    model: &Model,
    recipe: &Recipe,
    path: &Path,
    cancel: &CancelToken,
) -> Result<f64, Failure> {
    let rows = Rows::open(path, &IndexPlace::Beside, &mut |_, _| {
        ControlFlow::Continue(())
    })?;
    let folders = match &recipe.data.source {
        DataSource::Llava { image_folders, .. } if !image_folders.is_empty() => {
            image_folders.clone()
        }
        _ => vec![path.parent().map_or_else(PathBuf::new, Path::to_owned)],
    };
    let pictures = Pictures::open(&folders, Limits::default())?;
    let options = GenerateOptions {
        max_new_tokens: ANSWER_TOKENS,
        cancel: cancel.clone(),
        ..GenerateOptions::default()
    };
    let mut right = 0;
    for row in 0..rows.len() {
        let sample = rows.read(row)?;
        let [question, answer, ..] = &sample.conversations[..] else {
            return Err(format!(
                "{}: row {row} is no question with an answer",
                path.display()
            )
            .into());
        };
        let image = match &sample.image {
            None => None,
            Some(name) => {
                let bytes = pictures.read(name)?;
                Some(Picture::decode(&bytes, &Limits::default(), Exif::Ignore)?)
            }
        };
        let question = question.value.replace(IMAGE_MARK, "");
        let image: Vec<Picture> = image.into_iter().collect();
        let said = Chat::new(model).ask(&image, question.trim(), &options, &mut |_| {
            ControlFlow::Continue(())
        })?;
        if cancel.is_cancelled() {
            return Err("interrupted".into());
        }
        right += usize::from(is_right(&said.text, &answer.value));
    }
    Ok(right as f64 / rows.len().max(1) as f64)
}
