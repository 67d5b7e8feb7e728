//! What the writer of safetensors writes, the reader reads.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use mobilevlm_checkpoint::{Bytes, Dtype, Tensor, safetensors};

#[derive(Arbitrary, Debug)]
struct Stored {
    kind: u8,
    shape: Vec<u8>,
    fill: u8,
}

libfuzzer_sys::fuzz_target!(|stored: BTreeMap<String, Stored>| {
    let kinds = [
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::F64,
        Dtype::I64,
        Dtype::U8,
        Dtype::Bool,
    ];
    let mut tensors = BTreeMap::new();
    for (name, stored) in stored {
        let dtype = kinds[usize::from(stored.kind) % kinds.len()];
        let shape: Vec<_> = stored
            .shape
            .iter()
            .take(3)
            .map(|&size| usize::from(size % 17))
            .collect();
        let length = shape.iter().product::<usize>() * dtype.size();
        let data = Bytes::from(vec![stored.fill; length]);
        tensors.insert(
            name,
            Tensor::new(dtype, shape, data).expect("the length is right"),
        );
    }
    tensors.remove("__metadata__");
    let mut file = Vec::new();
    let pairs = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    safetensors::write(&mut file, pairs).expect("a vector takes everything");
    let entries = safetensors::parse(&file).expect("what was written is valid");
    assert_eq!(entries.len(), tensors.len());
    for entry in entries {
        let tensor = &tensors[&entry.name];
        assert_eq!(
            (entry.dtype, &entry.shape[..]),
            (tensor.dtype(), tensor.shape())
        );
        assert_eq!(&file[entry.range], &tensor.data()[..]);
    }
});
