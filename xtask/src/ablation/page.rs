//! docs/ablation.md.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;

use super::PICTURE;
use super::cells::{Cell, Projector, TABLE_6, TABLE_7};
use super::outcome::{Outcome, Stage};
use super::statistics::{Difference, Spread};

/// All that the page is made of.
pub(super) struct Report {
    /// Questions of each kind.
    pub(super) limit: usize,
    /// Seeds that were asked for.
    pub(super) seeds: u64,
    /// The training of what all runs start from.
    pub(super) start: Stage,
    /// Those that came to their ends.
    pub(super) outcomes: Vec<Outcome>,
}

/// A row of a table: a cell over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) cell: Cell,
    /// Places that a picture takes in the language model.
    pub(super) tokens: usize,
    pub(super) projector_parameters: u64,
    /// Mean over the kinds, shares from 0 to 1.
    pub(super) accuracy: Spread,
    /// The same where the picture is grey all over.
    pub(super) text_only: Spread,
    /// Accuracy in each kind.
    pub(super) kinds: BTreeMap<String, Spread>,
    /// Loss at the end of each stage.
    pub(super) losses: [Spread; 2],
    /// Seconds of both stages.
    pub(super) seconds: Spread,
}

impl Report {
    /// The runs of a cell.
    fn of(&self, cell: Cell) -> Vec<&Outcome> {
        let outcomes = self.outcomes.iter();
        outcomes.filter(|outcome| outcome.cell == cell).collect()
    }

    /// Nothing if no run of the cell came to its end.
    pub(super) fn row(&self, cell: Cell) -> Option<Row> {
        let outcomes = self.of(cell);
        let first = outcomes.first()?;
        let spread = |value: &dyn Fn(&Outcome) -> f64| {
            let values: Vec<f64> = outcomes.iter().map(|outcome| value(outcome)).collect();
            Spread::of(&values)
        };
        let mut kinds = BTreeMap::new();
        for kind in first.figures.keys() {
            let accuracy = |outcome: &Outcome| {
                let figures = outcome.figures.get(kind);
                figures.map_or(f64::NAN, |figures| figures.accuracy)
            };
            kinds.insert(kind.clone(), spread(&accuracy)?);
        }
        Some(Row {
            cell,
            tokens: first.tokens,
            projector_parameters: first.projector_parameters,
            accuracy: spread(&|outcome| outcome.mean(|figures| figures.accuracy))?,
            text_only: spread(&|outcome| outcome.mean(|figures| figures.text_only))?,
            kinds,
            losses: [
                spread(&|outcome| outcome.stage1.loss)?,
                spread(&|outcome| outcome.stage2.loss)?,
            ],
            seconds: spread(&|outcome| outcome.stage1.seconds + outcome.stage2.seconds)?,
        })
    }

    /// How two cells differ in a value, seed by seed.
    fn difference(
        &self,
        one: Cell,
        other: Cell,
        value: impl Fn(&Outcome) -> f64,
    ) -> Option<Difference> {
        let others = self.of(other);
        let mut pairs = Vec::new();
        for outcome in self.of(one) {
            let same_seed = others.iter().find(|other| other.seed == outcome.seed);
            pairs.extend(same_seed.map(|other| (value(outcome), value(other))));
        }
        Difference::of(&pairs)
    }

    /// What always giving the most frequent answer scores, mean over the kinds.
    pub(super) fn majority(&self) -> f64 {
        let first = self.outcomes.first();
        first.map_or(0.0, |outcome| outcome.mean(|figures| figures.majority))
    }
}

/// Writes the page.
pub(super) fn page(report: &Report) -> Result<String, fmt::Error> {
    let mut page = String::new();
    head(report, &mut page)?;
    writeln!(
        page,
        "\n## Table 6: the projector, and what learns in stage 1\n"
    )?;
    table(report, &TABLE_6, &mut page)?;
    writeln!(page, "\n## Table 7: what LDPv2 is made of\n")?;
    writeln!(page, "The language model learns in both stages.\n")?;
    table(report, &TABLE_7, &mut page)?;
    readings(report, &mut page)?;
    Ok(page)
}

fn head(report: &Report, page: &mut String) -> fmt::Result {
    let picture = PICTURE.trim_start_matches("docs/");
    let first = report.outcomes.first();
    let samples = first.map_or(0, |run| run.stage1.samples + run.stage2.samples);
    writeln!(
        page,
        "# The paper's ablations in small\n\n\
         Made by `cargo xtask ablation` from runs on a CPU; do not edit. The figures of every run \
         are in [bench/record/ablation.json](../bench/record/ablation.json), the recipes in \
         [recipes/train/ablation](../recipes/train/ablation).\n\n\
         Tables 6 and 7 of the MobileVLM V2 paper compare projectors, and what learns in the first \
         stage, on a model of 1.4 billion parameters and 3.6 million samples. This repeats the \
         comparison on the [synthetic world](world.md) with a model of some hundred thousand \
         parameters and {samples} samples. It shows that every variant trains, exports and answers \
         in the engine, and what each costs; it says nothing about the paper's sizes.\n\n\
         ![Accuracy and loss of every variant]({picture})\n\n## How\n"
    )?;
    let start = &report.start;
    writeln!(
        page,
        "- All runs start from the same tokenizer, vision tower and language model. Tower and \
         language model learnt together to list, describe and look up what is in {} pictures, and \
         to answer about them (loss {:.2} at the end), through pooling and two linear layers, which \
         are thrown away (whatever is nearest to them takes their place more easily); language \
         models of the paper begin without having seen a picture. The tower is frozen afterwards; \
         it has 24 × 24 patches, as in the paper.",
        start.samples, start.loss
    )?;
    let Some(first) = report.outcomes.first() else {
        return writeln!(page, "- No run has come to its end.");
    };
    let kinds: Vec<&str> = first.figures.keys().map(String::as_str).collect();
    writeln!(
        page,
        "- A run is stage 1 on {} captions and stage 2 on {} questions ({}), every sample once. \
         {} seeds decide the order of the samples and the projector's first values.",
        first.stage1.samples,
        first.stage2.samples,
        kinds.join(", "),
        report.seeds
    )?;
    let n = report.limit * kinds.len();
    writeln!(
        page,
        "- Accuracy: {} held-out questions of each kind, asked through the engine, mean over the \
         kinds; mean ± standard deviation over the seeds, in per cent. Which {n} questions are asked \
         alone makes {:.1} points of uncertainty at 50 %, the same questions for all runs.",
        report.limit,
        100.0 * (0.25 / n as f64).sqrt()
    )?;
    writeln!(
        page,
        "- Grey: the same questions with a picture that is grey all over. Always giving the most \
         frequent answer scores {:.1} %.",
        100.0 * report.majority()
    )?;
    writeln!(
        page,
        "- Loss: of an answer's id, over the last tenth of the steps, on samples not seen before. \
         Seconds: of the steps of both stages, one thread, with the tower's features cached; other \
         work on the machine shows in them."
    )
}

fn table(report: &Report, cells: &[Cell], page: &mut String) -> fmt::Result {
    let rows: Vec<Row> = cells.iter().filter_map(|cell| report.row(*cell)).collect();
    let Some(first) = rows.first() else {
        return writeln!(page, "No run has come to its end.");
    };
    let kinds: Vec<&str> = first.kinds.keys().map(String::as_str).collect();
    writeln!(
        page,
        "| projector | stage 1 trains | tokens | parameters | seeds | accuracy | grey | {} | loss, \
         stage 1 | loss, stage 2 | seconds |",
        kinds.join(" | ")
    )?;
    writeln!(page, "|---|---|{}", "---:|".repeat(8 + kinds.len()))?;
    for row in &rows {
        let learns = match row.cell.language_in_stage1 {
            true => "projector, language model",
            false => "projector",
        };
        write!(
            page,
            "| {} | {learns} | {} | {} | {} | **{}** | {} |",
            row.cell.projector.title(),
            row.tokens,
            row.projector_parameters,
            row.accuracy.n,
            per_cent(row.accuracy),
            per_cent(row.text_only)
        )?;
        for spread in row.kinds.values() {
            write!(page, " {} |", per_cent(*spread))?;
        }
        for loss in row.losses {
            write!(page, " {:.3} ± {:.3} |", loss.mean, loss.sd)?;
        }
        writeln!(page, " {:.0} ± {:.0} |", row.seconds.mean, row.seconds.sd)?;
    }
    Ok(())
}

fn per_cent(spread: Spread) -> String {
    format!("{:.1} ± {:.1}", 100.0 * spread.mean, 100.0 * spread.sd)
}

/// Pairs that the paper compares: what is said of the first, beside the second.
const PAIRS: [(&str, Cell, Cell); 7] = [
    (
        "LDPv2 instead of LDP, language model frozen in stage 1",
        TABLE_6[2],
        TABLE_6[0],
    ),
    (
        "LDPv2 instead of LDP, language model trained in stage 1",
        TABLE_6[3],
        TABLE_6[1],
    ),
    (
        "language model trained in stage 1 instead of frozen, LDP",
        TABLE_6[1],
        TABLE_6[0],
    ),
    (
        "language model trained in stage 1 instead of frozen, LDPv2",
        TABLE_6[3],
        TABLE_6[2],
    ),
    (
        "pooling to a quarter of the tokens instead of none, with PEG",
        TABLE_7[3],
        TABLE_7[0],
    ),
    (
        "PEG instead of nothing after pooling",
        TABLE_7[3],
        TABLE_7[1],
    ),
    (
        "PEG instead of learned positions after pooling",
        TABLE_7[3],
        TABLE_7[2],
    ),
];

/// What can be read from the tables, and what cannot.
fn readings(report: &Report, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "\n## What can be read from it\n\n\
         Differences seed by seed, with the half width of their 95 % interval (Student). Those within \
         it are within the noise: nothing can be said of them. Of so many comparisons, one beyond it \
         can be chance.\n\n\
         | change | accuracy, points | | loss, stage 2 | |\n|---|---:|---|---:|---|"
    )?;
    let mut certain = 0;
    for (what, one, other) in PAIRS {
        let accuracy = report.difference(one, other, |o| 100.0 * o.mean(|f| f.accuracy));
        let loss = report.difference(one, other, |o| o.stage2.loss);
        let (Some(accuracy), Some(loss)) = (accuracy, loss) else {
            writeln!(page, "| {what} | | too few runs | | too few runs |")?;
            continue;
        };
        certain += usize::from(accuracy.is_beyond_noise());
        writeln!(
            page,
            "| {what} | {:+.1} ± {:.1} | {} | {:+.3} ± {:.3} | {} |",
            accuracy.mean,
            accuracy.margin,
            word(accuracy, accuracy.mean > 0.0),
            loss.mean,
            loss.margin,
            word(loss, loss.mean < 0.0)
        )?;
    }
    let of = PAIRS.len();
    match certain {
        0 => writeln!(
            page,
            "\n**In accuracy all {of} differences are within the noise.** At this size and length \
             the tables do not tell the variants apart."
        )?,
        _ => writeln!(
            page,
            "\nIn accuracy {certain} of {of} differences are beyond the noise."
        )?,
    }
    sight(report, page)
}

/// Whether the models look at all.
fn sight(report: &Report, page: &mut String) -> fmt::Result {
    let cells = super::cells::all();
    let better_than = |other: &dyn Fn(&Outcome) -> f64| {
        let is_better = |cell: &&Cell| {
            let outcomes = report.of(**cell);
            let pairs = outcomes.iter();
            let pairs: Vec<(f64, f64)> = pairs
                .map(|outcome| (outcome.mean(|f| f.accuracy), other(outcome)))
                .collect();
            Difference::of(&pairs).is_some_and(|gain| gain.mean > 0.0 && gain.is_beyond_noise())
        };
        cells.iter().filter(is_better).count()
    };
    let seeing = better_than(&|outcome| outcome.mean(|f| f.text_only));
    let knowing = better_than(&|outcome| outcome.mean(|f| f.majority));
    let of = cells.len();
    writeln!(
        page,
        "\n{seeing} of {of} variants answer better with the picture than with a grey one, and \
         {knowing} of {of} better than always with the most frequent answer, beyond the noise."
    )?;
    if knowing < of {
        writeln!(
            page,
            "\nWhere a variant does not beat the most frequent answer, the runs were too short for \
             a new projector to learn these questions, and its loss says more than its accuracy."
        )?;
    }
    let by_tokens = |projector| {
        let cell = cells.iter().find(|cell| cell.projector == projector)?;
        report.row(*cell)
    };
    if let (Some(many), Some(few)) = (by_tokens(Projector::NoPool), by_tokens(Projector::Pool)) {
        writeln!(
            page,
            "\nPooling makes {} tokens of {}, and a run {:.1} times as fast.",
            few.tokens,
            many.tokens,
            many.seconds.mean / few.seconds.mean
        )?;
    }
    Ok(())
}

fn word(difference: Difference, is_better: bool) -> &'static str {
    match (difference.is_beyond_noise(), is_better) {
        (false, _) => "within the noise",
        (true, true) => "better",
        (true, false) => "worse",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ablation::outcome::tests::outcome;

    /// Three seeds of every cell; accuracy by its place in the list and the seed.
    pub(in crate::ablation) fn report(accuracy: impl Fn(usize, u64) -> f64) -> Report {
        let stage = Stage {
            steps: 100,
            samples: 1600,
            loss: 0.5,
            seconds: 60.0,
        };
        let cells = super::super::cells::all();
        let outcomes = cells.iter().enumerate().flat_map(|(place, cell)| {
            let accuracy = &accuracy;
            (0..3).map(move |seed| outcome(*cell, seed, accuracy(place, seed)))
        });
        Report {
            limit: 100,
            seeds: 3,
            start: stage,
            outcomes: outcomes.collect(),
        }
    }

    #[test]
    fn rows_are_means_over_seeds() {
        let report = report(|place, seed| [0.5, 0.6, 0.7][seed as usize] + 0.01 * place as f64);
        let cell = TABLE_6[0];
        let row = report.row(cell).unwrap();
        assert!((row.accuracy.mean - 0.6).abs() < 1e-9, "{row:?}");
        assert!((row.accuracy.sd - 0.1).abs() < 1e-9, "{row:?}");
        assert_eq!(row.kinds.len(), 2);
        let page = page(&report).unwrap();
        let line = "| LDP (V1) | projector | 144 | 7936 | 3 | **60.0 ± 10.0** | 25.0 ± 0.0 | \
                    60.0 ± 10.0 | 60.0 ± 10.0 | 0.400 ± 0.100 | 0.400 ± 0.100 | 24 ± 0 |";
        assert!(page.lines().any(|found| found == line), "{page}");
        assert!(page.contains("7 of 7 variants answer better"), "{page}");
    }

    #[test]
    fn noise_is_called_noise() {
        // Each seed is the best of some cells.
        let noisy = report(|place, seed| [0.6, 0.5, 0.52][(place + seed as usize) % 3]);
        let page_of_noise = page(&noisy).unwrap();
        assert!(page_of_noise.contains("all 7 differences are within the noise"));
        // Cells are in the order of projectors, frozen first: LDPv2 trained is the fourth.
        let clear = report(|place, seed| 0.3 + 0.001 * seed as f64 + 0.1 * place.min(3) as f64);
        let page_of_clear = page(&clear).unwrap();
        assert!(!page_of_clear.contains("all 7 differences"));
        let line = page_of_clear
            .lines()
            .find(|line| line.contains("LDPv2 instead of LDP, language model frozen"))
            .unwrap();
        assert!(line.contains("| +20.0 ± 0.0 | better |"), "{line}");
    }

    #[test]
    fn a_page_can_be_made_of_some_runs() {
        let mut report = report(|_, _| 0.5);
        report.outcomes.retain(|outcome| outcome.seed == 0);
        assert!(page(&report).unwrap().contains("too few runs"));
        report.outcomes.clear();
        assert!(
            page(&report)
                .unwrap()
                .contains("No run has come to its end")
        );
    }
}
