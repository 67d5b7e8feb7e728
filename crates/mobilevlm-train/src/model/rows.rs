//! The rows of a batch as the language model goes through them: one beside the other with padding,
//! or one after the other.

use std::borrow::Cow;

use burn::tensor::Device;
use mobilevlm_data::{IGNORE, Place, Splice, SplicedRow};

use super::language::{Context, Language};
use crate::error::ModelError;

/// A batch, and how its rows lie.
pub(super) struct Rows<'a> {
    /// Rows of one length, or, where they are packed, each as long as it is.
    pub(super) splice: Cow<'a, Splice>,
    packs: bool,
}

impl<'a> Rows<'a> {
    /// `packs`: what stands behind the end of a row is left out, and all rows share one.
    ///
    /// # Errors
    /// [`ModelError::Input`] where rows are of several lengths, or there are none.
    pub(super) fn new(splice: &'a Splice, packs: bool) -> Result<Rows<'a>, ModelError> {
        let length = splice.rows.first().map_or(0, |row| row.places.len());
        let fits = |row: &SplicedRow| {
            let lengths = [row.places.len(), row.labels.len(), row.attention_mask.len()];
            lengths == [length; 3]
        };
        if length == 0 || !splice.rows.iter().all(fits) {
            return Err(ModelError::Input {
                what: "batch",
                expected: "rows of one length, not empty".to_owned(),
                found: format!("{} rows", splice.rows.len()),
            });
        }
        let splice = match packs {
            false => Cow::Borrowed(splice),
            true => Cow::Owned(Splice {
                rows: splice.rows.iter().map(whole).collect(),
            }),
        };
        Ok(Rows { splice, packs })
    }

    /// Rows and places of the tensor that goes through the layers.
    pub(super) fn shape(&self) -> [usize; 2] {
        let places = self.splice.rows.iter().map(|row| row.places.len()).sum();
        match self.packs {
            true => [1, places],
            false => {
                let rows = self.splice.rows.len();
                [rows, places / rows]
            }
        }
    }

    /// What the layers of a language model look at.
    pub(super) fn context(&self, language: &Language, device: &Device) -> Context {
        let rows = &self.splice.rows;
        let lengths: Vec<usize> = rows.iter().map(|row| row.places.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let is_masked = rows.iter().any(|row| row.attention_mask.contains(&false));
        let keys = is_masked.then(|| {
            let keys = rows.iter().flat_map(|row| {
                // Nobody looks behind the end of a row.
                let behind = longest - row.attention_mask.len();
                let seen = row.attention_mask.iter().copied();
                seen.chain(std::iter::repeat_n(true, behind))
            });
            keys.collect()
        });
        match self.packs {
            true => language.in_one_row(&lengths, keys, device),
            false => language.in_rows(longest, keys, device),
        }
    }

    /// The places that predict something, counted over all rows, and what.
    ///
    /// # Errors
    /// [`ModelError::Input`] where a label is none of the vocabulary.
    pub(super) fn supervised(&self, vocabulary: usize) -> Result<(Vec<i64>, Vec<i64>), ModelError> {
        let (mut places, mut targets) = (Vec::new(), Vec::new());
        let mut first = 0;
        for (row, spliced) in self.splice.rows.iter().enumerate() {
            for (place, &label) in spliced.labels.iter().enumerate().skip(1) {
                if label == IGNORE {
                    continue;
                }
                if usize::try_from(label).is_ok_and(|label| label < vocabulary) {
                    places.push((first + place - 1) as i64);
                    targets.push(i64::from(label));
                } else {
                    return Err(ModelError::Input {
                        what: "label",
                        expected: format!("{IGNORE}, or an id below {vocabulary}"),
                        found: format!("{label} in row {row}, place {place}"),
                    });
                }
            }
            first += spliced.places.len();
        }
        Ok((places, targets))
    }
}

/// A row up to its last place that is seen, supervised or of a picture.
fn whole(row: &SplicedRow) -> SplicedRow {
    let places = row.places.iter().zip(&row.labels).zip(&row.attention_mask);
    let counts = |((place, label), seen): ((&Place, &i32), &bool)| {
        *seen || *label != IGNORE || matches!(place, Place::Picture { .. })
    };
    let length = places.map(counts).rposition(|counts| counts);
    let length = length.map_or(0, |last| last + 1);
    SplicedRow {
        places: row.places[..length].to_vec(),
        labels: row.labels[..length].to_vec(),
        attention_mask: row.attention_mask[..length].to_vec(),
    }
}
