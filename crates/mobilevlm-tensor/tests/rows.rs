//! Block formats against what ggml wrote: bytes of the quantisers, numbers of the readers.

use mobilevlm_tensor::Format;
use safetensors::SafeTensors;

const RECORDED: [&str; 12] = [
    "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
];

fn format(recorded: &str) -> Format {
    let name = recorded.to_ascii_lowercase();
    let mut all = Format::ALL.into_iter();
    all.find(|format| format.name() == name).expect(recorded)
}

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let mut out = vec![0.0; file.tensor(name).unwrap().data().len() / 4];
    Format::F32.decode(file.tensor(name).unwrap().data(), &mut out);
    out
}

#[test]
fn every_recorded_row_is_written_and_read_as_ggml_does() {
    let Some(path) = mobilevlm_testing::shared_golden("gguf/rows.safetensors", "block formats")
    else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let x = numbers(&file, "x");
    let mut differences = Vec::new();
    for name in RECORDED {
        let format = format(name);
        let stored = file.tensor(&format!("{name}.bytes")).unwrap();
        let row_bytes = format.row_bytes(512).unwrap();
        for (row, (x, expected)) in x
            .chunks_exact(512)
            .zip(stored.data().chunks_exact(row_bytes))
            .enumerate()
        {
            if format.encode(x) != expected {
                differences.push(format!("{name}: bytes of row {row}"));
            }
        }
        let mut values = vec![0.0; x.len()];
        format.decode(stored.data(), &mut values);
        let expected = numbers(&file, &format!("{name}.values"));
        let differ = |(found, expected): (&f32, &f32)| found.to_bits() != expected.to_bits();
        if values.iter().zip(&expected).any(differ) {
            differences.push(format!("{name}: values"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn any_numbers_make_blocks() {
    // Infinities and NaN have no meaning in a block; they must still not panic.
    let odd = [f32::NAN, f32::INFINITY, -f32::MAX, 1e-45, -0.0, 3.0];
    let values: Vec<f32> = (0..512).map(|i| odd[i * i % 6]).collect();
    for format in Format::ALL {
        let stored = format.encode(&values);
        let mut back = vec![0.0; 512];
        format.decode(&stored, &mut back);
    }
}
