//! `F32`: IEEE 754 binary32, little-endian.

/// Numbers in memory as the bytes that store them, on the little-endian machines there are.
pub(crate) fn stored(values: &[f32]) -> &[u8] {
    // SAFETY: any `f32` is four initialised bytes, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
}

pub(super) fn decode(bytes: &[u8], out: &mut [f32]) {
    for (value, stored) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*stored);
    }
}

pub(super) fn encode(values: &[f32], out: &mut [u8]) {
    for (&value, stored) in values.iter().zip(out.as_chunks_mut::<4>().0) {
        *stored = value.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_bit_survives() {
        let values = [
            0.0,
            -0.0,
            1.5,
            f32::MIN_POSITIVE / 8.0,
            f32::MAX,
            f32::NEG_INFINITY,
        ];
        let mut back = [9.0; 6];
        let mut stored = [0; 24];
        super::encode(&values, &mut stored);
        super::decode(&stored, &mut back);
        assert_eq!(values.map(f32::to_bits), back.map(f32::to_bits));
    }
}
