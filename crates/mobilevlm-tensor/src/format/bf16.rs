//! `BF16`: the upper half of a binary32, little-endian.

/// The number that the 16 bits `stored` mean. Exact.
#[inline(always)]
pub(crate) fn widen(stored: u16) -> f32 {
    f32::from_bits(u32::from(stored) << 16)
}

/// The nearest bfloat16, ties to even. NaN stays NaN.
pub(super) fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // The quiet bit, since rounding could turn a NaN's low bits into infinity.
        return (bits >> 16) as u16 | 0x40;
    }
    let to_even = (bits >> 16) & 1;
    ((bits + 0x7fff + to_even) >> 16) as u16
}

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    for (value, stored) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = widen(u16::from_le_bytes(*stored));
    }
}

pub(super) fn encode(values: &[f32], out: &mut [u8]) {
    for (&value, stored) in values.iter().zip(out.as_chunks_mut::<2>().0) {
        *stored = narrow(value).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_number_survives() {
        for stored in 0..=u16::MAX {
            let value = widen(stored);
            if value.is_nan() {
                assert!(widen(narrow(value)).is_nan(), "{stored:#06x}");
            } else {
                assert_eq!(narrow(value), stored, "{stored:#06x}");
            }
        }
    }

    #[test]
    fn rounds_to_nearest_and_ties_to_even() {
        let cases = [
            (0x3f80_8000, 0x3f80), // halfway, even below
            (0x3f81_8000, 0x3f82), // halfway, even above
            (0x3f80_8001, 0x3f81),
            (0x3f80_7fff, 0x3f80),
            (0x7f7f_ffff, 0x7f80), // above the largest number: infinity
        ];
        for (bits, expected) in cases {
            assert_eq!(narrow(f32::from_bits(bits)), expected, "{bits:#010x}");
        }
    }
}
