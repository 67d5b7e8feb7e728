//! The order in which samples are trained.
//!
//! - `mt19937`: torch's generator, for upstream's orders
//! - `grouped`: what goes together, given the permutations
//! - `order`: our own order, a pure function of seed, epoch and step

mod grouped;
mod mt19937;
mod order;

pub use grouped::{Grouping, OrderError, upstream_order};
pub use mt19937::{Mt19937, random_permutation};
pub(crate) use order::Shuffle;
pub use order::{EpochOrder, Order};
