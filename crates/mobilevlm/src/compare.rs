use std::ops::ControlFlow;

use serde::Serialize;

use crate::{EncodedPicture, Error, Event, GenerateOptions, Model, Picture};

/// Two models side by side: how far `b`, a quantised file say, is from `a`, say the original.
///
/// Each picture is encoded by both, and their embeds are compared. Each question is answered by
/// `a`; then both give their probabilities for every token of that answer, each behind its own
/// embeds of the picture, so that one different token does not make all later ones different.
///
/// ```
/// use mobilevlm::{Comparison, GenerateOptions, Model, OpenOptions};
///
/// # let checkpoint = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/checkpoint");
/// let model = Model::open(&checkpoint, &OpenOptions::default())?;
/// let mut comparison = Comparison::new(&model, &model)?;
/// let options = GenerateOptions { max_new_tokens: 4, ..GenerateOptions::default() };
/// comparison.question(None, "What is a river?", &options)?;
/// assert_eq!(comparison.differences().divergence_worst, 0.0);
/// # Ok::<(), mobilevlm::Error>(())
/// ```
#[derive(Debug)]
pub struct Comparison {
    a: Model,
    b: Model,
    /// Of each picture.
    cosines: Vec<f64>,
    /// Of each token of each answer.
    divergences: Vec<f64>,
    answers: usize,
    agreed: usize,
}

/// A picture as both models see it.
#[derive(Clone, Debug)]
pub struct ComparedPicture {
    a: EncodedPicture,
    b: EncodedPicture,
}

/// How far two models are from each other. What is no number counts as infinite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Differences {
    /// Pictures compared.
    pub pictures: usize,
    /// The mean, over pictures, of the cosine between the models' embeds `[T, d]`; 1 for the same
    /// direction, and without pictures.
    pub cosine_mean: f64,
    /// The cosine of the picture with the least.
    pub cosine_least: f64,
    /// Answers compared.
    pub answers: usize,
    /// Tokens of these answers, ends of sequence among them.
    pub tokens: usize,
    /// The mean, over tokens, of the Kullback-Leibler divergence of b's distribution of the next
    /// token from a's, in nats; 0 for equal distributions, and without answers.
    pub divergence_mean: f64,
    /// The divergence that 95 of 100 tokens do not exceed.
    pub divergence_p95: f64,
    /// The divergence of the token with the greatest.
    pub divergence_worst: f64,
    /// Share of the tokens where both models find the same token likeliest; 1 without answers.
    pub agreement: f64,
}

impl Comparison {
    /// Begins to compare `b` with `a`.
    ///
    /// # Errors
    /// [`Error::Unlike`] for models of other sizes or vocabularies, which have nothing to compare.
    pub fn new(a: &Model, b: &Model) -> Result<Comparison, Error> {
        let sizes = |model: &Model| {
            [
                ("tokens in the vocabulary", model.language().vocab()),
                ("positions for a picture", model.projector().tokens()),
                ("numbers in an embedding", model.language().hidden()),
            ]
        };
        for ((what, a), (_, b)) in sizes(a).into_iter().zip(sizes(b)) {
            if a != b {
                return Err(Error::Unlike { what, a, b });
            }
        }
        Ok(Comparison {
            a: a.clone(),
            b: b.clone(),
            cosines: Vec::new(),
            divergences: Vec::new(),
            answers: 0,
            agreed: 0,
        })
    }

    /// Encodes a picture with both models and compares their embeds.
    ///
    /// # Errors
    /// What [`Model::encode`] refuses.
    pub fn picture(&mut self, picture: &Picture) -> Result<ComparedPicture, Error> {
        let (a, b) = (self.a.encode(picture)?, self.b.encode(picture)?);
        self.cosines.push(cosine(a.embeds(), b.embeds()));
        Ok(ComparedPicture { a, b })
    }

    /// Lets `a` answer a question and compares what both models expect at each of its tokens.
    /// An answer that is cancelled counts for nothing.
    ///
    /// # Errors
    /// What [`Model::question`] and [`Model::generate`] refuse; [`Error::Unlike`] if the models
    /// read the question as different numbers of tokens.
    pub fn question(
        &mut self,
        picture: Option<&ComparedPicture>,
        text: &str,
        options: &GenerateOptions,
    ) -> Result<(), Error> {
        let seen = |model: &Model, of: fn(&ComparedPicture) -> &EncodedPicture| {
            let pictures: Vec<_> = picture.map(of).cloned().into_iter().collect();
            model.question(&pictures, text)
        };
        let prompt_a = seen(&self.a, |picture| &picture.a)?;
        let prompt_b = seen(&self.b, |picture| &picture.b)?;
        if !prompt_a.tokens().eq(prompt_b.tokens()) {
            return Err(Error::Unlike {
                what: "tokens in the same question, which should be the same",
                a: prompt_a.len(),
                b: prompt_b.len(),
            });
        }
        let mut ids = Vec::new();
        self.a.generate(prompt_a.clone(), options, &mut |event| {
            if let Event::Token { id, .. } = event {
                ids.push(id);
            }
            ControlFlow::Continue(())
        })?;
        if options.cancel.is_cancelled() {
            return Ok(());
        }
        let (a, b) = (
            self.a.score(&prompt_a, &ids)?,
            self.b.score(&prompt_b, &ids)?,
        );
        let vocab = self.a.language().vocab();
        for (a, b) in a.chunks_exact(vocab).zip(b.chunks_exact(vocab)) {
            self.divergences.push(divergence(a, b));
            self.agreed += usize::from(likeliest(a) == likeliest(b));
        }
        self.answers += 1;
        Ok(())
    }

    /// What was found so far.
    pub fn differences(&self) -> Differences {
        let mean = |values: &[f64], of_none: f64| match values.len() {
            0 => of_none,
            count => values.iter().sum::<f64>() / count as f64,
        };
        let tokens = self.divergences.len();
        let mut sorted = self.divergences.clone();
        sorted.sort_by(f64::total_cmp);
        // The least number of tokens that are 95 of 100.
        let p95 = (tokens * 95).div_ceil(100).saturating_sub(1);
        Differences {
            pictures: self.cosines.len(),
            cosine_mean: mean(&self.cosines, 1.0),
            cosine_least: self.cosines.iter().copied().fold(1.0, f64::min),
            answers: self.answers,
            tokens,
            divergence_mean: mean(&sorted, 0.0),
            divergence_p95: sorted.get(p95).copied().unwrap_or(0.0),
            divergence_worst: sorted.last().copied().unwrap_or(0.0),
            agreement: match tokens {
                0 => 1.0,
                tokens => self.agreed as f64 / tokens as f64,
            },
        }
    }
}

/// The cosine between two vectors; 1 for two without length, −1 where something is no number.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let (mut dot, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        squares_a += a * a;
        squares_b += b * b;
    }
    let lengths = (squares_a * squares_b).sqrt();
    match dot / lengths {
        _ if squares_a == 0.0 && squares_b == 0.0 => 1.0,
        // One of two vectors has no length and no direction.
        _ if lengths == 0.0 => 0.0,
        cosine if cosine.is_nan() => -1.0,
        cosine => cosine.min(1.0),
    }
}

/// The Kullback-Leibler divergence of the distribution with logits `b` from that with logits `a`:
/// the sum of p_a · (ln p_a − ln p_b), in nats. Infinite where something is no number.
fn divergence(a: &[f32], b: &[f32]) -> f64 {
    let (normal_a, normal_b) = (log_sum(a), log_sum(b));
    let mut sum = 0.0;
    for (&a, &b) in a.iter().zip(b) {
        let (ln_a, ln_b) = (f64::from(a) - normal_a, f64::from(b) - normal_b);
        let p = ln_a.exp();
        // A token that is impossible adds nothing, however impossible b finds it.
        if p != 0.0 {
            sum += p * (ln_a - ln_b);
        }
    }
    if sum.is_nan() {
        return f64::INFINITY;
    }
    // The sum of rounded terms may be a little below the least that a divergence can be.
    sum.max(0.0)
}

/// The logarithm of the sum of the exponentials.
fn log_sum(logits: &[f32]) -> f64 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let greatest = f64::from(greatest);
    let exponentials = logits.iter().map(|&x| (f64::from(x) - greatest).exp());
    greatest + exponentials.sum::<f64>().ln()
}

/// The first of the greatest.
fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_that_of_the_definition() {
        // p_a = (1/2, 1/4, 1/4), p_b = (1/4, 1/2, 1/4), whatever is added to the logits:
        // 1/2 ln 2 − 1/4 ln 2.
        let a = [0.5_f32, 0.25, 0.25].map(|p| p.ln() + 30.0);
        let b = [0.25_f32, 0.5, 0.25].map(|p| p.ln() - 7.0);
        let expected = 0.25 * std::f64::consts::LN_2;
        assert!((divergence(&a, &b) - expected).abs() < 1e-5);
        assert_eq!(divergence(&a, &a), 0.0);
    }

    #[test]
    fn what_is_no_number_is_as_far_as_can_be() {
        let good = [1.0, 2.0];
        for bad in [[f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert_eq!(divergence(&good, &bad), f64::INFINITY, "{bad:?}");
            assert_eq!(divergence(&bad, &good), f64::INFINITY, "{bad:?}");
            assert_eq!(cosine(&good, &bad), -1.0, "{bad:?}");
        }
        // A token that a finds impossible may be anything in b.
        let impossible = [f32::NEG_INFINITY, 2.0];
        assert_eq!(divergence(&impossible, &[f32::NEG_INFINITY, 7.0]), 0.0);
        assert!((divergence(&impossible, &[2.0, 2.0]) - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(divergence(&[2.0, 2.0], &impossible), f64::INFINITY);
    }

    #[test]
    fn cosine_is_that_of_the_angle() {
        let x = [1.1, -2.3, 3.7];
        assert_eq!(cosine(&x, &x), 1.0);
        assert!((cosine(&x, &x.map(|v| -2.0 * v)) + 1.0).abs() < 1e-12);
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(cosine(&[0.0], &[0.0]), 1.0);
        assert_eq!(cosine(&[0.0], &[1.0]), 0.0);
    }
}
