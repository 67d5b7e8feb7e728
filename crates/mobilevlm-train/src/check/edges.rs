use burn::tensor::{Device, Tensor};
use mobilevlm_data::{Batch, splice};
use serde::Deserialize;

use super::files::{Cases, Exact, Folder, Wrong};
use super::report::Items;
use super::start;
use super::trajectory::{LOSS, NORM, PARAMETER_NORM};
use crate::model::{parameters, upstream_embedding, used_pictures};
use crate::optimizer::{AdamW, AdamWConfig, GroupOptions, parameter_groups};
use crate::step::{Accumulated, NonFinite, StepOptions};

#[derive(Deserialize)]
struct EdgeCase {
    why: String,
    input_ids: Vec<Vec<i32>>,
    labels: Vec<Vec<i32>>,
    supervised: usize,
    loss: Option<Exact>,
    loss_is_nan: bool,
    gradient_norm: Exact,
    gradients_are_nan: bool,
    gradients_absent: Vec<String>,
    projector_gradient_norm: Exact,
    embedding_row_0_gradient_norm: Exact,
}

pub(super) fn edges(folder: &Folder, device: &Device, items: &mut Items) -> Result<(), Wrong> {
    let cases: Cases<EdgeCase> = folder.record("edges.json")?;
    let begin = start::initial(folder, device)?;
    rms_eps(folder, &begin, items)?;
    let zeros = begin.zero_features();
    for case in cases.cases {
        let place = || case.why.clone();
        let seen = |row: &Vec<i32>| row.iter().map(|&id| id != 0).collect();
        let batch = Batch {
            attention_mask: case.input_ids.iter().map(seen).collect(),
            input_ids: case.input_ids.clone(),
            labels: case.labels.clone(),
        };
        items
            .add("edges: supervised", 0.0)
            .equal(&batch.supervised(), &case.supervised, place);
        let spliced = splice(&batch, batch.input_ids.len(), begin.model.picture_places())?;
        let pictures = used_pictures(&spliced).len();
        let features = (pictures > 0).then(|| Tensor::cat(vec![zeros.clone(); pictures], 0));
        let step = |non_finite| {
            let options = StepOptions {
                non_finite,
                ..StepOptions::default()
            };
            let mut accumulated = Accumulated::new(options);
            let loss = begin.model.loss(&spliced, features.clone(), None)?;
            let loss = accumulated.add(&begin.model, "", loss);
            Ok::<_, Wrong>((accumulated, loss))
        };
        let (accumulated, loss) = step(NonFinite::UpstreamStep)?;
        items.add("edges: losses", LOSS).absolute(
            loss,
            case.loss.map_or(f64::NAN, |loss| loss.0),
            place,
        );
        items.add("edges: losses that are NaN", 0.0).equal(
            &loss.is_nan(),
            &case.loss_is_nan,
            place,
        );

        let gradients = accumulated.gradients();
        let norm = gradients.norm();
        items
            .add("edges: gradient norms", NORM)
            .relative(norm, case.gradient_norm.0, place);
        items.add("edges: gradients that are NaN", 0.0).equal(
            &norm.is_nan(),
            &case.gradients_are_nan,
            place,
        );
        let norms = gradients.norms();
        let projector = norms
            .iter()
            .filter(|(name, _)| name.contains("mm_projector"));
        let projector = projector.map(|(_, norm)| norm * norm).sum::<f64>().sqrt();
        items
            .add("edges: gradient norms of the projector", PARAMETER_NORM)
            .relative(projector, case.projector_gradient_norm.0, place);
        let width = begin.model.language().hidden();
        let row = gradients.values(&upstream_embedding()).unwrap_or_default();
        let row = row
            .iter()
            .take(width)
            .map(|&x| f64::from(x).powi(2))
            .sum::<f64>()
            .sqrt();
        items
            .add("edges: gradient norms of embedding 0", PARAMETER_NORM)
            .relative(row, case.embedding_row_0_gradient_norm.0, place);
        // The record names a module for all that is in it.
        let is_in = |name: &str, recorded: &str| {
            let rest = name.strip_prefix(recorded);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let recorded = case.gradients_absent.iter();
        let differs: Vec<&String> = begin
            .stored
            .iter()
            .filter(|name| {
                let absent = recorded.clone().any(|recorded| is_in(name, recorded));
                absent == norms.contains_key(*name)
            })
            .collect();
        let item = items.add("edges: parameters without gradient", 0.0);
        item.equal(&differs, &Vec::new(), place);
        for recorded in recorded {
            let known = begin.stored.iter().any(|name| is_in(name, recorded));
            item.equal(&known, &true, || recorded.clone());
        }

        // Upstream takes a step on a loss that is no number; here that is an option.
        for (non_finite, expected) in [
            (NonFinite::Skip, !case.loss_is_nan),
            (NonFinite::UpstreamStep, true),
        ] {
            let (accumulated, _) = step(non_finite)?;
            let options = GroupOptions {
                learning_rate: 0.0,
                mm_projector_lr: None,
                weight_decay: 0.0,
                upstream_loses_tower: true,
            };
            let names = parameters(&begin.model, "");
            let names = names.iter().map(|parameter| parameter.name.as_str());
            let groups = parameter_groups(names, &options);
            let mut optimizer = AdamW::new(AdamWConfig::default(), groups);
            let (_, outcome) =
                accumulated.finish(begin.model.clone(), "", &mut optimizer, &[0.0, 0.0])?;
            items.add("edges: steps taken", 0.0).equal(
                &(outcome.taken, optimizer.steps()),
                &(expected, u64::from(expected)),
                place,
            );
        }
    }
    Ok(())
}

/// A wrong eps moves losses by less than their tolerance, so it is looked at itself.
fn rms_eps(folder: &Folder, begin: &start::Begin, items: &mut Items) -> Result<(), Wrong> {
    let keys: serde_json::Map<String, serde_json::Value> = folder.json("initial/config.json")?;
    let recorded = keys.get("rms_norm_eps").and_then(serde_json::Value::as_f64);
    // The configuration keeps it in float32, as torch computes with it.
    let recorded = recorded.map(|eps| f64::from(eps as f32));
    let item = items.add("rms_norm_eps", 0.0);
    item.equal(&begin.model.language().rms_eps(), &recorded, || {
        "every norm".to_owned()
    });
    Ok(())
}
