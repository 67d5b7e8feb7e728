//! Blocks that are written for importances of their columns.

use mobilevlm_tensor::Format;

/// Numbers of a bell, and importances over three orders of magnitude, both from a fixed sequence.
fn rows() -> (Vec<f32>, Vec<f32>) {
    let mut state = 7_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let mut bell = || (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
    let x = (0..64 * 256).map(|_| bell() * 0.02).collect();
    let importance = (0..64 * 256).map(|_| (2.0 * bell()).exp()).collect();
    (x, importance)
}

fn loss(format: Format, stored: &[u8], x: &[f32], importance: &[f32]) -> f64 {
    let mut values = vec![0.0; x.len()];
    format.decode(stored, &mut values);
    let terms = values.iter().zip(x).zip(importance);
    let terms = terms.map(|((&a, &b), &w)| f64::from(w) * f64::from(a - b).powi(2));
    terms.sum()
}

#[test]
fn weighted_blocks_lose_less_and_no_block_loses_more() {
    let (x, importance) = rows();
    for format in Format::ALL {
        let (plain, weighted) = (format.encode(&x), format.encode_weighted(&x, &importance));
        let block = format.block();
        if block == 1 {
            assert_eq!(plain, weighted, "{}", format.name());
            continue;
        }
        let bytes = format.row_bytes(block).unwrap();
        for (number, (x, importance)) in x.chunks(block).zip(importance.chunks(block)).enumerate() {
            let of =
                |stored: &[u8]| loss(format, &stored[number * bytes..][..bytes], x, importance);
            assert!(
                of(&weighted) <= of(&plain),
                "{} block {number}",
                format.name()
            );
        }
        let ratio =
            loss(format, &weighted, &x, &importance) / loss(format, &plain, &x, &importance);
        eprintln!("{}: {ratio:.3} of the weighted error", format.name());
        assert!(ratio < 0.97, "{}: {ratio}", format.name());
    }
}

#[test]
fn levels_of_q8_0_keep_their_opposites() {
    let (x, importance) = rows();
    let stored = Format::Q8_0.encode_weighted(&x, &importance);
    for block in stored.chunks(34) {
        assert!(block[2..].iter().all(|&q| q as i8 != i8::MIN));
    }
}

#[test]
fn any_numbers_and_importances_make_blocks() {
    let odd = [f32::NAN, f32::INFINITY, -f32::MAX, 1e-45, -0.0, 3.0];
    let x: Vec<f32> = (0..512).map(|i| odd[i * i % 6]).collect();
    let (good, _) = rows();
    for format in Format::ALL {
        for x in [&x, &good[..512]] {
            for importance in [0.0, f32::NAN, f32::INFINITY, -1.0, 1e-45, f32::MAX] {
                let stored = format.encode_weighted(x, &vec![importance; 512]);
                assert_eq!(stored.len(), format.encode(x).len());
            }
        }
        // What weighs nothing or is no weight is written as without.
        for importance in [0.0, f32::NAN] {
            let stored = format.encode_weighted(&good[..512], &vec![importance; 512]);
            assert_eq!(stored, format.encode(&good[..512]), "{}", format.name());
        }
    }
}
