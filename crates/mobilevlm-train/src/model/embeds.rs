//! From the places of a batch to what the language model reads. Source: upstream's
//! `prepare_inputs_labels_for_multimodal`.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};
use mobilevlm_data::{Place, Splice};

use super::MobileVlm;
use crate::error::ModelError;

/// The pictures of a batch that stand somewhere in a row, in rising order. The others, zeros of
/// samples without a picture mostly, need not be encoded.
pub fn used_pictures(splice: &Splice) -> Vec<usize> {
    let rows = splice.rows.iter().flat_map(|row| &row.places);
    let mut used: Vec<usize> = rows
        .filter_map(|place| match place {
            Place::Picture { picture, place: 0 } => Some(*picture),
            _ => None,
        })
        .collect();
    used.sort_unstable();
    used.dedup();
    used
}

impl MobileVlm {
    /// Embeddings of all places, row by row, `[places, d]`: those of tokens and pictures, then
    /// zeros.
    pub(super) fn embeds(
        &self,
        splice: &Splice,
        features: Option<Tensor<3>>,
    ) -> Result<Tensor<2>, ModelError> {
        let used = used_pictures(splice);
        self.check(splice, &used, features.as_ref())?;
        let device = self.language.device();
        let width = self.language.hidden();
        let tokens: Vec<u32> = places(splice)
            .filter_map(|place| match place {
                Place::Token(id) => Some(id),
                _ => None,
            })
            .collect();

        // One table of all that occurs, then a row of it for each place.
        let mut table = Vec::new();
        if !tokens.is_empty() {
            table.push(self.language.embed(&tokens));
        }
        if let Some(features) = features {
            let features = match device.is_autodiff() && !features.device().is_autodiff() {
                true => Tensor::from_inner(features),
                false => features,
            };
            let embeds = self.project(features);
            let [pictures, tokens, _] = embeds.dims();
            table.push(embeds.reshape([pictures * tokens, width]));
        }
        table.push(self.language.rounded(Tensor::zeros([1, width], &device)));
        let zero = tokens.len() + used.len() * self.sizes.tokens;

        let first: BTreeMap<usize, usize> = used
            .iter()
            .enumerate()
            .map(|(index, &picture)| (picture, tokens.len() + index * self.sizes.tokens))
            .collect();
        let mut next = 0;
        let indices: Vec<i64> = places(splice)
            .map(|place| match place {
                Place::Token(_) => {
                    next += 1;
                    next - 1
                }
                Place::Picture { picture, place } => first[&picture] + place,
                Place::Zero => zero,
            })
            .map(|index| index as i64)
            .collect();
        let count = indices.len();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &device);
        Ok(Tensor::cat(table, 0).select(0, indices))
    }

    fn check(
        &self,
        splice: &Splice,
        used: &[usize],
        features: Option<&Tensor<3>>,
    ) -> Result<(), ModelError> {
        let input = |what, expected: String, found: String| ModelError::Input {
            what,
            expected,
            found,
        };
        let vocabulary = self.language.vocabulary();
        for place in places(splice) {
            match place {
                Place::Token(id) if id as usize >= vocabulary => {
                    let expected = format!("an id below {vocabulary}");
                    return Err(input("token", expected, id.to_string()));
                }
                Place::Picture { place, .. } if place >= self.sizes.tokens => {
                    let expected = format!("{} places of a picture", self.sizes.tokens);
                    return Err(input("splice", expected, format!("place {place}")));
                }
                _ => {}
            }
        }
        let expected = [used.len(), self.sizes.patches, self.sizes.features];
        let found = features.map(|features| features.dims());
        match found {
            None if used.is_empty() => Ok(()),
            Some(found) if found == expected && !used.is_empty() => Ok(()),
            found => Err(input(
                "features",
                format!("{expected:?}"),
                found.map_or("none".to_owned(), |found| format!("{found:?}")),
            )),
        }
    }
}

/// All places, row by row.
fn places(splice: &Splice) -> impl Iterator<Item = Place> {
    splice
        .rows
        .iter()
        .flat_map(|row| row.places.iter().copied())
}
