//! Tensors that do not lie in row-major order: how far they reach, and copying them.

/// What sizes and strides say together.
pub(super) struct View {
    /// Numbers that the tensor has.
    pub(super) elements: usize,
    /// Numbers of the storage from its first to its last, inclusive.
    pub(super) span: usize,
    /// Whether it lies in row-major order without gaps.
    pub(super) is_row_major: bool,
}

impl View {
    /// `None` where the two lists differ in length or a product overflows.
    pub(super) fn new(shape: &[usize], strides: &[usize]) -> Option<Self> {
        if shape.len() != strides.len() {
            return None;
        }
        let (mut elements, mut last, mut is_row_major) = (1_usize, 0_usize, true);
        for (&size, &stride) in shape.iter().zip(strides).rev() {
            // A dimension of one number is never stepped through: its stride means nothing.
            is_row_major &= size == 1 || stride == elements;
            last = last.checked_add(size.saturating_sub(1).checked_mul(stride)?)?;
            elements = elements.checked_mul(size)?;
        }
        if elements == 0 {
            return Some(Self {
                elements,
                span: 0,
                is_row_major: true,
            });
        }
        Some(Self {
            elements,
            span: last.checked_add(1)?,
            is_row_major,
        })
    }
}

/// Copies a tensor into row-major order. `data` holds its span of numbers of `size` bytes, as
/// [`super::parse`] has checked.
pub(crate) fn row_major(data: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Vec<u8> {
    let elements = shape.iter().product::<usize>();
    let mut out = Vec::with_capacity(elements * size);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        out.extend_from_slice(&data[at * size..(at + 1) * size]);
        // The next index, as an odometer counts.
        for (place, (&length, &stride)) in shape.iter().zip(strides).enumerate().rev() {
            index[place] += 1;
            at += stride;
            if index[place] < length {
                break;
            }
            at -= length * stride;
            index[place] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_major_order_is_recognised() {
        let cases: &[(&[usize], &[usize], bool)] = &[
            (&[], &[], true),
            (&[2, 3], &[3, 1], true),
            (&[2, 3], &[1, 2], false),
            (&[2, 3], &[4, 1], false),
            (&[1, 3], &[77, 1], true),
            (&[3, 1], &[1, 0], true),
            (&[3], &[0], false),
        ];
        for &(shape, strides, expected) in cases {
            assert_eq!(
                View::new(shape, strides).unwrap().is_row_major,
                expected,
                "{shape:?} {strides:?}"
            );
        }
    }

    #[test]
    fn spans_are_counted_and_overflows_refused() {
        assert_eq!(View::new(&[2, 3], &[1, 2]).unwrap().span, 6);
        assert_eq!(View::new(&[2, 3], &[10, 2]).unwrap().span, 15);
        assert_eq!(View::new(&[0, 3], &[10, 2]).unwrap().span, 0);
        assert!(View::new(&[2], &[1, 1]).is_none());
        assert!(View::new(&[usize::MAX, 2], &[0, 0]).is_none());
        assert!(View::new(&[3], &[usize::MAX]).is_none());
        assert!(View::new(&[2, 2], &[usize::MAX, 1]).is_none());
    }

    #[test]
    fn a_transposed_tensor_is_copied_number_by_number() {
        // [[0, 1, 2], [3, 4, 5]] as 16-bit numbers, read as its transpose [3, 2].
        let data: Vec<u8> = (0..6_u16).flat_map(u16::to_le_bytes).collect();
        let expected: Vec<u8> = [0, 3, 1, 4, 2, 5_u16]
            .into_iter()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(row_major(&data, &[3, 2], &[1, 3], 2), expected);
        // Every other column.
        let expected: Vec<u8> = [0, 2, 3, 5_u16]
            .into_iter()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(row_major(&data, &[2, 2], &[3, 2], 2), expected);
        assert_eq!(row_major(&data[..2], &[], &[], 2), [0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn a_copy_holds_at_each_index_what_the_strides_say(
            sizes in proptest::collection::vec((1_usize..5, 0_usize..7), 0..4),
        ) {
            let (shape, strides): (Vec<_>, Vec<_>) = sizes.into_iter().unzip();
            let view = View::new(&shape, &strides).unwrap();
            let data: Vec<u8> = (0..view.span).map(|i| i as u8).collect();
            let copy = row_major(&data, &shape, &strides, 1);
            assert_eq!(copy.len(), view.elements);
            for (place, &value) in copy.iter().enumerate() {
                // The index of a place by division, the last size first.
                let (mut rest, mut at) = (place, 0);
                for (size, stride) in shape.iter().zip(&strides).rev() {
                    at += rest % size * stride;
                    rest /= size;
                }
                assert_eq!(value, data[at]);
            }
            if view.is_row_major {
                assert_eq!(copy, data);
            }
        }
    }
}
