//! The state of a run in a checkpoint, and what has to be the same when it goes on.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use mobilevlm_checkpoint::Inventory;
use mobilevlm_data::Problem;
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use crate::error::ModelError;
use crate::model::{Change, change_trained, flat, parameters, values};
use crate::optimizer::AdamW;
use crate::recipe::Recipe;
use crate::run::{Checkpoints, RunError, Saved};

const STATE: &str = "state.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Keys that may change while a run is stopped: they change nothing in what is learnt.
const FREE: [&str; 9] = [
    "output_dir",
    "run.save_steps",
    "run.save_total_limit",
    "run.tensorboard",
    "run.feature_cache",
    "run.device_memory",
    "train.lora_merge",
    "data.eval_data_path",
    "world.eval_count",
];

/// What a checkpoint holds beside weights and moments. The order of samples and all random numbers
/// are functions of seed and step: there is no state of a generator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps that are done.
    pub(super) step: u64,
    /// Steps that the optimiser has taken: those that were skipped are not among them.
    pub(super) optimizer_steps: u64,
    /// Where the sampler is, for people: the epoch of the next step.
    pub(super) epoch: u64,
    /// Samples that were left out so far, by what is wrong with them.
    pub(super) left_out: BTreeMap<Problem, u64>,
    /// The recipe, all of it.
    pub(super) recipe: String,
    /// What the data set is known by.
    pub(super) data: String,
}

impl State {
    /// The state at the beginning.
    pub(super) fn new(recipe: &Recipe, data: String) -> State {
        State {
            step: 0,
            optimizer_steps: 0,
            epoch: 0,
            left_out: BTreeMap::new(),
            recipe: recipe.resolved.clone(),
            data,
        }
    }

    /// Writes a checkpoint.
    pub(super) fn save<M: Module>(
        &self,
        checkpoints: &Checkpoints,
        model: &M,
        prefix: &str,
        optimizer: &AdamW,
    ) -> Result<std::path::PathBuf, RunError> {
        let trained: BTreeMap<String, bool> = parameters(model, prefix)
            .into_iter()
            .map(|parameter| (parameter.name, parameter.trained))
            .collect();
        let weights = values(model, prefix, |name| trained.get(name) == Some(&true));
        checkpoints.save(self.step, |writer| {
            writer.json(STATE, self)?;
            writer.tensors(WEIGHTS, &weights)?;
            writer.tensors(OPTIMIZER, &optimizer.state())
        })
    }

    /// Reads the state of a checkpoint of the same run.
    ///
    /// # Errors
    /// [`TrainError::Changed`] with the key if recipe or data set have changed.
    pub(super) fn read(saved: &Saved, fresh: &State) -> Result<State, TrainError> {
        let state: State = saved.json(STATE)?;
        let changed = |key: &str, before: &str, now: &str| TrainError::Changed {
            key: key.to_owned(),
            before: before.to_owned(),
            now: now.to_owned(),
        };
        if state.recipe != fresh.recipe {
            let (before, now) = (keys(&state.recipe), keys(&fresh.recipe));
            let absent = "nothing".to_owned();
            for key in before.keys().chain(now.keys()) {
                let was = before.get(key).unwrap_or(&absent);
                let is = now.get(key).unwrap_or(&absent);
                if was != is && !FREE.contains(&key.as_str()) {
                    return Err(changed(key, was, is));
                }
            }
        }
        if state.data != fresh.data {
            return Err(changed("the data set", &state.data, &fresh.data));
        }
        Ok(State {
            recipe: fresh.recipe.clone(),
            ..state
        })
    }

    /// Gives model and optimiser what the checkpoint holds.
    pub(super) fn restore<M: Module>(
        &self,
        saved: &Saved,
        model: M,
        prefix: &str,
        optimizer: &mut AdamW,
        device: &Device,
    ) -> Result<M, TrainError> {
        let weights = saved.tensors(WEIGHTS)?;
        let model = with_values(model, prefix, &weights, device)?;
        optimizer.restore(self.optimizer_steps, &saved.tensors(OPTIMIZER)?, device)?;
        Ok(model)
    }
}

/// The model with other values of all trained parameters.
fn with_values<M: Module>(
    model: M,
    prefix: &str,
    weights: &Inventory,
    device: &Device,
) -> Result<M, ModelError> {
    struct Values(BTreeMap<String, Tensor<1>>);
    impl Change for Values {
        fn change(&mut self, name: &str, _shape: &[usize], value: Tensor<1>) -> Tensor<1> {
            // All are there: `with_values` has looked.
            self.0.remove(name).unwrap_or(value)
        }
    }
    let mut found = BTreeMap::new();
    for parameter in parameters(&model, prefix) {
        if !parameter.trained {
            continue;
        }
        let tensor = weights.get(&parameter.name);
        let tensor = tensor.filter(|tensor| tensor.shape() == parameter.shape);
        let numbers = tensor.and_then(|tensor| tensor.to_f32());
        let numbers = numbers.ok_or_else(|| ModelError::Parameter {
            name: parameter.name.clone(),
            what: "tensor of its sizes in the checkpoint",
        })?;
        found.insert(parameter.name, flat(numbers, device));
    }
    Ok(change_trained(model, prefix, &mut Values(found)))
}

/// The keys of a recipe with their values, both as text.
fn keys(recipe: &str) -> BTreeMap<String, String> {
    fn walk(prefix: &str, table: &toml::Table, keys: &mut BTreeMap<String, String>) {
        for (name, value) in table {
            let key = match prefix {
                "" => name.clone(),
                prefix => format!("{prefix}.{name}"),
            };
            match value {
                toml::Value::Table(table) => walk(&key, table, keys),
                value => {
                    keys.insert(key, value.to_string());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    // We wrote it ourselves; what is no recipe has no keys, and differs.
    if let Ok(table) = recipe.parse::<toml::Table>() {
        walk("", &table, &mut found);
    }
    found
}
