//! Attention over the keys and values of one sequence.

use crate::Compute;
use crate::kernels::generic::attention::{Attention, PANEL, scratch_numbers};
use crate::parallel::Parts;
use crate::scratch::with_scratch;

/// The keys and values of one layer for one sequence.
///
/// Kept as `f32` and by head: keys in panels of 16 positions, so that a vector holds the same
/// number of 16 keys; values by position, a head padded to a multiple of 16 numbers. The heads'
/// parts grow together, to twice their size when they are full.
#[derive(Debug)]
pub struct KeyValues {
    kv_heads: usize,
    head_dim: usize,
    len: usize,
    /// Positions that there is room for; a multiple of [`PANEL`].
    capacity: usize,
    /// `[kv_heads][capacity / PANEL][head_dim][PANEL]`.
    keys: Vec<f32>,
    /// `[kv_heads][capacity][padded head_dim]`; what is beyond `head_dim` is zero.
    values: Vec<f32>,
}

impl KeyValues {
    /// An empty cache for `kv_heads` heads of `head_dim` numbers.
    ///
    /// # Panics
    /// If either is 0.
    pub fn new(kv_heads: usize, head_dim: usize) -> KeyValues {
        assert!(
            kv_heads > 0 && head_dim > 0,
            "{kv_heads} key-value heads of {head_dim}"
        );
        KeyValues {
            kv_heads,
            head_dim,
            len: 0,
            capacity: 0,
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Numbers in a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Number of positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all positions from `len` on. Keeps the memory.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `positions` positions in total, so that none of them will allocate.
    ///
    /// The memory is asked for as zeros, which costs nothing until it is written.
    pub fn reserve(&mut self, positions: usize) {
        if positions > self.capacity {
            self.grow(positions.next_multiple_of(PANEL));
        }
    }

    /// Positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of memory that the positions held take.
    pub fn bytes(&self) -> usize {
        let positions = self.len.next_multiple_of(PANEL);
        self.kv_heads * positions * (self.head_dim + self.padded()) * size_of::<f32>()
    }

    /// Appends positions.
    ///
    /// `k`, `v`: `[n, kv_heads · head_dim]`.
    ///
    /// # Panics
    /// If they are not whole rows, or differ in length.
    pub fn append(&mut self, compute: &Compute, k: &[f32], v: &[f32]) {
        let width = self.kv_heads * self.head_dim;
        assert_eq!(
            k.len(),
            v.len(),
            "k has {} elements, v {}",
            k.len(),
            v.len()
        );
        assert!(
            k.len().is_multiple_of(width),
            "{} elements are not rows of {width}",
            k.len()
        );
        let n = k.len() / width;
        let total = self.len + n;
        if total > self.capacity {
            self.grow(total.max(2 * self.capacity).next_multiple_of(PANEL));
        }
        let (head_dim, padded, len) = (self.head_dim, self.padded(), self.len);
        let (key_part, value_part) = (self.capacity * head_dim, self.capacity * padded);
        let (keys, values) = (Parts::new(&mut self.keys), Parts::new(&mut self.values));
        let copy = |head: usize| {
            // SAFETY: heads do not overlap, and each is copied by one task.
            let (keys, values) = unsafe {
                (
                    keys.part(head * key_part, key_part),
                    values.part(head * value_part, value_part),
                )
            };
            let rows = k.chunks_exact(width).zip(v.chunks_exact(width));
            for (position, (k, v)) in (len..).zip(rows) {
                let panel = &mut keys[position / PANEL * PANEL * head_dim..][..PANEL * head_dim];
                let head_numbers = head * head_dim..(head + 1) * head_dim;
                for (number, k) in k[head_numbers.clone()].iter().enumerate() {
                    panel[number * PANEL + position % PANEL] = *k;
                }
                values[position * padded..][..head_dim].copy_from_slice(&v[head_numbers]);
            }
        };
        // A single position is copied sooner than another thread would have joined.
        if n < 4 {
            (0..self.kv_heads).for_each(copy);
        } else {
            compute.pool().run(self.kv_heads, &copy);
        }
        self.len = total;
    }

    /// Copies one position out: the rows of `k` and `v` that [`KeyValues::append`] was given.
    ///
    /// `k`, `v`: `[kv_heads · head_dim]`.
    ///
    /// # Panics
    /// If the position is not held, or a length does not fit.
    pub fn row(&self, position: usize, k: &mut [f32], v: &mut [f32]) {
        let (head_dim, padded) = (self.head_dim, self.padded());
        let width = self.kv_heads * head_dim;
        assert!(
            position < self.len,
            "position {position} of {} is asked for",
            self.len
        );
        assert!(
            k.len() == width && v.len() == width,
            "k has {} elements, v {}, a row {width}",
            k.len(),
            v.len()
        );
        let heads = k
            .chunks_exact_mut(head_dim)
            .zip(v.chunks_exact_mut(head_dim))
            .enumerate();
        for (head, (k, v)) in heads {
            let panel = (head * self.capacity + position / PANEL * PANEL) * head_dim;
            for (number, k) in k.iter_mut().enumerate() {
                *k = self.keys[panel + number * PANEL + position % PANEL];
            }
            v.copy_from_slice(
                &self.values[(head * self.capacity + position) * padded..][..head_dim],
            );
        }
    }

    fn padded(&self) -> usize {
        self.head_dim.next_multiple_of(PANEL)
    }

    /// A copy of the first `len` positions (all of them where there are fewer) and no more room.
    pub fn prefix(&self, len: usize) -> KeyValues {
        let len = self.len.min(len);
        let capacity = len.next_multiple_of(PANEL);
        KeyValues {
            len,
            capacity,
            keys: self.moved(&self.keys, self.head_dim, len, capacity),
            values: self.moved(&self.values, self.padded(), len, capacity),
            ..*self
        }
    }

    fn grow(&mut self, capacity: usize) {
        // One after the other, so that only one of them exists twice at a time.
        self.keys = self.moved(&self.keys, self.head_dim, self.len, capacity);
        self.values = self.moved(&self.values, self.padded(), self.len, capacity);
        self.capacity = capacity;
    }

    /// `old`, with `each` numbers for a position, in room for `capacity` positions: the first `len`.
    fn moved(&self, old: &[f32], each: usize, len: usize, capacity: usize) -> Vec<f32> {
        let used = len.next_multiple_of(PANEL) * each;
        let mut new = vec![0.0; self.kv_heads * capacity * each];
        if used > 0 {
            let heads = new
                .chunks_exact_mut(capacity * each)
                .zip(old.chunks_exact(self.capacity * each));
            for (new, old) in heads {
                new[..used].copy_from_slice(&old[..used]);
            }
        }
        new
    }
}

impl Clone for KeyValues {
    /// A copy with as much room as the original.
    fn clone(&self) -> KeyValues {
        let mut copy = KeyValues {
            keys: self.keys.clone(),
            values: self.values.clone(),
            ..*self
        };
        copy.capacity = self.capacity;
        copy
    }
}

/// Which positions of the cache a row of queries sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All of them.
    All,
    /// Those up to its own: row i sees positions `0..=first + i`.
    Causal {
        /// The position of row 0.
        first: usize,
    },
}

/// softmax(q · kᵀ / √head_dim) · v for each row and head.
///
/// `q`, `out`: `[m, heads · head_dim]`. With fewer key-value heads than heads, consecutive heads
/// share one, as in upstream's `repeat_kv`.
///
/// # Panics
/// If the lengths do not fit, `heads` is not a multiple of the cache's heads, or a row would see no
/// position or one that the cache does not hold.
pub fn attention(
    compute: &Compute,
    q: &[f32],
    heads: usize,
    kv: &KeyValues,
    visible: Visible,
    out: &mut [f32],
) {
    let head_dim = kv.head_dim;
    let width = heads * head_dim;
    assert!(
        heads > 0 && heads.is_multiple_of(kv.kv_heads),
        "{heads} heads are no multiple of {} key-value heads",
        kv.kv_heads
    );
    assert_eq!(
        q.len(),
        out.len(),
        "q has {} elements, the output {}",
        q.len(),
        out.len()
    );
    assert!(
        q.len().is_multiple_of(width),
        "{} elements are not rows of {heads} heads of {head_dim}",
        q.len()
    );
    let m = q.len() / width;
    if m == 0 {
        return;
    }
    let (seen_first, step) = match visible {
        Visible::All => (kv.len, 0),
        Visible::Causal { first } => (first + 1, 1),
    };
    let seen_last = seen_first + step * (m - 1);
    assert!(
        seen_first > 0 && seen_last <= kv.len,
        "the last of {m} rows sees {seen_last} positions, the cache holds {}",
        kv.len
    );

    let _running = compute.product_clock().product();
    let (kernels, pool) = (compute.kernels(), compute.pool());
    let tile = kernels.tile().attention_rows;
    // Enough rows that a task is worth its start, few enough that all threads have some.
    let rows = if m == 1 {
        1
    } else {
        ROWS.next_multiple_of(tile)
    };
    let groups = m.div_ceil(rows);
    let shared = heads / kv.kv_heads;
    let (key_part, value_part) = (kv.capacity * head_dim, kv.capacity * kv.padded());
    // For the room of the cache, so that a growing sequence does not ask for more again and again.
    let numbers = scratch_numbers(tile.min(m), head_dim, kv.capacity);
    let out = Parts::new(out);
    with_scratch(pool.threads() * numbers, |scratch| {
        let scratch = Parts::new(scratch);
        pool.run_on(heads * groups, &|task, thread| {
            // Neighbouring tasks share a head, whose keys and values are then near.
            let (head, group) = (task / groups, task % groups);
            let first = group * rows;
            let at = first * width + head * head_dim;
            let part = Attention {
                q: q[at..].as_ptr(),
                out: out.pointer(at),
                stride: width,
                rows: rows.min(m - first),
                head_dim,
                keys: &kv.keys[head / shared * key_part..][..key_part],
                values: &kv.values[head / shared * value_part..][..value_part],
                visible: seen_first + step * first,
                visible_step: step,
            };
            // SAFETY: this thread's own part, since thread numbers differ.
            let scratch = unsafe { scratch.part(thread * numbers, numbers) };
            // SAFETY: these rows of this head belong to no other task.
            unsafe { kernels.attention(&part, scratch) };
        });
    });
}

/// Rows of a head that a task computes, about.
const ROWS: usize = 48;
