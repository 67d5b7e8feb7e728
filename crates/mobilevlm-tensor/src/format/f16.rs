//! `F16`: IEEE 754 binary16, little-endian.

/// The number that the 16 bits `stored` mean. Exact.
#[inline(always)]
pub(crate) fn widen(stored: u16) -> f32 {
    let sign = u32::from(stored & 0x8000) << 16;
    let magnitude = u32::from(stored & 0x7fff);
    let bits = if magnitude >= 0x7c00 {
        // Infinity and NaN: all exponent bits set.
        (magnitude << 13) | 0x7f80_0000
    } else {
        // With exponent and fraction moved in place the value is too small by 2^112, the
        // difference of the exponent biases; the product is exact and right for subnormals too.
        (f32::from_bits(magnitude << 13) * f32::from_bits((112 + 127) << 23)).to_bits()
    };
    f32::from_bits(sign | bits)
}

/// The nearest binary16, ties to even; beyond its range, infinity. NaN stays NaN.
pub(super) fn narrow(value: f32) -> u16 {
    let sign = ((value.to_bits() >> 16) & 0x8000) as u16;
    let magnitude = value.abs();
    let bits = if magnitude.is_nan() {
        0x7e00
    } else if magnitude >= 65520.0 {
        // From halfway between the largest number, 65504, and the next power of two.
        0x7c00
    } else if magnitude < 6.103_515_6e-5 {
        // Below 2^-14 numbers are multiples of 2^-24: adding 0.5 rounds to one of them, since
        // that is the spacing of binary32 just above 0.5.
        (magnitude + 0.5).to_bits() - 0.5f32.to_bits()
    } else {
        let bits = magnitude.to_bits();
        let to_even = (bits >> 13) & 1;
        (bits + 0xfff + to_even - (112 << 23)) >> 13
    };
    sign | bits as u16
}

/// The number stored at byte `at`: a scale of a block.
pub(super) fn read(bytes: &[u8], at: usize) -> f32 {
    widen(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Stores `value` at byte `at` and returns what was stored.
pub(super) fn write(value: f32, bytes: &mut [u8], at: usize) -> f32 {
    let stored = narrow(value);
    bytes[at..at + 2].copy_from_slice(&stored.to_le_bytes());
    widen(stored)
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

    /// The definition of the standard, in double precision.
    fn meaning(stored: u16) -> f64 {
        let sign = if stored & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = i32::from(stored >> 10 & 31);
        let fraction = f64::from(stored & 1023) / 1024.0;
        match exponent {
            0 => sign * fraction * 2f64.powi(-14),
            31 if fraction == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
        }
    }

    #[test]
    fn every_stored_number_means_what_the_standard_says_and_survives() {
        for stored in 0..=u16::MAX {
            let value = widen(stored);
            if meaning(stored).is_nan() {
                assert!(
                    value.is_nan() && widen(narrow(value)).is_nan(),
                    "{stored:#06x}"
                );
            } else {
                assert_eq!(f64::from(value), meaning(stored), "{stored:#06x}");
                assert_eq!(narrow(value), stored, "{stored:#06x}");
            }
        }
    }

    #[test]
    fn rounds_to_nearest_and_ties_to_even() {
        // Between each two neighbours: halfway goes to the even one, a little off goes nearer.
        for stored in 0..0x7bffu16 {
            let (low, high) = (meaning(stored), meaning(stored + 1));
            let half = ((low + high) / 2.0) as f32;
            let even = if stored % 2 == 0 { stored } else { stored + 1 };
            assert_eq!(narrow(half), even, "{half:e}");
            assert_eq!(narrow(half.next_down()), stored, "below {half:e}");
            assert_eq!(narrow(half.next_up()), stored + 1, "above {half:e}");
            assert_eq!(narrow(-half), even | 0x8000, "{half:e}");
        }
        assert_eq!(narrow(65519.996), 0x7bff);
        assert_eq!(narrow(65520.0), 0x7c00);
        assert_eq!(narrow(f32::MAX), 0x7c00);
    }
}
