use std::collections::BTreeMap;

use super::super::metrics::{EvaluationRecord, StepRecord};
use super::*;

fn records(steps: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for step in 1..=steps {
        let part = step as f64 / steps as f64;
        // Noise without a generator.
        let noise = ((step * 7919) % 101) as f64 / 101.0 - 0.5;
        let rate = |peak: f64| 0.5 * peak * (1.0 + (std::f64::consts::PI * part).cos());
        records.push(Record::Step(StepRecord {
            step,
            loss: Some(0.1 + 6.0 * (-4.0 * part).exp() * (1.0 + 0.3 * noise)),
            gradient_norm: Some(80.0 * (-6.0 * part).exp() * (1.0 + noise)),
            learning_rates: BTreeMap::from([
                ("projector".to_owned(), rate(1e-3)),
                ("language <model>".to_owned(), rate(4e-4)),
            ]),
            ..StepRecord::default()
        }));
        if step % (steps / 5) == 0 {
            records.push(Record::Evaluation(EvaluationRecord {
                step,
                scores: BTreeMap::from([("accuracy".to_owned(), 0.3 + 0.6 * part)]),
            }));
        }
    }
    records
}

fn options() -> PlotOptions {
    PlotOptions {
        title: "a run & its curves".to_owned(),
        scale: None,
    }
}

#[test]
fn a_run_is_drawn_the_same_each_time_and_in_bounds() {
    let records = records(5000);
    let svg = plot(&records, &options());
    assert_eq!(svg, plot(&records, &options()));
    // For looking at it.
    if let Ok(path) = std::env::var("MOBILEVLM_PLOT") {
        std::fs::write(path, &svg).unwrap();
    }
    for heading in ["loss", "learning rate", "gradient norm", "held-out data"] {
        assert!(svg.contains(&format!(">{heading}")), "{heading}");
    }
    assert!(svg.contains("gradient norm before clipping (logarithmic)"));
    assert!(svg.contains("a run &amp; its curves"));
    assert!(svg.contains("language &lt;model&gt;"));
    // However long the run, the picture stays small.
    assert!(svg.len() < 200_000, "{}", svg.len());
    let mut lines = 0;
    for points in svg.split("points=\"").skip(1) {
        let points = points.split('"').next().unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
            assert!((TOP..=TOP + 4.0 * (PANEL + GAP)).contains(&y), "{point}");
        }
        lines += 1;
    }
    assert!(lines >= 5);
}

#[test]
fn scales_can_be_chosen() {
    let scale = |scale| {
        let options = PlotOptions {
            scale: Some(scale),
            ..options()
        };
        plot(&records(20), &options)
    };
    assert!(scale(Scale::Log).contains(">loss (logarithmic)"));
    assert!(!scale(Scale::Linear).contains("logarithmic"));
}

#[test]
fn few_and_odd_values_are_drawn() {
    assert!(plot(&[], &options()).contains("no step"));
    let step = |step, loss, norm| {
        Record::Step(StepRecord {
            step,
            loss,
            gradient_norm: norm,
            ..StepRecord::default()
        })
    };
    let cases = [
        vec![step(1, Some(2.0), Some(0.0))],
        vec![step(1, None, None), step(2, Some(0.0), Some(1e-30))],
        vec![
            step(1, Some(-1.0), Some(1e300)),
            step(2, Some(1e-300), None),
        ],
        vec![step(u64::MAX, Some(1.0), None)],
        vec![step(1, Some(1e90), None), step(2, Some(1e90), Some(1e300))],
    ];
    for records in cases {
        for scale in [None, Some(Scale::Linear), Some(Scale::Log)] {
            let options = PlotOptions { scale, ..options() };
            let svg = plot(&records, &options);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.len() < 20_000, "{}", svg.len());
        }
    }
}

#[test]
fn numbers_are_written_as_people_do() {
    let cases = [
        (0.0, "0"),
        (0.05, "0.05"),
        (1200.0, "1200"),
        (2.0 * 1e-5, "2e-5"),
        (1.5e7, "1.5e7"),
        (-0.3, "-0.3"),
    ];
    for (value, text) in cases {
        assert_eq!(number(value), text);
    }
    let ticks = Axis::new(0.0, 0.3, Scale::Linear).ticks();
    let labels: Vec<&str> = ticks.iter().map(|tick| tick.1.as_str()).collect();
    assert_eq!(labels, ["0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3"]);
    let ticks = Axis::new(0.003, 40.0, Scale::Log).ticks();
    let labels: Vec<&str> = ticks.iter().map(|tick| tick.1.as_str()).collect();
    assert_eq!(labels, ["0.01", "0.1", "1", "10"]);
}
