//! The rows of a batch as the language model goes through them: one beside the other with padding,
//! or one after the other, where what several begin with is there once.

use std::borrow::Cow;

use burn::tensor::Device;
use mobilevlm_data::{IGNORE, Place, Splice, SplicedRow};

use super::language::{Context, Language, Shared};
use crate::error::ModelError;

/// A batch, and how its rows lie.
pub(super) struct Rows<'a> {
    /// Rows of one length, or, where they are packed, each as long as it is, without what it
    /// shares.
    pub(super) splice: Cow<'a, Splice>,
    /// Of packed rows: what each begins with and does not hold itself.
    shared: Vec<Shared>,
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
        if !packs {
            let (splice, shared) = (Cow::Borrowed(splice), Vec::new());
            return Ok(Rows {
                splice,
                shared,
                packs,
            });
        }
        let mut rows: Vec<SplicedRow> = splice.rows.iter().map(whole).collect();
        let begins_with = |row: usize| {
            let earlier = (0..row).map(|earlier| Shared {
                row: earlier,
                places: beginning(&rows[earlier], &rows[row]),
            });
            // The first of those with which it has most in common.
            let longest = earlier.rev().max_by_key(|shared| shared.places);
            longest.unwrap_or_default()
        };
        let shared: Vec<Shared> = (0..rows.len()).map(begins_with).collect();
        for (row, shared) in rows.iter_mut().zip(&shared) {
            row.places.drain(..shared.places);
            row.labels.drain(..shared.places);
            row.attention_mask.drain(..shared.places);
        }
        let splice = Cow::Owned(Splice { rows });
        Ok(Rows {
            splice,
            shared,
            packs,
        })
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
        let shared = |row: usize| self.shared.get(row).map_or(0, |shared| shared.places);
        let whole = lengths.iter().enumerate();
        let longest = whole.map(|(row, own)| shared(row) + own).max().unwrap_or(0);
        let is_masked = rows.iter().any(|row| row.attention_mask.contains(&false));
        let keys = is_masked.then(|| {
            let keys = rows.iter().enumerate().flat_map(|(place, row)| {
                // What is shared is seen; nobody looks behind the end of a row.
                let before = shared(place);
                let behind = longest - before - row.attention_mask.len();
                let seen = row.attention_mask.iter().copied();
                let before = std::iter::repeat_n(true, before);
                before.chain(seen).chain(std::iter::repeat_n(true, behind))
            });
            keys.collect()
        });
        match self.packs {
            true => language.in_one_row(&lengths, &self.shared, keys, device),
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

/// How many places two rows begin with alike, all but the last of b at most: a language model
/// computes the same for them. All are seen and none is supervised, nor the next.
fn beginning(a: &SplicedRow, b: &SplicedRow) -> usize {
    let rows = [a, b];
    let length = a.places.len().min(b.places.len().saturating_sub(1));
    let is_alike = |&place: &usize| {
        a.places[place] == b.places[place]
            && rows.iter().all(|row| {
                let is_supervised = |place| row.labels.get(place).is_some_and(|l| *l != IGNORE);
                row.attention_mask[place] && !is_supervised(place) && !is_supervised(place + 1)
            })
    };
    (0..length).take_while(is_alike).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of ids; 0 stands for the two places of a picture; the last ones are
    /// supervised.
    fn row(picture: usize, ids: &[u32], supervised: usize) -> SplicedRow {
        let places = ids.iter().flat_map(|&id| match id {
            0 => vec![0, 1]
                .into_iter()
                .map(|place| Place::Picture { picture, place })
                .collect(),
            _ => vec![Place::Token(id)],
        });
        let places: Vec<Place> = places.collect();
        let length = places.len();
        let label = |place| {
            if place + supervised < length {
                IGNORE
            } else {
                7
            }
        };
        SplicedRow {
            labels: (0..length).map(label).collect(),
            attention_mask: vec![true; length],
            places,
        }
    }

    fn shared(rows: Vec<SplicedRow>) -> (Vec<usize>, usize) {
        let longest = rows.iter().map(|row| row.places.len()).max().unwrap();
        let mut rows = rows;
        for row in &mut rows {
            row.places.resize(longest, Place::Zero);
            row.labels.resize(longest, IGNORE);
            row.attention_mask.resize(longest, false);
        }
        let splice = Splice { rows };
        let rows = Rows::new(&splice, true).unwrap();
        let shared = rows.shared.iter().map(|shared| shared.places);
        (shared.collect(), rows.shape()[1])
    }

    #[test]
    fn what_rows_begin_with_alike_is_there_once() {
        let rows = vec![
            row(0, &[1, 2, 0, 5, 6], 1),
            row(0, &[1, 2, 0, 5, 7, 8], 1),
            row(0, &[1, 2, 0, 9], 1),
        ];
        // The third is supervised right behind the picture: the place before has to be its own.
        assert_eq!(shared(rows), (vec![0, 4, 3], 6 + 3 + 2));
        let others = vec![
            row(0, &[1, 2, 0, 5, 6], 1),
            row(1, &[1, 2, 0, 5, 6], 1),
            row(1, &[1, 2, 0, 3, 6], 1),
            row(1, &[1, 3, 0, 3, 6], 1),
            row(1, &[1, 2, 5, 6], 1),
        ];
        assert_eq!(shared(others), (vec![0, 2, 4, 1, 2], 6 + 4 + 2 + 5 + 2));
    }
}
