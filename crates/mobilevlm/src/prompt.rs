use crate::picture::{EncodedPicture, PictureTimings};

/// What a sequence reads, position by position: tokens, and the embeds of pictures.
///
/// Built by [`Model::prompt`](crate::Model::prompt) and
/// [`Model::question`](crate::Model::question), which check that the model can read it.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    positions: Vec<Position>,
    pictures: Vec<EncodedPicture>,
    /// What encoding the pictures cost, for the answer that reads them first.
    timings: PictureTimings,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    Token(u32),
    /// A row of the embeds of a picture, both by index.
    Picture {
        picture: usize,
        row: usize,
    },
}

/// One position's content.
pub(crate) enum Content<'a> {
    Token(u32),
    /// `[d]`
    Embed(&'a [f32]),
}

impl Prompt {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Number of positions that are pictures.
    pub fn image_tokens(&self) -> usize {
        let pictures = self.positions.iter();
        pictures
            .filter(|position| matches!(position, Position::Picture { .. }))
            .count()
    }

    /// The pictures in their order.
    pub fn pictures(&self) -> &[EncodedPicture] {
        &self.pictures
    }

    pub(crate) fn push_token(&mut self, id: u32) {
        self.positions.push(Position::Token(id));
    }

    pub(crate) fn push_picture(&mut self, encoded: EncodedPicture) {
        let picture = self.pictures.len();
        self.timings += encoded.timings();
        let rows = 0..encoded.tokens();
        self.positions
            .extend(rows.map(|row| Position::Picture { picture, row }));
        self.pictures.push(encoded);
    }

    /// Adds everything that `other` reads.
    pub(crate) fn append(&mut self, other: Prompt) {
        let before = self.pictures.len();
        self.positions
            .extend(other.positions.into_iter().map(|position| match position {
                Position::Token(id) => Position::Token(id),
                Position::Picture { picture, row } => Position::Picture {
                    picture: before + picture,
                    row,
                },
            }));
        self.pictures.extend(other.pictures);
        self.timings += other.timings;
    }

    /// What encoding the pictures cost.
    pub(crate) fn timings(&self) -> PictureTimings {
        self.timings
    }

    /// The same prompt for another answer: its pictures are at hand now.
    pub(crate) fn at_hand(self) -> Prompt {
        Prompt {
            timings: PictureTimings::default(),
            ..self
        }
    }

    /// Makes room for `positions` more tokens, so that pushing them allocates nothing.
    pub(crate) fn reserve(&mut self, positions: usize) {
        self.positions.reserve(positions);
    }

    pub(crate) fn content(&self, position: usize) -> Content<'_> {
        match self.positions[position] {
            Position::Token(id) => Content::Token(id),
            Position::Picture { picture, row } => Content::Embed(self.pictures[picture].row(row)),
        }
    }

    /// The token at a position; `None` for a picture's row.
    pub(crate) fn token(&self, position: usize) -> Option<u32> {
        match self.positions[position] {
            Position::Token(id) => Some(id),
            Position::Picture { .. } => None,
        }
    }

    /// Takes out the positions from `len` on, which must be tokens.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.positions.truncate(len);
    }

    /// Number of positions from the start that are the tokens `ids`.
    pub(crate) fn begins_with(&self, ids: &[u32]) -> usize {
        let positions = self.positions.iter().zip(ids);
        positions
            .take_while(|(position, id)| matches!(position, Position::Token(own) if own == *id))
            .count()
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> + '_ {
        self.positions.iter().filter_map(|position| match position {
            Position::Token(id) => Some(*id),
            Position::Picture { .. } => None,
        })
    }

    /// Number of positions from the start that read the same in both.
    pub(crate) fn common_prefix(&self, other: &Prompt) -> usize {
        let same = |(a, b): &(&Position, &Position)| match (**a, **b) {
            (Position::Token(a), Position::Token(b)) => a == b,
            (
                Position::Picture {
                    picture: a,
                    row: row_a,
                },
                Position::Picture {
                    picture: b,
                    row: row_b,
                },
            ) => row_a == row_b && self.pictures[a].hash() == other.pictures[b].hash(),
            _ => false,
        };
        self.positions
            .iter()
            .zip(&other.positions)
            .take_while(same)
            .count()
    }
}
