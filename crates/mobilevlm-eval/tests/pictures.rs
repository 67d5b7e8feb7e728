//! Pictures of the benchmarks as the tower gets them: the statistics that were recorded of
//! upstream's.

use std::collections::BTreeMap;
use std::path::Path;

use mobilevlm_eval::run::{decode, picture_bytes};
use mobilevlm_eval::{BENCHMARKS, Crop, PictureSource, questions};
use mobilevlm_processor::{Aspect, Preprocessor};
use serde_json::Value;

/// As the released models are configured.
fn preprocessor(crop: Crop) -> Preprocessor {
    Preprocessor {
        aspect: match crop {
            Crop::Model => Aspect::Pad,
            Crop::Centre => Aspect::Square,
        },
        size: 336,
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
    }
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn pictures_have_upstreams_statistics() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut compared = 0;
    for benchmark in BENCHMARKS {
        let folder = golden.join(benchmark.name());
        let recorded = std::fs::read(folder.join("prompts.json")).unwrap();
        let recorded: Value = serde_json::from_slice(&recorded).unwrap();
        let places: Vec<Vec<f64>> = recorded["probe_places_yx"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        let pictures: BTreeMap<String, (PictureSource, Crop)> =
            questions(*benchmark, &golden, false)
                .unwrap()
                .into_iter()
                .filter_map(|question| Some((question.picture?, question.crop)))
                .map(|(source, crop)| (source.name(), (source, crop)))
                .collect();
        let expected = recorded["pictures"].as_object().unwrap();
        assert_eq!(pictures.len(), expected.len(), "{}", benchmark.name());
        for (name, (source, crop)) in &pictures {
            let expected = &expected[name];
            let bytes = picture_bytes(source, &folder).unwrap();
            let image = decode(&bytes).unwrap();
            let preprocessor = preprocessor(*crop);
            let pixels = preprocessor.normalise(&preprocessor.prepare(&image));
            // Rounding of float32: JPEGs have the pixels of Pillow's decoder too.
            let near = 1e-5;
            let check = |what: &str, found: f64, expected: f64| {
                let far = (found - expected).abs();
                assert!(far < near, "{name}: {what} is {found}, expected {expected}");
            };
            let side = 336;
            for (channel, plane) in pixels.chunks_exact(side * side).enumerate() {
                let count = plane.len() as f64;
                let mean = plane.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
                let square = |value: &f32| (f64::from(*value) - mean).powi(2);
                let std = (plane.iter().map(square).sum::<f64>() / count).sqrt();
                check("mean", mean, numbers(&expected["mean"])[channel]);
                check("deviation", std, numbers(&expected["std"])[channel]);
                for (place, probe) in places.iter().zip(expected["probes"].as_array().unwrap()) {
                    let at = place[0] as usize * side + place[1] as usize;
                    check("probe", f64::from(plane[at]), numbers(probe)[channel]);
                }
            }
            compared += 1;
        }
    }
    assert!(compared >= BENCHMARKS.len());
}

/// With the feature, libjpeg-turbo's pixels; they are those of the decoder of our own, which the
/// tests of `mobilevlm-processor` compare with Pillow's.
#[cfg(feature = "libjpeg-turbo")]
#[test]
fn both_decoders_give_the_same_pixels() {
    use mobilevlm::{Exif, Limits, Picture};

    let mut folders = vec![mobilevlm_testing::micro_golden("images")];
    folders.extend(mobilevlm_testing::shared_golden("images", "all JPEGs"));
    let mut compared = 0;
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "jpg") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let own = Picture::decode(&bytes, &Limits::default(), Exif::Ignore).unwrap();
            assert!(
                decode(&bytes).unwrap() == *own.image(),
                "{}",
                path.display()
            );
            compared += 1;
        }
    }
    assert!(compared > 0);
}
