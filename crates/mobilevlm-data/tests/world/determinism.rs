//! A sample is a pure function of (seed, split, kind, index).

use mobilevlm_data::world::{Kind, Split, World};
use sha2::{Digest, Sha256};

use crate::world;

fn hash(world: World, split: Split, index: u64) -> Vec<u8> {
    let sample = world.sample(split, index);
    let mut hash = Sha256::new();
    hash.update(format!("{sample:?}"));
    if let Some(picture) = world.image(&sample) {
        hash.update(&picture.pixels);
    }
    hash.finalize().to_vec()
}

#[test]
fn samples_depend_on_no_order_no_thread_and_no_other_world() {
    for split in Split::ALL {
        let forwards: Vec<_> = (0..40).map(|i| hash(world(9, 112), split, i)).collect();
        let shared = world(9, 112);
        let backwards = std::thread::spawn(move || {
            let hashes = (0..40).rev().map(|i| hash(shared, split, i));
            hashes.collect::<Vec<_>>()
        });
        let mut backwards = backwards.join().unwrap();
        backwards.reverse();
        assert!(forwards == backwards);
    }
}

#[test]
fn seeds_parts_kinds_and_numbers_make_a_difference() {
    let of = |seed, split, index| hash(world(seed, 112), split, index);
    let first = of(1, Split::Train, 5);
    for other in [
        of(2, Split::Train, 5),
        of(1, Split::HeldOut, 5),
        of(1, Split::Train, 6),
    ] {
        assert!(first != other);
    }
    let world = world(1, 112);
    let scenes = Kind::EXAMINED.map(|kind| world.sample_of(kind, Split::Train, 5).scene);
    for (place, scene) in scenes.iter().enumerate() {
        assert!(!scenes[..place].contains(scene));
    }
}

#[test]
fn the_mixture_has_the_samples_of_its_kinds_and_all_kinds_that_are_not_for_training_alone() {
    let world = world(10, 112);
    let mut kinds = Vec::new();
    for index in 0..300 {
        let sample = world.sample(Split::Train, index);
        assert_eq!(sample, world.sample_of(sample.kind, Split::Train, index));
        kinds.push(sample.kind);
    }
    for kind in Kind::ALL {
        // These are for those who ask for them.
        let is_apart = matches!(
            kind,
            Kind::Lookup
                | Kind::ColourLookup
                | Kind::Page
                | Kind::Chart
                | Kind::Crowd
                | Kind::Overlap
                | Kind::Shape
                | Kind::SignChoice
        );
        assert_eq!(kinds.contains(&kind), !is_apart, "{kind}");
    }
}

#[test]
fn the_size_of_pictures_changes_nothing_else() {
    for index in 0..20 {
        let sample = world(11, 112).sample(Split::Train, index);
        assert_eq!(sample, world(11, 336).sample(Split::Train, index));
    }
}
