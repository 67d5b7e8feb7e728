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

pub(super) fn encode(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
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
        super::decode(&super::encode(&values), &mut back);
        assert_eq!(values.map(f32::to_bits), back.map(f32::to_bits));
    }
}
