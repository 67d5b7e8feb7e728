//! Pictures show what scenes say.

use mobilevlm_data::world::{Colour, Kind, Pattern, Split};
use mobilevlm_processor::RgbImage;

use crate::{samples, world};

fn pixel(picture: &RgbImage, x: f32, y: f32) -> [u8; 3] {
    let at = |value: f32| ((value * picture.width as f32) as usize).min(picture.width - 1);
    let row = picture.row(at(y));
    [0, 1, 2].map(|channel| row[at(x) * 3 + channel])
}

/// The share of each colour's pixels in a square around a place.
fn share(picture: &RgbImage, colour: Colour, x: f32, y: f32, half: f32) -> f32 {
    const STEPS: usize = 30;
    let at = |step: usize| (step as f32 + 0.5) / STEPS as f32 * 2.0 - 1.0;
    let fitting = (0..STEPS * STEPS).filter(|step| {
        let (u, v) = (at(step % STEPS), at(step / STEPS));
        Colour::nearest(pixel(picture, x + u * half, y + v * half)) == colour
    });
    fitting.count() as f32 / (STEPS * STEPS) as f32
}

#[test]
fn objects_have_their_colour_where_they_are() {
    let kinds = [Kind::Colour, Kind::Relation, Kind::Counting];
    for size in [112, 336] {
        let world = world(12, size);
        for (_, sample) in samples(world, &kinds, 40) {
            let scene = sample.scene.as_ref().unwrap();
            let picture = world.image(&sample).unwrap();
            for object in &scene.objects {
                let found = share(&picture, object.colour, object.x, object.y, object.radius);
                let expected = match object.pattern {
                    Pattern::Plain => 0.11,
                    _ => 0.07,
                } * object.visible;
                assert!(found > expected, "{} {found} {object:?}", sample.id);
            }
        }
    }
}

#[test]
fn bars_and_boards_have_their_colour_and_height() {
    let world = world(13, 168);
    for (_, sample) in samples(world, &[Kind::Reading, Kind::Comparison], 60) {
        let scene = sample.scene.as_ref().unwrap();
        let picture = world.image(&sample).unwrap();
        for bar in &scene.bars {
            // The axis is at 0.88 and a value of 100 is 0.68 high; 0.03 off the bar's end.
            let top = 0.88 - 0.68 * f32::from(bar.value) / 100.0;
            let inside = pixel(&picture, bar.x, (top + 0.88) / 2.0);
            assert_eq!(Colour::nearest(inside), bar.colour, "{bar:?}");
            let above = pixel(&picture, bar.x - bar.width * 0.45, top - 0.02);
            // What is pale is nearest to these two.
            let is_pale = matches!(bar.colour, Colour::White | Colour::Pink);
            assert!(
                is_pale || Colour::nearest(above) != bar.colour,
                "{bar:?} {above:?}"
            );
        }
        for sign in &scene.signs {
            let Some(board) = sign.board else { continue };
            // Between the letters and the edge.
            let above = pixel(&picture, sign.x, sign.y - sign.height * 0.72);
            assert_eq!(Colour::nearest(above), board, "{sign:?}");
        }
    }
}

#[test]
fn a_small_picture_is_the_large_one_made_smaller() {
    let (small, large) = (world(14, 112), world(14, 336));
    for index in 0..30 {
        let sample = small.sample_of(Kind::Caption, Split::Train, index);
        let (small, large) = (small.image(&sample).unwrap(), large.image(&sample).unwrap());
        let mut difference = 0;
        for (y, x, channel) in (0..112 * 112 * 3).map(|i| (i / 336, i / 3 % 112, i % 3)) {
            let parts = (0..9).map(|i| large.row(y * 3 + i / 3)[(x * 3 + i % 3) * 3 + channel]);
            let mean = (parts.map(u32::from).sum::<u32>() + 4) / 9;
            difference += mean.abs_diff(u32::from(small.row(y)[x * 3 + channel]));
        }
        let mean = f64::from(difference) / (112.0 * 112.0 * 3.0);
        assert!(mean < 1.0, "{}: {mean}", sample.id);
    }
}

#[test]
fn colours_are_far_apart() {
    for &a in Colour::ALL {
        assert_eq!(Colour::nearest(a.rgb()), a);
        for &b in Colour::ALL {
            let parts = a.rgb().into_iter().zip(b.rgb());
            let squared: f64 = parts.map(|(x, y)| f64::from(x.abs_diff(y)).powi(2)).sum();
            assert!(a == b || squared.sqrt() > 75.0, "{a:?} {b:?}");
        }
    }
}
