//! Tensors as `torch.save` wrote them before torch 1.6, which `torch.load` reads: the magic number,
//! the version, facts about the machine, a dictionary of tensors, the keys of their storages, and
//! the storages. `mobilevlm-checkpoint` reads it, too.

use std::path::Path;

use mobilevlm_checkpoint::{Inventory, Tensor, replace_file};

use crate::error::ModelError;

/// torch: `MAGIC_NUMBER`, `PROTOCOL_VERSION` in `serialization.py`.
const HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";

/// Writes tensors, in float32, as a dictionary by their names.
///
/// # Errors
/// [`ModelError`] where the file cannot be written, or a tensor is none of numbers.
pub(super) fn write_torch(path: &Path, tensors: &Inventory) -> Result<(), ModelError> {
    let values = |tensor: &Tensor| {
        tensor.to_f32().ok_or_else(|| ModelError::Content {
            path: path.to_owned(),
            wrong: format!("expected numbers, found a tensor of {:?}", tensor.dtype()),
        })
    };
    let mut head = HEAD.to_vec();
    head.extend(b"\x80\x02}(");
    text(&mut head, "protocol_version");
    head.extend(b"M\xe9\x03");
    text(&mut head, "little_endian");
    head.push(b'\x88');
    text(&mut head, "type_sizes");
    head.extend(b"}(");
    for (name, size) in [("short", 2), ("int", 4), ("long", 4)] {
        text(&mut head, name);
        number(&mut head, size);
    }
    head.extend(b"uu.");
    head.extend(b"\x80\x02}(");
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        text(&mut head, name);
        describe(&mut head, key, tensor.shape());
    }
    head.extend(b"u.\x80\x02](");
    for (key, _) in tensors.iter().enumerate() {
        text(&mut head, &key.to_string());
    }
    head.extend(b"e.");
    let all = tensors.iter().map(|(_, tensor)| values(tensor));
    let all: Vec<Vec<f32>> = all.collect::<Result<_, _>>()?;
    Ok(replace_file(path, |out| {
        out.write_all(&head)?;
        for values in &all {
            out.write_all(&(values.len() as u64).to_le_bytes())?;
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            out.write_all(&bytes)?;
        }
        Ok(())
    })?)
}

/// A tensor that is the whole of the storage `key`.
fn describe(pickle: &mut Vec<u8>, key: usize, shape: &[usize]) {
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(pickle, "storage");
    pickle.extend(b"ctorch\nFloatStorage\n");
    text(pickle, &key.to_string());
    text(pickle, "cpu");
    number(pickle, shape.iter().product());
    // No view of another storage; the tuple is what the storage is found by.
    pickle.extend(b"NtQ");
    number(pickle, 0);
    tuple(pickle, shape);
    let strides = (1..=shape.len()).map(|first| shape[first..].iter().product());
    tuple(pickle, &strides.collect::<Vec<usize>>());
    // Without gradient and hooks.
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) {
    match i32::try_from(number) {
        Ok(number) => {
            pickle.push(b'J');
            pickle.extend(number.to_le_bytes());
        }
        Err(_) => {
            pickle.extend(b"\x8a\x08");
            pickle.extend((number as u64).to_le_bytes());
        }
    }
}

fn tuple(pickle: &mut Vec<u8>, numbers: &[usize]) {
    pickle.push(b'(');
    numbers.iter().for_each(|&n| number(pickle, n));
    pickle.push(b't');
}

#[cfg(test)]
mod tests {
    use super::*;
    use mobilevlm_checkpoint::{Access, Bytes, Dtype, stored_tensors};

    #[test]
    fn what_is_written_is_read() {
        let tensor = |shape: &[usize], first: f32| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|place| first + place as f32);
            let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            Tensor::new(Dtype::F32, shape.to_vec(), Bytes::from(bytes)).unwrap()
        };
        let written: Inventory = [
            ("a.weight".to_owned(), tensor(&[3, 2], 1.0)),
            ("b".to_owned(), tensor(&[5], -2.5)),
            ("c".to_owned(), tensor(&[2, 1, 3, 4], 0.25)),
            ("empty".to_owned(), tensor(&[0], 0.0)),
        ]
        .into_iter()
        .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tensors.bin");
        write_torch(&path, &written).unwrap();
        let read: Inventory = stored_tensors(&path, Access::default())
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(read.iter().count(), 4);
        for (name, tensor) in written.iter() {
            let found = read.get(name).unwrap();
            assert_eq!(
                (found.shape(), found.data()),
                (tensor.shape(), tensor.data()),
                "{name}"
            );
        }
    }
}
