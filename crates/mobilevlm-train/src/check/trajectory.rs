use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};
use mobilevlm_checkpoint::Inventory;
use mobilevlm_data::{
    AttentionMask, Batch, LabelOptions, Labelled, Labeller, Sample, collate, splice,
};

use super::data;
use super::files::{DataRow, Folder, MicroBatch, Summary, Trajectory, Wrong};
use super::report::Items;
use super::start::{self, Begin, Ends, plain};
use crate::model::{MobileVlm, lora_targets, parameters, train_only, used_pictures, values};
use crate::optimizer::{AdamW, AdamWConfig, GroupOptions, ParameterGroup, parameter_groups};
use crate::schedule::CosineSchedule;
use crate::step::{Accumulated, Accumulation, NonFinite, StepOptions};
use crate::weights::merged;

// Three times what the README of the reference proposes.
pub(super) const LOSS: f64 = 3.0 * 4e-6;
pub(super) const NORM: f64 = 3.0 * 2e-6;
const PARAMETER: f64 = 3.0 * 2e-6;
/// Relative, of one parameter in the first step.
pub(super) const PARAMETER_NORM: f64 = 1e-4;

/// The runs of a folder, each after the one it begins with.
pub(super) fn find(folder: &Folder) -> Result<Vec<Trajectory>, Wrong> {
    let mut runs: Vec<Trajectory> = Vec::new();
    for name in folder.names()? {
        if name.starts_with("trajectory-") && name.ends_with(".json") {
            runs.push(folder.record(&name)?);
        }
    }
    if runs.is_empty() {
        return Err(folder.wrong("trajectory-*.json", "no such file"));
    }
    runs.sort_by_key(|run| {
        let before = run.argument("model_name_or_path");
        before.is_some_and(|name| name.starts_with("out-"))
    });
    Ok(runs)
}

/// Repeats a run and compares everything that is recorded of it.
pub(super) fn run(
    folder: &Folder,
    run: &Trajectory,
    device: &Device,
    ends: &mut Ends,
    items: &mut Items,
) -> Result<(), Wrong> {
    let begin = start::of_run(folder, run, device, ends)?;
    let rows: Vec<DataRow> = folder.json(&run.data)?;
    batches(folder, run, &rows, items)?;

    let trained: BTreeSet<&str> = run.trained.iter().map(|name| plain(name)).collect();
    // What this recipe trains is decided here, not taken from the record.
    let model = match run.flag("tune_mm_mlp_adapter") {
        true => train_only(begin.model.clone(), "", |name| {
            name.contains("mm_projector")
        }),
        false => begin.model.clone(),
    };
    let names = parameters(&model, "");
    let ours: BTreeSet<&str> = names
        .iter()
        .filter(|parameter| parameter.trained)
        .map(|parameter| parameter.name.as_str())
        .collect();
    items
        .add(format!("{}: trained", run.name), 0.0)
        .equal(&ours, &trained, || "parameters".to_owned());
    if let Some(targets) = &run.target_modules {
        let mut recorded = targets.clone();
        recorded.sort();
        items
            .add(format!("{}: target modules", run.name), 0.0)
            .equal(&lora_targets(&model), &recorded, || "adapters".to_owned());
    }

    let groups = groups(run, &begin, &ours, items)?;
    let config = adamw(run, items)?;
    let optimizer = AdamW::new(config, groups);
    let end = repeat(folder, run, &begin, model, optimizer, &rows, items)?;
    ends_compared(folder, run, &begin, &end, items)?;
    ends.insert(&run.name, end);
    Ok(())
}

/// Makes the batches anew from the data file.
fn batches(
    folder: &Folder,
    run: &Trajectory,
    rows: &[DataRow],
    items: &mut Items,
) -> Result<(), Wrong> {
    let template = data::template(run.argument("version").unwrap_or("v1"))?;
    let mut options = LabelOptions::new(template);
    if let Some(length) = run.number("model_max_length")? {
        options.model_max_length = length as usize;
    }
    let length = options.model_max_length;
    let labeller = Labeller::new(data::tokenizer(folder)?, options);
    let item = items.add(format!("{}: batches", run.name), 0.0);
    for (index, recorded) in run.micro_batches.iter().enumerate() {
        let labelled = recorded.samples.iter().map(|&sample| {
            let row = rows
                .get(sample)
                .ok_or_else(|| folder.wrong(&run.data, format!("no sample {sample}")))?;
            let sample = Sample {
                image: row.image.clone(),
                conversations: row.conversations.clone(),
            };
            Ok(labeller.label(&sample)?)
        });
        let labelled: Vec<Labelled> = labelled.collect::<Result<_, Wrong>>()?;
        let batch = collate(
            &labelled,
            length,
            labeller.pad(),
            AttentionMask::UpstreamNotPad,
        );
        let place = |what: &str| {
            let place = format!("micro-batch {index}, {what}");
            move || place
        };
        item.equal(&batch.input_ids, &recorded.input_ids, place("input_ids"));
        item.equal(&batch.labels, &recorded.labels, place("labels"));
        item.equal(
            &batch.supervised(),
            &recorded.supervised,
            place("supervised"),
        );
    }
    Ok(())
}

/// Our groups of the parameters that upstream marks as trainable, which are compared by name.
fn groups(
    run: &Trajectory,
    begin: &Begin,
    trained: &BTreeSet<&str>,
    items: &mut Items,
) -> Result<Vec<ParameterGroup>, Wrong> {
    let options = GroupOptions {
        learning_rate: run
            .number("learning_rate")?
            .ok_or_else(|| Wrong(format!("{}: no --learning_rate", run.name)))?,
        mm_projector_lr: run.number("mm_projector_lr")?,
        weight_decay: run.number("weight_decay")?.unwrap_or(0.0),
        upstream_loses_tower: true,
    };
    // The tower is marked too where nothing else is frozen; it has no gradients all the same.
    let all = !run.flag("tune_mm_mlp_adapter") && begin.lora.is_none();
    let tower = begin
        .stored
        .iter()
        .filter(|name| all && name.contains("vision_tower"));
    let names = tower.map(String::as_str).chain(trained.iter().copied());
    let groups = parameter_groups(names, &options);

    let item = items.add(format!("{}: groups", run.name), 0.0);
    item.equal(&groups.len(), &run.groups.len(), || "number".to_owned());
    for (index, (ours, recorded)) in groups.iter().zip(&run.groups).enumerate() {
        let place = |what: &str| {
            let place = format!("group {index}, {what}");
            move || place
        };
        item.equal(&ours.rate, &recorded.lr.0, place("lr"));
        item.equal(
            &ours.weight_decay,
            &recorded.weight_decay.0,
            place("weight_decay"),
        );
        item.equal(&ours.decays, &recorded.decays, place("decays"));
        let ours: BTreeSet<&str> = ours.parameters.iter().map(String::as_str).collect();
        let recorded: BTreeSet<&str> = recorded.parameters.iter().map(|name| plain(name)).collect();
        let missing: Vec<_> = recorded.difference(&ours).collect();
        let unexpected: Vec<_> = ours.difference(&recorded).collect();
        item.equal(&missing, &Vec::new(), place("not here"));
        item.equal(&unexpected, &Vec::new(), place("only here"));
    }
    Ok(groups)
}

fn adamw(run: &Trajectory, items: &mut Items) -> Result<AdamWConfig, Wrong> {
    let default = AdamWConfig::default();
    let config = AdamWConfig {
        beta1: run.number("adam_beta1")?.unwrap_or(default.beta1),
        beta2: run.number("adam_beta2")?.unwrap_or(default.beta2),
        eps: run.number("adam_epsilon")?.unwrap_or(default.eps),
    };
    let item = items.add(format!("{}: AdamW", run.name), 0.0);
    for group in &run.groups {
        let ours = ([config.beta1, config.beta2], config.eps);
        let recorded = (group.betas.map(|beta| beta.0), group.eps.0);
        item.equal(&ours, &recorded, || "betas and eps".to_owned());
    }
    Ok(config)
}

/// Takes all steps, and returns the trained parameters at the end by upstream's names.
fn repeat(
    folder: &Folder,
    run: &Trajectory,
    begin: &Begin,
    mut model: MobileVlm,
    mut optimizer: AdamW,
    rows: &[DataRow],
    items: &mut Items,
) -> Result<Inventory, Wrong> {
    let total = run.steps.len() as u64;
    // Upstream's recipes; HF's own default is 0.
    let ratio = run.number("warmup_ratio")?.unwrap_or(0.03);
    let schedule = CosineSchedule::with_ratio(total, ratio);
    let options = StepOptions {
        max_grad_norm: Some(run.number("max_grad_norm")?.unwrap_or(1.0)),
        accumulation: Accumulation::MicroBatches,
        non_finite: NonFinite::UpstreamStep,
    };
    let accumulate = run.accumulate.max(1);
    let name = |what: &str| format!("{}: {what}", run.name);
    let count = run.steps.len() * accumulate;
    items
        .add(name("micro-batches"), 0.0)
        .equal(&run.micro_batches.len(), &count, || "number".to_owned());

    let mut features = BTreeMap::new();
    let micro_batches = run.micro_batches.chunks(accumulate);
    for (index, (step, micro_batches)) in run.steps.iter().zip(micro_batches).enumerate() {
        let place = || format!("step {}", step.step);
        let mut accumulated = Accumulated::new(options);
        for recorded in micro_batches {
            let (splice, pictures) = spliced(run, begin, recorded, rows)?;
            let seen = picture_features(folder, begin, &pictures, &mut features)?;
            let loss = model.loss(&splice, seen, None)?;
            let loss = accumulated.add(&model, "", loss);
            let recorded = recorded.loss.map_or(f64::NAN, |loss| loss.0);
            items
                .add(name("losses of micro-batches"), LOSS)
                .absolute(loss, recorded, place);
        }
        if index == 0 {
            first_step(folder, run, &accumulated, items)?;
        }
        let peaks: Vec<f64> = optimizer.groups().iter().map(|group| group.rate).collect();
        let rates: Vec<f64> = peaks
            .into_iter()
            .map(|peak| schedule.rate(index as u64, peak))
            .collect();
        let recorded: Vec<f64> = step.learning_rates.iter().map(|rate| rate.0).collect();
        items
            .add(name("learning rates"), 0.0)
            .equal(&rates, &recorded, place);
        let (next, outcome) = accumulated.finish(model, "", &mut optimizer, &rates)?;
        model = next;
        let recorded = step.loss.map_or(f64::NAN, |loss| loss.0);
        items
            .add(name("losses"), LOSS)
            .absolute(outcome.loss, recorded, place);
        items.add(name("gradient norms"), NORM).relative(
            outcome.gradient_norm,
            step.gradient_norm.0,
            place,
        );
    }
    frozen(run, begin, &model, items);
    let trained: BTreeSet<&str> = run.trained.iter().map(|name| plain(name)).collect();
    Ok(values(&model, "", |name| trained.contains(name)))
}

/// The spliced batch, and the files of the pictures in it; `None` is the zero picture.
fn spliced(
    run: &Trajectory,
    begin: &Begin,
    recorded: &MicroBatch,
    rows: &[DataRow],
) -> Result<(mobilevlm_data::Splice, Vec<Option<String>>), Wrong> {
    let seen = |row: &Vec<i32>| row.iter().map(|&id| id != 0).collect();
    let batch = Batch {
        attention_mask: recorded.input_ids.iter().map(seen).collect(),
        input_ids: recorded.input_ids.clone(),
        labels: recorded.labels.clone(),
    };
    let spliced = splice(&batch, batch.input_ids.len(), begin.model.picture_places())?;
    let pictures = used_pictures(&spliced).into_iter().map(|picture| {
        let sample = recorded
            .samples
            .get(picture)
            .and_then(|&sample| rows.get(sample));
        let sample =
            sample.ok_or_else(|| Wrong(format!("{}: no sample for row {picture}", run.name)))?;
        let path = |image: &String| format!("pixels/{}/{image}", run.picture_mode);
        Ok(sample.image.as_ref().map(path))
    });
    let pictures = pictures.collect::<Result<_, Wrong>>()?;
    Ok((spliced, pictures))
}

/// The features of pictures, `[pictures, P, V]`; each is computed once, as the tower is frozen.
fn picture_features(
    folder: &Folder,
    begin: &Begin,
    pictures: &[Option<String>],
    known: &mut BTreeMap<Option<String>, Tensor<3>>,
) -> Result<Option<Tensor<3>>, Wrong> {
    let mut features = Vec::new();
    for picture in pictures {
        if !known.contains_key(picture) {
            let new = match picture {
                Some(name) => begin.tower.forward(begin.pixels(folder, name)?),
                None => begin.zero_features(),
            };
            known.insert(picture.clone(), new);
        }
        features.extend(known.get(picture).cloned());
    }
    Ok((!features.is_empty()).then(|| Tensor::cat(features, 0)))
}

/// Gradients of the first step, parameter by parameter.
fn first_step(
    folder: &Folder,
    run: &Trajectory,
    accumulated: &Accumulated,
    items: &mut Items,
) -> Result<(), Wrong> {
    let gradients = accumulated.gradients();
    let norms = gradients.norms();
    let item = items.add(
        format!("{}: gradient norms of step 1", run.name),
        PARAMETER_NORM,
    );
    for (name, recorded) in &run.gradient_norms_step_1 {
        let ours = norms.get(plain(name)).copied().unwrap_or(f64::NAN);
        item.relative(ours, recorded.0, || name.clone());
    }
    let recorded: BTreeSet<&str> = run
        .gradient_norms_step_1
        .keys()
        .map(|name| plain(name))
        .collect();
    let ours: BTreeSet<&str> = norms.keys().map(String::as_str).collect();
    items
        .add(format!("{}: parameters with gradients", run.name), 0.0)
        .equal(&ours, &recorded, || "names".to_owned());

    let file = format!("{}_gradients.safetensors", run.name);
    let Some(recorded) = folder.tensors(&file)? else {
        return Ok(());
    };
    // Relative to the gradient's own size: single values can be small by chance.
    let item = items.add(format!("{}: gradients of step 1", run.name), PARAMETER_NORM);
    for (name, tensor) in recorded.iter() {
        let recorded = tensor.to_f32().unwrap_or_default();
        let ours = gradients.values(plain(name)).unwrap_or_default();
        let distance = distance(&ours, &recorded);
        let norm = recorded
            .iter()
            .map(|&x| f64::from(x).powi(2))
            .sum::<f64>()
            .sqrt();
        item.relative(norm + distance, norm, || name.to_owned());
    }
    Ok(())
}

/// The Euclidean distance; infinite where the lengths differ.
fn distance(ours: &[f32], recorded: &[f32]) -> f64 {
    if ours.len() != recorded.len() {
        return f64::INFINITY;
    }
    let pairs = ours.iter().zip(recorded);
    let squares = pairs.map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2));
    squares.sum::<f64>().sqrt()
}

/// What is not trained has the bits that it began with.
fn frozen(run: &Trajectory, begin: &Begin, model: &MobileVlm, items: &mut Items) {
    let trained: BTreeSet<&str> = run.trained.iter().map(|name| plain(name)).collect();
    let before = values(&begin.model, "", |name| !trained.contains(name));
    let after = values(model, "", |name| !trained.contains(name));
    let tower = values(&begin.tower, "vision", |_| true);
    let item = items.add(format!("{}: frozen parameters", run.name), 0.0);
    // The tower that ran is the one that was read.
    for (name, tensor) in tower.iter() {
        let read = mobilevlm_checkpoint::canonical_name(name);
        let read = read.and_then(|name| {
            begin
                .start
                .tensors()
                .get(&name)
                .and_then(|tensor| tensor.to_f32())
        });
        item.equal(&(tensor.to_f32() == read), &true, || name.to_owned());
    }
    for (name, tensor) in before.iter() {
        let after = after.get(name).map(|tensor| tensor.data());
        item.equal(&(after == Some(tensor.data())), &true, || name.to_owned());
    }
}

/// Compares the parameters at the end, whole where the folder has them, else as far as `final` says.
fn ends_compared(
    folder: &Folder,
    run: &Trajectory,
    begin: &Begin,
    end: &Inventory,
    items: &mut Items,
) -> Result<(), Wrong> {
    let name = format!("{}: parameters", run.name);
    compare(
        items,
        &name,
        end,
        &run.end,
        folder.tensors(&format!("{}_final.safetensors", run.name))?,
    );
    if let Some(recorded) = &run.merged {
        let mut all = values(&begin.model, "", |_| true);
        for (name, tensor) in end.iter() {
            all.insert(name.to_owned(), tensor.clone());
        }
        let merged = merged(all, begin.lora.as_ref());
        let file = folder.tensors(&format!("{}_merged.safetensors", run.name))?;
        compare(
            items,
            &format!("{}: merged parameters", run.name),
            &merged,
            recorded,
            file,
        );
    }
    Ok(())
}

fn compare(
    items: &mut Items,
    name: &str,
    ours: &Inventory,
    recorded: &BTreeMap<String, Summary>,
    whole: Option<Inventory>,
) {
    let find = |name: &str| ours.get(plain(name));
    if let Some(whole) = whole {
        let item = items.add(name, PARAMETER);
        for (name, tensor) in whole.iter() {
            let recorded = tensor.to_f32().unwrap_or_default();
            let ours = find(name)
                .filter(|ours| ours.shape() == tensor.shape())
                .and_then(|ours| ours.to_f32())
                .unwrap_or_default();
            item.equal_length(ours.len(), recorded.len(), name);
            for (place, (&ours, &recorded)) in ours.iter().zip(&recorded).enumerate() {
                let place = || format!("{name}[{place}]");
                item.absolute(f64::from(ours), f64::from(recorded), place);
            }
        }
    }
    let shapes = format!("{name}, shapes");
    for (tensor, summary) in recorded {
        let shape = find(tensor).map(|ours| ours.shape().to_vec());
        let expected = Some(summary.shape.clone());
        items
            .add(shapes.as_str(), 0.0)
            .equal(&shape, &expected, || tensor.clone());
        let values = find(tensor)
            .and_then(|ours| ours.to_f32())
            .unwrap_or_default();
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        // A norm sums what single values differ by, mostly with either sign.
        items.add(format!("{name}, norms"), PARAMETER).absolute(
            norm / summary.norm.0.max(1.0),
            summary.norm.0 / summary.norm.0.max(1.0),
            || tensor.clone(),
        );
        let item = items.add(format!("{name}, means and first values"), PARAMETER);
        item.absolute(mean, summary.mean.0, || format!("{tensor}, mean"));
        for (place, recorded) in summary.first.iter().enumerate() {
            let ours = values.get(place).copied().unwrap_or(f64::NAN);
            item.absolute(ours, recorded.0, || format!("{tensor}[{place}]"));
        }
    }
}
