//! Depthwise convolution and adaptive mean against their definitions.

use mobilevlm_tensor::{Compute, ops};

use crate::support::{Differences, ROUNDING, numbers};

pub(crate) fn check(compute: &Compute, differences: &mut Differences) {
    for (h, w) in [(1, 1), (1, 5), (2, 3), (12, 12), (7, 4)] {
        for ch in [1, 4, 7, 16, 33] {
            for stride in [1, 2, 3] {
                depthwise(compute, [h, w, ch], stride, differences);
            }
            for (out_h, out_w) in [(1, 1), (2, 2), (3, 5), (h, w)] {
                mean(compute, [h, w, ch], [out_h, out_w], differences);
            }
        }
    }
}

fn depthwise(
    compute: &Compute,
    [h, w, ch]: [usize; 3],
    stride: usize,
    differences: &mut Differences,
) {
    let (x, weight, bias) = (numbers(h * w * ch, 1), numbers(ch * 9, 2), numbers(ch, 3));
    let (oh, ow) = ((h - 1) / stride + 1, (w - 1) / stride + 1);
    for bias in [None, Some(&bias[..])] {
        let mut out = vec![f32::NAN; oh * ow * ch];
        ops::depthwise3x3(compute, &x, h, w, &weight, bias, stride, &mut out);
        for (at, &found) in out.iter().enumerate() {
            let (y, x_at, channel) = (at / ch / ow, at / ch % ow, at % ch);
            let start = bias.map_or(0.0, |bias| f64::from(bias[channel]));
            let (mut sum, mut size) = (start, start.abs());
            for tap in 0..9 {
                let (from_y, from_x) = (y * stride + tap / 3, x_at * stride + tap % 3);
                if (1..=h).contains(&from_y) && (1..=w).contains(&from_x) {
                    let value = f64::from(x[((from_y - 1) * w + from_x - 1) * ch + channel]);
                    let product = value * f64::from(weight[channel * 9 + tap]);
                    sum += product;
                    size += product.abs();
                }
            }
            // Nine products and nine additions, each rounded at most once.
            differences.compare(found, sum, 10.0 * ROUNDING * size, || {
                format!("convolution of [{h}, {w}, {ch}], stride {stride}, output ({y}, {x_at}, {channel})")
            });
        }
    }
}

fn mean(
    compute: &Compute,
    [h, w, ch]: [usize; 3],
    [out_h, out_w]: [usize; 2],
    differences: &mut Differences,
) {
    let x = numbers(h * w * ch, 1);
    let mut out = vec![f32::NAN; out_h * out_w * ch];
    ops::adaptive_mean(compute, &x, h, w, out_h, out_w, &mut out);
    for (at, &found) in out.iter().enumerate() {
        let (y, x_at, channel) = (at / ch / out_w, at / ch % out_w, at % ch);
        // The definition of `adaptive_avg_pool2d`, with real numbers rounded down and up.
        let window = |i: usize, side: usize, n: usize| {
            let (side, n) = (side as f64, n as f64);
            (i as f64 * side / n).floor() as usize..((i + 1) as f64 * side / n).ceil() as usize
        };
        let (mut sum, mut size, mut count) = (0.0, 0.0, 0);
        for from_y in window(y, h, out_h) {
            for from_x in window(x_at, w, out_w) {
                let value = f64::from(x[(from_y * w + from_x) * ch + channel]);
                sum += value;
                size += value.abs();
                count += 1;
            }
        }
        let bound = (count + 1) as f64 * ROUNDING * size / count as f64;
        differences.compare(found, sum / count as f64, bound, || {
            format!(
                "mean of [{h}, {w}, {ch}] to [{out_h}, {out_w}], output ({y}, {x_at}, {channel})"
            )
        });
    }
}
