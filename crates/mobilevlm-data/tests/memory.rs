//! Memory and time of a large data set, alone in its process: the allocator counts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use mobilevlm_data::{Grouping, IndexPlace, Order, Rows};
use mobilevlm_testing::alloc::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held at most while `count` rows are indexed, read back and ordered.
fn peak(count: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    write!(file, "[").unwrap();
    for row in 0..count {
        let comma = if row > 0 { "," } else { "" };
        let words = "of many words ".repeat(row % 7 + 1);
        let image = match row % 5 {
            0 => String::new(),
            _ => format!("\"image\": \"coco/train2017/{row:012}.jpg\", "),
        };
        write!(
            file,
            "{comma}\n{{\"id\": \"{row}\", {image}\"conversations\": [{{\"from\": \"human\", \
             \"value\": \"<image>\\nWhat is this?\"}}, {{\"from\": \"gpt\", \"value\": \
             \"A picture {words}.\"}}]}}"
        )
        .unwrap();
    }
    write!(file, "]").unwrap();
    drop(file);
    let on_progress = &mut |_: u64, _: u64| ControlFlow::Continue(());
    let (_, usage) = alloc::measure_process(|| {
        drop(Rows::open(&path, &IndexPlace::Beside, on_progress).unwrap());
        let rows = Rows::open(&path, &IndexPlace::Beside, on_progress).unwrap();
        assert_eq!(rows.len(), count);
        assert!(
            rows.read(count - 1).unwrap().conversations[1]
                .value
                .starts_with("A picture")
        );
        let sixteen = 16.try_into().unwrap();
        let eight = 8.try_into().unwrap();
        let order = Order::new(
            rows.modality_lengths(),
            Grouping::Modality,
            sixteen,
            eight,
            1,
        );
        assert_eq!(order.epoch(0).indices().len(), count);
    });
    usage.peak
}

#[test]
fn twenty_thousand_rows_take_few_bytes_each() {
    assert!(alloc::installed());
    // 200 MB for 1.2 million are 166 bytes a row; two buffers of 1 MiB beside.
    let peak = peak(20_000);
    assert!(peak < 20_000 * 150 + (3 << 20), "{peak}");
}

#[test]
#[ignore = "writes 300 MB; takes half a minute"]
fn a_million_rows_stay_under_200_mb() {
    let peak = peak(1_200_000);
    println!("{} MB", peak / 1_000_000);
    assert!(peak < 200_000_000, "{peak}");
}
