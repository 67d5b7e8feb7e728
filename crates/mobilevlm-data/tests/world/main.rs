//! The synthetic world as its users see it: what it promises in `docs/world.md`.

mod answers;
mod balance;
mod determinism;
mod files;
mod pixels;
mod reader;
mod splits;

use mobilevlm_data::world::{Kind, Sample, Split, World, WorldOptions};

fn world(seed: u64, size: usize) -> World {
    World::new(WorldOptions {
        seed,
        size,
        ..WorldOptions::default()
    })
    .unwrap()
}

/// A world that asks up to `most_questions` of one kind about a picture.
fn asking(most_questions: usize) -> World {
    let options = WorldOptions {
        seed: 3,
        most_questions,
        ..WorldOptions::default()
    };
    World::new(options).unwrap()
}

/// So many samples of each kind and part.
fn samples(world: World, kinds: &[Kind], count: u64) -> impl Iterator<Item = (Split, Sample)> {
    let kinds = kinds.to_vec();
    Split::ALL.into_iter().flat_map(move |split| {
        let kinds = kinds.clone();
        (0..count).flat_map(move |index| {
            let of_kind = move |kind| (split, world.sample_of(kind, split, index));
            kinds.clone().into_iter().map(of_kind)
        })
    })
}
