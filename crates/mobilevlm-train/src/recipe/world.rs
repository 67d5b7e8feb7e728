//! Samples of the synthetic world in a recipe's mixture.

use mobilevlm_data::world::{Sample, Split, World, WorldOptions};

use super::WorldData;
use crate::random::Draws;

impl WorldData {
    /// The world that the samples are of, its pictures `size` pixels wide and high.
    pub(crate) fn options(&self, size: usize) -> WorldOptions {
        WorldOptions {
            seed: self.seed,
            size,
            most_turns: self.most_turns,
            most_questions: self.most_questions,
            most_objects: self.most_objects,
        }
    }

    /// Sample `index` of the training part: of a kind drawn by the recipe's weights, or of the
    /// world's own mixture. A function of the world, the recipe and `index`.
    pub fn sample(&self, world: &World, index: u64) -> Sample {
        let total: f64 = self.kinds.iter().map(|(_, weight)| weight).sum();
        let place = Draws::new(self.seed)
            .named("kinds of samples")
            .uniform(index)
            * total;
        let mut before = 0.0;
        let drawn = self.kinds.iter().find(|(_, weight)| {
            before += weight;
            place < before
        });
        // Rounding may leave the last one's end a little below the total.
        match drawn.or(self.kinds.last()) {
            Some((kind, _)) => world.sample_of(*kind, Split::Train, index),
            None => world.sample(Split::Train, index),
        }
    }
}
