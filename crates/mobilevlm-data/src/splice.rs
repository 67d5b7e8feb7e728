//! Where pictures go in a batch. Source: upstream's `prepare_inputs_labels_for_multimodal`.

use crate::batch::Batch;
use crate::sample::{IGNORE, PICTURE};

/// Where one place of the model's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The embedding of a token.
    Token(u32),
    /// A place of a picture.
    Picture {
        /// The picture of the batch, from 0.
        picture: usize,
        /// Its place, from 0.
        place: usize,
    },
    /// The zero vector, after the end of a row. Padding ids inside a row are [`Place::Token`]:
    /// upstream embeds them. Nothing supervised sees either.
    Zero,
}

/// One row of a spliced batch; all fields `[length]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplicedRow {
    /// Where each place comes from.
    pub places: Vec<Place>,
    /// The labels; a picture's places are ignored.
    pub labels: Vec<i32>,
    /// Whether attention sees a place.
    pub attention_mask: Vec<bool>,
}

/// A batch with its pictures in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The rows, all of one length.
    pub rows: Vec<SplicedRow>,
}

/// Why the pictures of a batch cannot be put in place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// The rows need more pictures than there are. Each row brings one, and a row of text alone
    /// uses up its own, so it takes a row with two marks to come here. Upstream: `IndexError`.
    #[error(
        "row {row} needs picture {needed} of {pictures} (from 0); \
         a sample may have one <image> only: `mobilevlm data check` finds those with more"
    )]
    Pictures {
        /// The row, from 0.
        row: usize,
        /// The picture it needs, from 0.
        needed: usize,
        /// Pictures of the batch.
        pictures: usize,
    },
    /// An id that is neither a token nor the mark of a picture.
    #[error("row {row}, place {place}: id {id}; expected 0 or more, or {PICTURE} for a picture")]
    Id {
        /// The row, from 0.
        row: usize,
        /// The place, from 0.
        place: usize,
        /// What stands there.
        id: i32,
    },
}

/// Puts `pictures` pictures of `places` places each where the ids of a batch are [`PICTURE`].
///
/// One picture a row is given, in the order of the rows; a row without a mark uses up its picture
/// too.
///
/// # Errors
/// [`SpliceError`] if a row needs more pictures than there are, or has an id that means nothing.
pub fn splice(batch: &Batch, pictures: usize, places: usize) -> Result<Splice, SpliceError> {
    let mut next = 0;
    let mut rows = Vec::with_capacity(batch.input_ids.len());
    for (row, (ids, labels)) in batch.input_ids.iter().zip(&batch.labels).enumerate() {
        let mut spliced = SplicedRow {
            places: Vec::with_capacity(ids.len() + places),
            labels: Vec::with_capacity(ids.len() + places),
            attention_mask: Vec::new(),
        };
        let mut take = |marks: &mut usize| {
            let picture = next;
            if picture >= pictures {
                return Err(SpliceError::Pictures {
                    row,
                    needed: picture,
                    pictures,
                });
            }
            *marks += 1;
            next += 1;
            Ok(picture)
        };
        let mut marks = 0;
        for (place, (&id, &label)) in ids.iter().zip(labels).enumerate() {
            if id == PICTURE {
                let picture = take(&mut marks)?;
                let of_picture = (0..places).map(|place| Place::Picture { picture, place });
                spliced.places.extend(of_picture);
                spliced.labels.extend((0..places).map(|_| IGNORE));
            } else {
                let token = u32::try_from(id);
                let token = token.map_err(|_| SpliceError::Id { row, place, id })?;
                spliced.places.push(Place::Token(token));
                spliced.labels.push(label);
            }
        }
        if marks == 0 {
            take(&mut marks)?;
        }
        rows.push(spliced);
    }
    let length = rows.iter().map(|row| row.places.len()).max().unwrap_or(0);
    for (row, mask) in rows.iter_mut().zip(&batch.attention_mask) {
        // Upstream widens the mask on the left by what the pictures added. With a mask by length
        // that is the same as putting a picture's places where they belong.
        let own = row.places.len();
        let added = own.saturating_sub(mask.len());
        row.attention_mask = vec![true; added];
        row.attention_mask.extend_from_slice(mask);
        row.attention_mask.resize(length, false);
        row.places.resize(length, Place::Zero);
        row.labels.resize(length, IGNORE);
    }
    Ok(Splice { rows })
}
