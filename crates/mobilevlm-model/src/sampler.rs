use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// How the next id is chosen from logits. The default is greedy.
///
/// The filters apply in the order of the fields, as in transformers' `generate`.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Divides the logits of ids already in the sequence where they are positive and multiplies
    /// them where they are negative (Keskar et al. 2019). 1 leaves them as they are. Applies to
    /// greedy choice too.
    pub repetition_penalty: f32,
    /// Divides the logits; 0 takes the id with the largest logit, and the other filters do not
    /// matter.
    pub temperature: f32,
    /// Keeps the `top_k` most probable ids; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest most probable ids whose probabilities sum to at least `top_p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps ids at least `min_p` times as probable as the most probable one; 0 keeps all.
    pub min_p: f32,
    /// Start of the random numbers; the same seed gives the same answer.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> SamplerOptions {
        SamplerOptions {
            repetition_penalty: 1.0,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
        }
    }
}

/// Chooses ids for one sequence. Allocates nothing after [`Sampler::new`].
pub struct Sampler {
    options: SamplerOptions,
    random: Pcg64Mcg,
    /// Which ids the sequence has; empty where nobody asks.
    seen: Vec<bool>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy)]
struct Candidate {
    id: u32,
    /// Logit, later probability relative to the largest.
    weight: f32,
}

impl Sampler {
    /// A sampler for logits of `vocab` ids.
    pub fn new(options: SamplerOptions, vocab: usize) -> Sampler {
        let penalised = options.repetition_penalty != 1.0;
        Sampler {
            random: Pcg64Mcg::seed_from_u64(options.seed),
            seen: vec![false; if penalised { vocab } else { 0 }],
            candidates: Vec::with_capacity(vocab),
            options,
        }
    }

    /// Tells the sampler that the sequence has `id`: for each token of the prompt and the answer.
    pub fn observe(&mut self, id: u32) {
        if let Some(seen) = self.seen.get_mut(id as usize) {
            *seen = true;
        }
    }

    /// Chooses the next id from `logits`, `[vocab]`. Of equal logits the lowest id comes first;
    /// what is not a number is never chosen before a number.
    pub fn sample(&mut self, logits: &[f32]) -> u32 {
        let penalty = self.options.repetition_penalty;
        let seen = &self.seen;
        let penalise = |id: usize, logit: f32| match seen.get(id) {
            Some(true) if logit > 0.0 => logit / penalty,
            Some(true) => logit * penalty,
            _ => logit,
        };
        let logits = logits.iter().enumerate().map(|(id, &logit)| Candidate {
            id: id as u32,
            weight: if logit.is_nan() {
                f32::NEG_INFINITY
            } else {
                penalise(id, logit)
            },
        });
        if self.options.temperature <= 0.0 {
            return greedy(logits);
        }
        self.candidates.clear();
        self.candidates.extend(logits);
        self.filter();
        self.draw()
    }

    /// Leaves the candidates that pass all filters, most probable first.
    fn filter(&mut self) {
        let SamplerOptions {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.options;
        let candidates = &mut self.candidates;
        let by_weight =
            |a: &Candidate, b: &Candidate| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id));
        if top_k > 0 && top_k < candidates.len() {
            candidates.select_nth_unstable_by(top_k - 1, by_weight);
            candidates.truncate(top_k);
        }
        candidates.sort_unstable_by(by_weight);

        let largest = candidates.first().map_or(0.0, |candidate| candidate.weight);
        for candidate in candidates.iter_mut() {
            let weight = ((candidate.weight - largest) / temperature).exp();
            // Equal infinities have no difference: the most probable then counts as certain.
            candidate.weight = if weight.is_nan() { 1.0 } else { weight };
        }
        if top_p < 1.0 {
            let wanted = top_p * total(candidates);
            let mut sum = 0.0;
            let kept = candidates.iter().take_while(|candidate| {
                let more = sum < wanted;
                sum += candidate.weight;
                more
            });
            let kept = kept.count().max(1);
            candidates.truncate(kept);
        }
        // The most probable candidate has weight 1.
        let kept = candidates.partition_point(|candidate| candidate.weight >= min_p);
        candidates.truncate(kept.max(1));
    }

    fn draw(&mut self) -> u32 {
        // 24 bits, all that a float32 in [0, 1) can hold.
        let uniform = (self.random.next_u64() >> 40) as f32 / (1 << 24) as f32;
        let mut left = uniform * total(&self.candidates);
        for candidate in &self.candidates {
            if left < candidate.weight {
                return candidate.id;
            }
            left -= candidate.weight;
        }
        // Rounding can leave a rest behind the last candidate.
        self.candidates.last().map_or(0, |candidate| candidate.id)
    }
}

fn greedy(candidates: impl Iterator<Item = Candidate>) -> u32 {
    let best = candidates.reduce(|best, next| {
        if next.weight > best.weight {
            next
        } else {
            best
        }
    });
    best.map_or(0, |best| best.id)
}

fn total(candidates: &[Candidate]) -> f32 {
    candidates.iter().map(|candidate| candidate.weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of five ids; as probabilities at temperature 1: 0.05, 0.4, 0.2, 0.25, 0.1.
    fn logits() -> [f32; 5] {
        [0.05, 0.4, 0.2, 0.25, 0.1].map(|probability: f32| probability.ln() + 3.0)
    }

    /// How often each id is chosen in `draws` draws, as shares.
    fn shares(options: SamplerOptions, seen: &[u32], draws: usize) -> [f32; 5] {
        let mut sampler = Sampler::new(options, 5);
        seen.iter().for_each(|&id| sampler.observe(id));
        let mut shares = [0.0; 5];
        for _ in 0..draws {
            shares[sampler.sample(&logits()) as usize] += 1.0 / draws as f32;
        }
        shares
    }

    /// Compares with probabilities computed by hand; 40,000 draws have a deviation of 0.0025.
    fn assert_shares(options: SamplerOptions, expected: [f32; 5]) {
        let found = shares(options.clone(), &[], 40_000);
        for (id, (found, expected)) in found.iter().zip(expected).enumerate() {
            let never = expected == 0.0;
            assert!(
                if never {
                    *found == 0.0
                } else {
                    (found - expected).abs() < 0.01
                },
                "{options:?}: id {id}: expected {expected}, found {found}"
            );
        }
    }

    fn warm() -> SamplerOptions {
        SamplerOptions {
            temperature: 1.0,
            ..SamplerOptions::default()
        }
    }

    #[test]
    fn greedy_takes_the_largest_and_of_equals_the_lowest_id() {
        let mut sampler = Sampler::new(SamplerOptions::default(), 4);
        assert_eq!(sampler.sample(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(sampler.sample(&[-1.0, -3.0, -0.5, -0.5]), 2);
        assert_eq!(sampler.sample(&[f32::NAN, 1.0, f32::NAN, 0.0]), 1);
        assert_eq!(sampler.sample(&[f32::NAN; 4]), 0);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        assert_shares(warm(), [0.05, 0.4, 0.2, 0.25, 0.1]);
    }

    #[test]
    fn temperature_takes_the_root_of_probabilities() {
        // Square roots, and their sum.
        let roots = [0.05_f32, 0.4, 0.2, 0.25, 0.1].map(f32::sqrt);
        let sum: f32 = roots.iter().sum();
        let options = SamplerOptions {
            temperature: 2.0,
            ..warm()
        };
        assert_shares(options, roots.map(|root| root / sum));
    }

    #[test]
    fn top_k_keeps_the_most_probable() {
        let options = SamplerOptions { top_k: 2, ..warm() };
        assert_shares(options, [0.0, 0.4 / 0.65, 0.0, 0.25 / 0.65, 0.0]);
        let options = SamplerOptions { top_k: 1, ..warm() };
        assert_shares(options, [0.0, 1.0, 0.0, 0.0, 0.0]);
        let options = SamplerOptions { top_k: 9, ..warm() };
        assert_shares(options, [0.05, 0.4, 0.2, 0.25, 0.1]);
    }

    #[test]
    fn top_p_keeps_the_fewest_that_reach_it() {
        let options = SamplerOptions {
            top_p: 0.6,
            ..warm()
        };
        assert_shares(options, [0.0, 0.4 / 0.65, 0.0, 0.25 / 0.65, 0.0]);
        let options = SamplerOptions {
            top_p: 0.7,
            ..warm()
        };
        assert_shares(options, [0.0, 0.4 / 0.85, 0.2 / 0.85, 0.25 / 0.85, 0.0]);
        let options = SamplerOptions {
            top_p: 1e-9,
            ..warm()
        };
        assert_shares(options, [0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn min_p_is_relative_to_the_most_probable() {
        // Of 0.4, half is 0.2: id 2 has a little less or more by rounding, so 0.49 keeps it.
        let options = SamplerOptions {
            min_p: 0.49,
            ..warm()
        };
        assert_shares(options, [0.0, 0.4 / 0.85, 0.2 / 0.85, 0.25 / 0.85, 0.0]);
        let options = SamplerOptions {
            min_p: 1.0,
            ..warm()
        };
        assert_shares(options, [0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_penalty_pushes_what_was_seen_towards_the_improbable() {
        let options = SamplerOptions {
            repetition_penalty: 2.0,
            ..SamplerOptions::default()
        };
        let mut sampler = Sampler::new(options, 3);
        sampler.observe(0);
        sampler.observe(1);
        // 5 becomes 2.5, -1 becomes -2.
        assert_eq!(sampler.sample(&[5.0, -1.0, 2.6]), 2);
        assert_eq!(sampler.sample(&[5.0, -1.0, 2.4]), 0);
        assert_eq!(sampler.sample(&[-9.0, -1.0, -1.9]), 2);
        assert_eq!(sampler.sample(&[-9.0, -1.0, -2.1]), 1);
        // An id that the sampler does not know of changes nothing.
        sampler.observe(7);
        assert_eq!(sampler.sample(&[5.0, -1.0, 2.4]), 0);
    }

    #[test]
    fn a_seed_fixes_the_draws() {
        let draws = |seed| {
            let mut sampler = Sampler::new(SamplerOptions { seed, ..warm() }, 5);
            (0..50)
                .map(|_| sampler.sample(&logits()))
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn logits_without_a_number_among_them_still_give_an_id() {
        let mut sampler = Sampler::new(warm(), 3);
        for logits in [[f32::NAN; 3], [f32::NEG_INFINITY; 3], [f32::INFINITY; 3]] {
            assert!(sampler.sample(&logits) < 3);
        }
        assert_eq!(sampler.sample(&[f32::NAN, 0.0, f32::NEG_INFINITY]), 1);
    }
}
