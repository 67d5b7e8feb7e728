//! The world as files: LLaVA's JSON and PNG.

use std::fs;
use std::ops::ControlFlow;

use mobilevlm_data::world::{Kind, Split, World, WorldError, WorldOptions};
use mobilevlm_processor::{Exif, Limits, decode};
use serde_json::Value;

use crate::world;

fn go_on(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn files_hold_the_samples_and_their_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/world");
    let world = world(15, 64);
    let written = world
        .write(&out, Split::HeldOut, None, 3..40, &mut go_on)
        .unwrap();
    let rows: Value = serde_json::from_slice(&fs::read(&written.samples).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 37);
    let mut pictures = 0;
    for (row, index) in rows.iter().zip(3..) {
        let sample = world.sample(Split::HeldOut, index);
        assert_eq!(row["id"], sample.id);
        let messages = row["conversations"].as_array().unwrap();
        assert_eq!(messages.len(), sample.exchanges.len() * 2);
        for (place, exchange) in sample.exchanges.iter().enumerate() {
            let (asked, told) = (&messages[place * 2], &messages[place * 2 + 1]);
            assert_eq!(
                (&asked["from"], &told["from"]),
                (&"human".into(), &"gpt".into())
            );
            let mark = match (place, &sample.scene) {
                (0, Some(_)) => "<image>\n",
                _ => "",
            };
            assert_eq!(asked["value"], format!("{mark}{}", exchange.question));
            assert_eq!(told["value"], exchange.answer);
        }
        let picture = world.image(&sample);
        assert_eq!(row.get("image").is_some(), picture.is_some());
        if let Some(picture) = picture {
            let file = fs::read(out.join(row["image"].as_str().unwrap())).unwrap();
            assert_eq!(
                decode(&file, &Limits::default(), Exif::Ignore).unwrap(),
                picture
            );
            pictures += 1;
        }
    }
    assert_eq!(written.pictures, pictures);
    let origin: Value = serde_json::from_slice(&fs::read(out.join("world.json")).unwrap()).unwrap();
    assert_eq!(
        (&origin["seed"], &origin["split"]),
        (&15.into(), &"held-out".into())
    );
}

#[test]
fn one_kind_can_be_written_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("world");
    let kind = Some(Kind::Text);
    let written = world(16, 64)
        .write(&out, Split::Train, kind, 0..3, &mut go_on)
        .unwrap();
    assert_eq!(written.pictures, 0);
    let rows: Value = serde_json::from_slice(&fs::read(&written.samples).unwrap()).unwrap();
    assert_eq!(rows[2]["kinds"][0], "text");
    assert!(rows[2].get("image").is_none());
}

#[test]
fn nothing_is_replaced_and_nothing_half_written_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("world");
    let world = world(17, 64);
    let stop = &mut |done, total| match (done, total) {
        (5, 9) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = world.write(&out, Split::Train, None, 0..9, stop);
    assert!(matches!(stopped, Err(WorldError::Stopped)), "{stopped:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "mine").unwrap();
    let refused = world
        .write(&out, Split::Train, None, 0..9, &mut go_on)
        .unwrap_err();
    assert!(matches!(refused, WorldError::Exists { .. }), "{refused}");
    assert_eq!(fs::read(out.join("mine")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn sizes_that_are_not_drawn_are_refused() {
    for size in [0, 15, 4097] {
        let error = World::new(WorldOptions {
            size,
            ..WorldOptions::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains("from 16 to 4096"), "{error}");
    }
}
