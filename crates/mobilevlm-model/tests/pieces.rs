//! A sequence read in pieces, or beside others, equals the sequence read at once, to the last bit.

use mobilevlm_checkpoint::{Checkpoint, OpenOptions};
use mobilevlm_model::{Cache, LanguageModel, Pass};
use mobilevlm_tensor::{Compute, tables};
use mobilevlm_testing::{micro_golden, shared_golden};

const ROWS: usize = 70;

/// The language models of the reference sets that are here.
fn models(test: &str) -> Vec<(String, LanguageModel)> {
    let names = ["v2-ldpv2", "v1-ldp", "llava-mlp2x", "gqa-linear"];
    let shared = names.into_iter().filter_map(|name| {
        Some((
            name,
            shared_golden(&format!("model/{name}/checkpoint"), test)?,
        ))
    });
    let all = std::iter::once(("micro", micro_golden("checkpoint"))).chain(shared);
    all.map(|(name, path)| {
        let checkpoint = Checkpoint::open(&path, &OpenOptions::default()).unwrap();
        let scope = checkpoint.tensors.scope("language");
        (
            name.to_owned(),
            LanguageModel::load(&checkpoint.config.language, scope).unwrap(),
        )
    })
    .collect()
}

fn id(sequence: usize, position: usize) -> u32 {
    3 + ((sequence * 131 + position * 17) % 300) as u32
}

/// Bits of the logits of all rows of `sequence`, read in pieces of the given sizes.
fn read(model: &LanguageModel, compute: &Compute, sequence: usize, pieces: &[usize]) -> Vec<u32> {
    let mut caches = [model.new_cache()];
    let mut pass = Pass::new();
    let mut bits = Vec::new();
    for &rows in pieces {
        pass.clear();
        let segment = pass.begin(0);
        let start = caches[0].len();
        (start..start + rows).for_each(|position| pass.push_token(model, id(sequence, position)));
        pass.want_all();
        model.forward(compute, &mut pass, &mut caches);
        bits.extend(pass.logits(segment).iter().map(|logit| logit.to_bits()));
    }
    bits
}

fn assert_same(what: &str, vocab: usize, found: &[u32], expected: &[u32]) {
    assert_eq!(found.len(), expected.len(), "{what}: number of logits");
    if let Some(first) = found
        .iter()
        .zip(expected)
        .position(|(found, expected)| found != expected)
    {
        let count = found
            .iter()
            .zip(expected)
            .filter(|(found, expected)| found != expected)
            .count();
        panic!(
            "{what}: row {}, logit {}: expected {}, found {}; {count} of {} differ",
            first / vocab,
            first % vocab,
            f32::from_bits(expected[first]),
            f32::from_bits(found[first]),
            found.len()
        );
    }
}

#[test]
fn any_pieces_give_the_same_bits() {
    for (name, model) in models("any_pieces_give_the_same_bits") {
        for kernels in tables().iter().filter_map(|table| table.kernels()) {
            let compute = Compute::new(kernels, 2);
            let whole = read(&model, &compute, 0, &[ROWS]);
            for pieces in [
                vec![1; ROWS],
                vec![40, 1, 1, 28],
                vec![13, 12, 45],
                vec![3, 66, 1],
            ] {
                let what = format!("{name}, {}, pieces {pieces:?}", kernels.name());
                assert_same(
                    &what,
                    model.vocab(),
                    &read(&model, &compute, 0, &pieces),
                    &whole,
                );
            }
        }
    }
}

#[test]
fn sequences_beside_each_other_give_the_same_bits() {
    for (name, model) in models("sequences_beside_each_other_give_the_same_bits") {
        for kernels in tables().iter().filter_map(|table| table.kernels()) {
            let compute = Compute::new(kernels, 2);
            let lengths = [5, 1, ROWS, 17];
            let mut caches: Vec<Cache> = lengths.iter().map(|_| model.new_cache()).collect();
            let mut pass = Pass::new();
            for (sequence, &length) in lengths.iter().enumerate() {
                pass.begin(sequence);
                (0..length).for_each(|position| pass.push_token(&model, id(sequence, position)));
                pass.want_all();
            }
            model.forward(&compute, &mut pass, &mut caches);
            for (sequence, &length) in lengths.iter().enumerate() {
                let logits: Vec<_> = pass.logits(sequence).iter().map(|l| l.to_bits()).collect();
                let alone = read(&model, &compute, sequence, &[length]);
                let what = format!("{name}, {}, sequence {sequence}", kernels.name());
                assert_same(&what, model.vocab(), &logits, &alone);
            }
        }
    }
}

/// The first `kept` positions of a cache, as numbers and back.
fn copied_out(model: &LanguageModel, compute: &Compute, cache: &Cache, kept: usize) -> Cache {
    let mut copy = model.new_cache();
    for layer in 0..cache.layers() {
        let mut numbers = vec![f32::NAN; kept * cache.row()];
        cache.copy_layer(layer, &mut numbers);
        copy.append_layer(compute, layer, &numbers);
    }
    assert_eq!(copy.len(), kept);
    copy
}

#[test]
fn what_was_forgotten_leaves_no_trace() {
    for (name, model) in models("what_was_forgotten_leaves_no_trace") {
        for kernels in tables().iter().filter_map(|table| table.kernels()) {
            let compute = Compute::new(kernels, 2);
            let expected = read(&model, &compute, 0, &[ROWS]);
            let mut caches = [model.new_cache()];
            let mut pass = Pass::new();
            let mut feed = |caches: &mut [Cache], sequence, rows: std::ops::Range<usize>| {
                pass.clear();
                pass.begin(0);
                rows.for_each(|position| pass.push_token(&model, id(sequence, position)));
                pass.want_all();
                model.forward(&compute, &mut pass, caches);
                pass.logits(0)
                    .iter()
                    .map(|logit| logit.to_bits())
                    .collect::<Vec<_>>()
            };
            for kept in [0, 1, 15, 16, 33, 69] {
                // Another text behind the first `kept` positions, then back to the first text.
                caches[0].truncate(0);
                feed(&mut caches, 0, 0..kept);
                feed(&mut caches, 1, kept..ROWS + 20);
                for way in ["cloned", "prefix", "copied out"] {
                    caches[0] = match way {
                        "cloned" => caches[0].clone(),
                        "prefix" => caches[0].prefix(kept),
                        _ => copied_out(&model, &compute, &caches[0], kept),
                    };
                    caches[0].truncate(kept);
                    let found = feed(&mut caches, 0, kept..ROWS);
                    let what = format!("{name}, {}, {kept} kept, {way}", kernels.name());
                    assert_same(
                        &what,
                        model.vocab(),
                        &found,
                        &expected[kept * model.vocab()..],
                    );
                }
            }
        }
    }
}

#[test]
fn logits_of_the_last_row_alone_are_the_same() {
    for (name, model) in models("logits_of_the_last_row_alone_are_the_same") {
        let compute = Compute::new(mobilevlm_tensor::Kernels::best(), 2);
        let all = read(&model, &compute, 0, &[ROWS]);
        let mut caches = [model.new_cache()];
        let mut pass = Pass::new();
        // The first half wants no logits at all.
        for rows in [0..ROWS / 2, ROWS / 2..ROWS] {
            pass.clear();
            pass.begin(0);
            rows.clone()
                .for_each(|position| pass.push_token(&model, id(0, position)));
            if rows.end == ROWS {
                pass.want_last();
            }
            model.forward(&compute, &mut pass, &mut caches);
            assert_eq!(caches[0].len(), rows.end);
        }
        let last: Vec<_> = pass.logits(0).iter().map(|logit| logit.to_bits()).collect();
        assert_same(
            &name,
            model.vocab(),
            &last,
            &all[all.len() - model.vocab()..],
        );
    }
}
