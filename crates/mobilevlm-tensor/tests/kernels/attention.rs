//! Attention against softmax(q · kᵀ / √d) · v.

use mobilevlm_tensor::Compute;
use mobilevlm_tensor::ops::{self, KeyValues, Visible};

use crate::support::{Differences, ROUNDING, numbers};

struct Case {
    /// Rows of queries.
    m: usize,
    /// Positions in the cache.
    positions: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    causal: bool,
}

pub(crate) fn check(compute: &Compute, differences: &mut Differences) {
    let case = |m, positions, heads, kv_heads, head_dim, causal| Case {
        m,
        positions,
        heads,
        kv_heads,
        head_dim,
        causal,
    };
    let cases = [
        case(0, 3, 1, 1, 4, false),
        case(1, 1, 1, 1, 1, false),
        case(1, 17, 2, 2, 64, true),
        case(2, 16, 3, 1, 5, true),
        case(5, 15, 4, 2, 80, true),
        case(6, 33, 2, 1, 17, false),
        case(7, 64, 2, 2, 16, true),
        case(49, 49, 2, 2, 128, true),
        case(60, 100, 4, 4, 32, true),
        case(100, 577, 2, 2, 64, false),
    ];
    for case in &cases {
        one(compute, case, differences);
    }
}

fn one(compute: &Compute, case: &Case, differences: &mut Differences) {
    let &Case {
        m,
        positions,
        heads,
        kv_heads,
        head_dim,
        causal,
    } = case;
    let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
    let (q, k, v) = (
        numbers(m * width, 1),
        numbers(positions * kv_width, 2),
        numbers(positions * kv_width, 3),
    );
    let mut kv = KeyValues::new(kv_heads, head_dim);
    // In two pieces, so that the second starts inside a panel.
    let cut = positions / 2 * kv_width;
    kv.append(compute, &k[..cut], &v[..cut]);
    kv.append(compute, &k[cut..], &v[cut..]);
    let visible = if causal {
        Visible::Causal {
            first: positions - m,
        }
    } else {
        Visible::All
    };
    let mut out = vec![f32::NAN; m * width];
    ops::attention(compute, &q, heads, &kv, visible, &mut out);

    let scale = 1.0 / (head_dim as f64).sqrt();
    for row in 0..m {
        let seen = if causal {
            positions - m + row + 1
        } else {
            positions
        };
        for head in 0..heads {
            let q = &q[row * width + head * head_dim..][..head_dim];
            let start = head / (heads / kv_heads) * head_dim;
            let mut score_size = 0f64;
            let scores: Vec<f64> = (0..seen)
                .map(|position| {
                    let k = &k[position * kv_width + start..][..head_dim];
                    let products = q
                        .iter()
                        .zip(k)
                        .map(|(&q, &k)| f64::from(q) * f64::from(k) * scale);
                    score_size = score_size.max(products.clone().map(f64::abs).sum());
                    products.sum()
                })
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            // A score is off by its own sum's roundings, which its weight feels as a factor, as
            // does the largest score; then come the exponential, two sums and a product.
            let score_error = 2.0 * (head_dim + 3) as f64 * ROUNDING * score_size;
            let roundings = 2.0 * score_error + (2 * seen + 10) as f64 * ROUNDING;
            for number in 0..head_dim {
                let terms = (0..seen).map(|position| {
                    weights[position] / total * f64::from(v[position * kv_width + start + number])
                });
                let size: f64 = terms.clone().map(f64::abs).sum();
                let found = out[row * width + head * head_dim + number];
                differences.compare(found, terms.sum(), roundings * size, || {
                    format!("{m} rows, {positions} positions, {heads} heads of {head_dim}: row {row}, head {head}, number {number}")
                });
            }
        }
    }
}
