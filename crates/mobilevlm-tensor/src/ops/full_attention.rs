//! Attention in which every row sees every position, as among the patches of a picture.

use super::attention::{KeyValues, Visible, attention};
use crate::kernels::generic::attention::PANEL;
use crate::kernels::generic::attention_i16::{
    Attention, MOST_POSITIONS, Rows, key_pairs, scratch_numbers, value_pairs,
};
use crate::parallel::{Parts, for_each_piece};
use crate::scratch::{FLOATS, integers, integers_mut, with_scratch};
use crate::{Arithmetic, Compute};

/// Rows of a head that a task computes, about.
const ROWS: usize = 48;

/// softmax(q · kᵀ / √head_dim) · v for each row and head, over all positions.
///
/// `q`, `out`: `[m, heads · head_dim]`; `k`, `v`: `[n, heads · head_dim]`. Under
/// [`Arithmetic::Fast`] that is [`attention_i16`], where the kernel table is faster with integers;
/// otherwise [`attention`] over `work`, whose memory is used again and whose content is replaced.
///
/// # Panics
/// If the lengths do not fit, or there are rows and no position.
#[allow(
    clippy::too_many_arguments,
    reason = "the operands of attention, each named"
)]
pub fn full_attention(
    compute: &Compute,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    heads: usize,
    work: &mut KeyValues,
    out: &mut [f32],
) {
    let integers = compute.kernels().tile().integer_attention;
    if compute.arithmetic() == Arithmetic::Fast && integers {
        attention_i16(compute, q, k, v, heads, work.head_dim(), out);
    } else {
        work.truncate(0);
        work.append(compute, k, v);
        attention(compute, q, heads, work, Visible::All, out);
    }
}

/// [`full_attention`] in 16-bit integers, in any arithmetic and with any table.
///
/// Queries, keys, values and weights are rounded to about 13 bits, the sums of their products are
/// exact. On normally distributed rows the root mean square of the error is 3.5e-4 of that of the
/// output where many positions have a weight, and 5.5e-4 where few have.
///
/// # Panics
/// If the lengths do not fit, or there are rows and no position.
pub fn attention_i16(
    compute: &Compute,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    heads: usize,
    head_dim: usize,
    out: &mut [f32],
) {
    let width = heads * head_dim;
    assert!(width > 0, "{heads} heads of {head_dim}");
    for (name, len) in [("q", q.len()), ("k", k.len())] {
        assert!(
            len.is_multiple_of(width),
            "{name}: {len} elements are not rows of {heads} heads of {head_dim}"
        );
    }
    assert_eq!(
        (q.len(), k.len()),
        (out.len(), v.len()),
        "elements of q and k, and of the output and v"
    );
    let (m, n) = (q.len() / width, k.len() / width);
    if m == 0 {
        return;
    }
    assert!(
        (1..=MOST_POSITIONS).contains(&n),
        "{n} positions; attention in integers is for 1 to {MOST_POSITIONS}"
    );

    let _running = compute.product_clock().product();
    let (kernels, pool) = (compute.kernels(), compute.pool());
    let parts = HeadParts::new(head_dim, n);
    let tile = kernels.tile().attention_rows;
    let numbers = scratch_numbers(tile, head_dim, n).next_multiple_of(FLOATS);
    let rows = ROWS.next_multiple_of(tile);
    let groups = m.div_ceil(rows);
    let out = Parts::new(out);
    with_scratch(heads * parts.all() + pool.threads() * numbers, |scratch| {
        let (packed, scratch) = scratch.split_at_mut(heads * parts.all());
        for_each_piece(pool, packed, parts.all(), |head, packed| {
            let head_rows = |from| Rows {
                from,
                stride: width,
                rows: n,
                head_dim,
            };
            let (keys, packed) = packed.split_at_mut(parts.keys);
            let (key_units, packed) = packed.split_at_mut(parts.key_units);
            let (values, value_units) = packed.split_at_mut(parts.values);
            let (k, v) = (
                head_rows(&k[head * head_dim..]),
                head_rows(&v[head * head_dim..]),
            );
            kernels.pack_keys_i16(&k, integers_mut(keys), key_units);
            kernels.pack_values_i16(&v, integers_mut(values), value_units);
        });
        let (packed, scratch) = (&*packed, Parts::new(scratch));
        pool.run_on(heads * groups, &|task, thread| {
            // Neighbouring tasks share a head, whose keys and values are then near.
            let (head, group) = (task / groups, task % groups);
            let at = group * rows * width + head * head_dim;
            let packed = &packed[head * parts.all()..][..parts.all()];
            let (keys, packed) = packed.split_at(parts.keys);
            let (key_units, packed) = packed.split_at(parts.key_units);
            let (values, value_units) = packed.split_at(parts.values);
            let part = Attention {
                q: q[at..].as_ptr(),
                out: out.pointer(at),
                stride: width,
                rows: rows.min(m - group * rows),
                head_dim,
                positions: n,
                keys: integers(keys),
                key_units,
                values: integers(values),
                value_units: &value_units[..parts.value_units / 2],
            };
            // SAFETY: this thread's own part, since thread numbers differ.
            let scratch = unsafe { scratch.part(thread * numbers, numbers) };
            // SAFETY: these rows of this head belong to no other task.
            unsafe { kernels.attention_i16(&part, scratch) };
        });
    });
}

/// Lengths of what the packed keys and values of a head consist of, in this order; multiples of a
/// cache line. The units of the values are followed by as much scratch.
#[derive(Clone, Copy)]
struct HeadParts {
    keys: usize,
    key_units: usize,
    values: usize,
    value_units: usize,
}

impl HeadParts {
    fn new(head_dim: usize, positions: usize) -> HeadParts {
        HeadParts {
            keys: key_pairs(head_dim, positions),
            key_units: positions.next_multiple_of(PANEL),
            values: value_pairs(head_dim, positions),
            value_units: 2 * head_dim.next_multiple_of(PANEL),
        }
    }

    fn all(self) -> usize {
        self.keys + self.key_units + self.values + self.value_units
    }
}
