//! What upstream's own code recorded when it trained, repeated; and copies of the record with
//! mistakes, which must be found.

use mobilevlm_testing::shared_golden;
use mobilevlm_train::{CheckReport, check};

/// Everything that is not as recorded, in words.
fn failures(report: &CheckReport) -> Vec<String> {
    let failed = report.items.iter().filter(|item| !item.passed);
    failed
        .map(|item| {
            let place = item.place.as_deref().unwrap_or("nothing compared");
            format!(
                "{}: {} > {} at {place}",
                item.name, item.largest, item.tolerance
            )
        })
        .collect()
}

#[test]
fn upstreams_training_is_repeated() {
    let Some(folder) = shared_golden("train", "upstreams_training_is_repeated") else {
        return;
    };
    let report = check(&folder, &mut |_, _, _| {});
    for item in &report.items {
        println!(
            "{:<50} {:>7} {:>9.1e} {:>8.0e}",
            item.name, item.compared, item.largest, item.tolerance
        );
    }
    assert_eq!(failures(&report), Vec::<String>::new());
    assert!(report.passed);
}
