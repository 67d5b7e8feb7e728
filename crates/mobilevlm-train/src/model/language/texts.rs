//! The language model alone: texts, without pictures.

use burn::tensor::{Int, Tensor, TensorData};
use mobilevlm_data::{IGNORE, Labelled};

use super::Language;
use crate::error::ModelError;
use crate::model::Loss;
use crate::ops;

impl Language {
    /// The summed cross-entropy over the supervised ids of texts; label k is predicted from place
    /// k − 1. Texts are cut to `length` ids. `packed`: they share one row, where they do not see
    /// each other, instead of one for each with padding; the loss is the same.
    ///
    /// # Errors
    /// [`ModelError::Input`] where an id or label is none of the vocabulary, or labels are not as
    /// many as ids.
    pub fn loss(
        &self,
        texts: &[Labelled],
        length: usize,
        packed: bool,
    ) -> Result<Loss, ModelError> {
        let lengths: Vec<usize> = texts
            .iter()
            .map(|text| text.ids.len().min(length))
            .collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let (mut ids, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (text, labelled) in texts.iter().enumerate() {
            let own = lengths[text];
            if labelled.labels.len() != labelled.ids.len() {
                return Err(ModelError::Input {
                    what: "labels",
                    expected: format!("{}, as many as ids", labelled.ids.len()),
                    found: format!("{} in text {text}", labelled.labels.len()),
                });
            }
            let first = ids.len();
            for (place, (&id, &label)) in labelled.ids[..own]
                .iter()
                .zip(&labelled.labels[..own])
                .enumerate()
            {
                ids.push(self.known(id, text)?);
                if place > 0 && label != IGNORE {
                    places.push((first + place - 1) as i64);
                    targets.push(i64::from(self.known(label, text)?));
                }
            }
            if !packed {
                // Behind a text stands any id: no place of the text looks that far ahead.
                ids.resize(first + longest, 0);
            }
        }
        if targets.is_empty() {
            return Ok(Loss {
                sum: None,
                supervised: 0,
            });
        }
        let width = self.hidden();
        let count = ids.len();
        let x = self.embed(&ids);
        let device = self.device();
        let (rows, context) = match packed {
            true => (1, self.in_one_row(&lengths, &[], None, &device)),
            false => (texts.len(), self.in_rows(longest, None, &device)),
        };
        let x = x.reshape([rows, count / rows, width]);
        let x = self.forward(x, &context.wanting(&places, &device), None);
        Ok(self.loss_of(x, targets))
    }

    /// The loss of the hidden state before the last norm of places that predict these ids,
    /// `[1, ids, d]`.
    pub(crate) fn loss_of(&self, hidden: Tensor<3>, ids: Vec<i64>) -> Loss {
        let supervised = ids.len();
        let ids = TensorData::new(ids, [supervised]);
        let ids = Tensor::<1, Int>::from_data(ids, &hidden.device());
        let logits = self.logits(hidden.squeeze_dim(0));
        Loss {
            sum: Some(ops::cross_entropy(logits, ids)),
            supervised,
        }
    }

    fn known(&self, id: i32, text: usize) -> Result<u32, ModelError> {
        let known = u32::try_from(id).ok();
        let known = known.filter(|id| (*id as usize) < self.vocabulary());
        known.ok_or_else(|| ModelError::Input {
            what: "id",
            expected: format!("one below {}", self.vocabulary()),
            found: format!("{id} in text {text}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamedGradients, RandomSource};
    use crate::ops::testing::device;
    use mobilevlm_checkpoint::LanguageConfig;

    fn language() -> Language {
        let config = LanguageConfig {
            hidden: 8,
            heads: 4,
            kv_heads: 2,
            head_dim: 2,
            ffn: 12,
            layers: 2,
            vocab: 13,
            rms_eps: 1e-6,
            rope_theta: 10000.0,
            context: 32,
            tied: false,
            bos: 1,
            eos: 2,
        };
        // Larger than HF's beginnings: otherwise attention is all but even.
        struct Large(RandomSource);
        impl crate::model::Source for Large {
            fn values(
                &self,
                name: &str,
                shape: &[usize],
                init: crate::model::Init,
            ) -> Result<Vec<f32>, mobilevlm_checkpoint::TensorError> {
                let values = self.0.values(name, shape, init)?;
                Ok(values.into_iter().map(|value| value * 20.0).collect())
            }
        }
        Language::new(&config, None, &Large(RandomSource::new(3)), &device())
            .expect("random values are there")
    }

    fn text(ids: &[i32], supervised_from: usize) -> Labelled {
        let labels = ids.iter().enumerate();
        Labelled {
            ids: ids.to_vec(),
            labels: labels
                .map(|(place, id)| if place < supervised_from { IGNORE } else { *id })
                .collect(),
            mismatch: None,
        }
    }

    fn texts() -> Vec<Labelled> {
        vec![
            text(&[1, 5, 6, 7, 2], 0),
            text(&[1, 9], 0),
            text(&[1, 4, 4, 8, 12, 3, 2], 4),
            text(&[1], 0),
        ]
    }

    fn value(loss: &Loss) -> f64 {
        let sum = loss.sum.clone().expect("something is supervised");
        f64::from(sum.into_scalar::<f32>())
    }

    /// A packed row gives the loss and the gradients that its texts give one by one.
    #[test]
    fn packed_and_padded_texts_are_as_texts_alone() {
        let language = language();
        let mut alone = 0.0;
        let mut supervised = 0;
        let mut gradients = NamedGradients::default();
        for text in texts() {
            let loss = language.loss(&[text], 6, false).expect("it fits");
            supervised += loss.supervised;
            if loss.sum.is_none() {
                continue;
            }
            alone += value(&loss);
            let own = loss.sum.map(|sum| sum.backward());
            gradients.add(NamedGradients::collect(&language, "language", own), 1.0);
        }
        // 4 + 1 + 2 (the last id is cut off) + 0.
        assert_eq!(supervised, 7);
        let norms = gradients.norms();
        for packed in [false, true] {
            let loss = language.loss(&texts(), 6, packed).expect("they fit");
            assert_eq!(loss.supervised, supervised);
            assert!(
                (value(&loss) - alone).abs() < 1e-4 * alone,
                "packed: {packed}"
            );
            let own = loss.sum.map(|sum| sum.backward());
            let mut difference = NamedGradients::collect(&language, "language", own);
            difference.add(gradients.clone(), -1.0);
            for (name, norm) in difference.norms() {
                let expected = norms[&name];
                assert!(expected > 1e-3, "{name} learns nothing: {expected}");
                assert!(
                    norm < 1e-4 * (1.0 + expected),
                    "packed: {packed}, {name}: {norm}"
                );
            }
        }
    }

    #[test]
    fn nothing_supervised_is_no_loss_and_unknown_ids_are_refused() {
        let language = language();
        let loss = language
            .loss(&[text(&[1, 3, 4], 3)], 8, true)
            .expect("it fits");
        assert!(loss.sum.is_none() && loss.supervised == 0);
        let error = language.loss(&[text(&[1, 13], 0)], 8, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "id: expected one below 13, found 13 in text 0"
        );
        let error = language.loss(&[text(&[1, -200], 0)], 8, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "id: expected one below 13, found -200 in text 0"
        );
    }
}
