//! Pixels that are numbers of colours: what PNG, GIF and BMP share.

/// Sample `x` of a row with 1, 2, 4 or 8 bits per sample, the highest bits first.
pub(super) fn sample(row: &[u8], bits: usize, x: usize) -> u8 {
    let at = x * bits;
    let shift = 8 - bits - at % 8;
    (row[at / 8] >> shift) & (0xff >> (8 - bits)) as u8
}

/// The colour of each index. An index beyond the stored colours is black, as in Pillow.
#[derive(PartialEq, Eq)]
pub(super) struct Palette(pub(super) [[u8; 3]; 256]);

impl Palette {
    /// From stored colours: `[n, 3]`, red first.
    pub(super) fn new(stored: &[u8]) -> Palette {
        let mut colours = [[0; 3]; 256];
        for (colour, stored) in colours.iter_mut().zip(stored.as_chunks().0) {
            *colour = *stored;
        }
        Palette(colours)
    }

    /// The same, but where the stored colours are those of [`Palette::gray`], or none, then all
    /// are: Pillow opens such GIF and BMP files as gray.
    pub(super) fn new_or_gray(stored: &[u8]) -> Palette {
        let gray = Palette::gray();
        if gray.0.as_flattened().starts_with(stored) {
            gray
        } else {
            Palette::new(stored)
        }
    }

    /// Each index is its own level.
    pub(super) fn gray() -> Palette {
        Palette(std::array::from_fn(|index| [index as u8; 3]))
    }
}
