//! What the paper prints: Table 4 of MobileVLM V2 and the model zoo of upstream's README.

/// A model's row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    /// The model.
    pub model: &'static str,
    /// Its figure for each benchmark, by name.
    pub figures: [(&'static str, f64); 6],
    /// The average that is printed beside them.
    pub average: f64,
}

/// The rows of the table.
pub const PAPER: [PaperRow; 5] = [
    row(
        "MobileVLM 1.7B",
        [56.1, 57.3, 41.5, 84.5, 1196.2, 53.2],
        58.7,
    ),
    row(
        "MobileVLM V2 1.7B",
        [59.3, 66.7, 52.1, 84.3, 1302.8, 57.7],
        64.2,
    ),
    row("MobileVLM 3B", [59.0, 61.2, 47.5, 84.9, 1288.9, 59.6], 62.8),
    row(
        "MobileVLM V2 3B",
        [61.1, 70.0, 57.5, 84.7, 1440.5, 63.2],
        68.1,
    ),
    row(
        "MobileVLM V2 7B",
        [62.6, 74.8, 62.3, 85.3, 1560.7, 69.2],
        72.1,
    ),
];

const fn row(model: &'static str, figures: [f64; 6], average: f64) -> PaperRow {
    let [gqa, sqa, textvqa, pope, mme, mmbench] = figures;
    PaperRow {
        model,
        figures: [
            ("gqa", gqa),
            ("sqa", sqa),
            ("textvqa", textvqa),
            ("pope", pope),
            ("mme", mme),
            ("mmbench", mmbench),
        ],
        average,
    }
}

impl PaperRow {
    /// The row of a model.
    pub fn of(model: &str) -> Option<&'static PaperRow> {
        PAPER.iter().find(|row| row.model == model)
    }

    /// The figure for a benchmark.
    pub fn figure(&self, task: &str) -> Option<f64> {
        let mut figures = self.figures.iter();
        figures
            .find(|(name, _)| *name == task)
            .map(|(_, figure)| *figure)
    }
}

/// The average of the paper's table: (GQA + SQA + VQAᵀ + POPE + MMEᴾ / 20 + MMB) / 6. `None` unless
/// `figure` knows all six.
pub fn average(figure: &dyn Fn(&str) -> Option<f64>) -> Option<f64> {
    let mut sum = 0.0;
    for (task, _) in PAPER[0].figures {
        sum += figure(task)? / scale(task);
    }
    Some(sum / PAPER[0].figures.len() as f64)
}

/// By what a benchmark's figure is divided to be a percentage.
pub(crate) fn scale(task: &str) -> f64 {
    match task {
        "mme" => 20.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::golden_json;

    #[test]
    fn values_are_those_of_the_recorded_table() {
        let table = golden_json("paper_table.json");
        let rows = table["rows"].as_object().unwrap();
        assert_eq!(rows.len(), PAPER.len());
        for (model, recorded) in rows {
            let row = PaperRow::of(model).unwrap();
            for (task, figure) in row.figures {
                assert_eq!(recorded[task], figure, "{model} {task}");
            }
            assert_eq!(recorded["average_printed"], row.average);
            let average = average(&|task| row.figure(task)).unwrap();
            let expected = recorded["average_from_printed"].as_f64().unwrap();
            assert!((average - expected).abs() < 1e-9, "{model}");
        }
        assert_eq!(average(&|task| (task != "mme").then_some(1.0)), None);
    }
}
