//! `mobilevlm train --check`: this crate against what upstream's own code recorded, in a folder laid
//! out like `../shared/golden/train`.
//!
//! Nothing passes by default: what cannot be read, and what has nothing to compare, is a difference.
//! Sizes, names and contents come from the folder.
//!
//! - `data`: labels, splices, orders of samples, learning rates
//! - `start`: the model that a run begins with
//! - `edges`: loss and gradients of awkward batches
//! - `trajectory`: whole training runs, repeated
//! - `report`: differences and what is allowed

mod data;
mod edges;
mod files;
mod report;
mod start;
mod trajectory;

use std::path::Path;

use burn::tensor::Device;

pub use report::{CheckItem, CheckReport};

use files::{Folder, Wrong};
use report::Items;

/// What is being compared, and how far: of several parts, this one.
pub type OnPart<'a> = dyn FnMut(&str, usize, usize) + 'a;

/// Compares everything that a folder has with what is computed here, on the CPU in float32.
///
/// `on_part` hears of every part before it is compared: its name, its number from 0, and how many
/// there are.
pub fn check(folder: &Path, on_part: &mut OnPart<'_>) -> CheckReport {
    let folder = Folder::new(folder);
    let device = Device::flex().autodiff();
    let mut items = Items::default();
    let trajectories = trajectory::find(&folder);
    let parts: usize = 5 + trajectories.as_ref().map_or(1, Vec::len);
    let mut done = 0;
    let mut part =
        |items: &mut Items, name: &str, run: &mut dyn FnMut(&mut Items) -> Result<(), Wrong>| {
            on_part(name, done, parts);
            done += 1;
            if let Err(wrong) = run(items) {
                items.failed(name, wrong);
            }
        };
    part(&mut items, "labels", &mut |items| {
        data::labels(&folder, items)
    });
    part(&mut items, "splices", &mut |items| {
        data::splices(&folder, items)
    });
    part(&mut items, "orders", &mut |items| {
        data::orders(&folder, items)
    });
    part(&mut items, "schedules", &mut |items| {
        data::schedules(&folder, items)
    });
    part(&mut items, "edges", &mut |items| {
        edges::edges(&folder, &device, items)
    });
    match trajectories {
        Ok(trajectories) => {
            let mut ends = start::Ends::default();
            for trajectory in trajectories {
                let name = trajectory.name.clone();
                part(&mut items, &name, &mut |items| {
                    trajectory::run(&folder, &trajectory, &device, &mut ends, items)
                });
            }
        }
        Err(wrong) => items.failed("trajectories", wrong),
    }
    items.report()
}
