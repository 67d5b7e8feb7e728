//! Draws twelve held-out pictures on one sheet, as `docs/world.png` has them, and prints what is
//! asked about each: `cargo run -p mobilevlm-data --example world_sheet -- FILE.png [SIDE]`.

use mobilevlm_data::world::{Kind, Split, World, WorldOptions, png};
use mobilevlm_processor::RgbImage;

/// Pictures from left to right.
const COLUMNS: usize = 4;
/// Pixels between two pictures.
const GAP: usize = 6;

const SHOWN: [(Kind, u64); 12] = [
    (Kind::Relation, 0),
    (Kind::Reading, 0),
    (Kind::Counting, 3),
    (Kind::Clock, 0),
    (Kind::Comparison, 1),
    (Kind::Existence, 1),
    (Kind::Reading, 4),
    (Kind::Colour, 2),
    (Kind::Counting, 8),
    (Kind::Choice, 5),
    (Kind::Relation, 5),
    (Kind::LongCaption, 2),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which file? Name one")?;
    let side = arguments.next().map_or(Ok(168), |side| side.parse())?;
    let world = World::new(WorldOptions {
        seed: 0,
        size: side,
        ..WorldOptions::default()
    })?;
    let rows = SHOWN.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * (side + GAP) - GAP, rows * (side + GAP) - GAP);
    let mut sheet = RgbImage::filled(width, height, [255; 3]);
    for (place, (kind, index)) in SHOWN.into_iter().enumerate() {
        let sample = world.sample_of(kind, Split::HeldOut, index);
        let picture = world.image(&sample).ok_or("a text has no picture")?;
        let (left, top) = (
            place % COLUMNS * (side + GAP),
            place / COLUMNS * (side + GAP),
        );
        for y in 0..side {
            let start = ((top + y) * width + left) * 3;
            sheet.pixels[start..start + side * 3].copy_from_slice(picture.row(y));
        }
        let exchange = &sample.exchanges[0];
        println!("{kind}: {} {}", exchange.question, exchange.answer);
    }
    std::fs::write(file, png(&sheet))?;
    Ok(())
}
