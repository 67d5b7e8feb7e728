//! The file with the state of one prompt.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `MVLMKV01` |
//! | 32 | the key |
//! | 16 | layers, positions, keys and values of a position in a layer, zero: 32 bits each |
//! | 4 · layers · positions · numbers | for each layer the keys, `[positions, kv_heads · head_dim]`, then the values: `f32` |
//! | 32 | SHA-256 of all before |
//!
//! All numbers are little-endian. The file is read only if every byte is as it was written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use mobilevlm_model::{Cache, LanguageModel};
use mobilevlm_tensor::Compute;
use sha2::{Digest, Sha256};

use super::key::Key;

const MAGIC: &[u8; 8] = b"MVLMKV01";
const HEADER: usize = 8 + 32 + 16;
const CHECKSUM: usize = 32;

/// What the file begins with, where it is the one that `key` names.
fn header(key: &Key, cache: &Cache, positions: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..40].copy_from_slice(&key.0);
    let sizes = [cache.layers(), positions, cache.row(), 0];
    for (bytes, size) in header[40..].chunks_exact_mut(4).zip(sizes) {
        bytes.copy_from_slice(&(size as u32).to_le_bytes());
    }
    header
}

pub(super) fn write(out: &mut dyn Write, key: &Key, cache: &Cache) -> io::Result<()> {
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(bytes);
        out.write_all(bytes)
    };
    put(&header(key, cache, cache.len()))?;
    let mut numbers = vec![0.0_f32; cache.len() * cache.row()];
    let mut bytes = vec![0; 4 * numbers.len()];
    for layer in 0..cache.layers() {
        cache.copy_layer(layer, &mut numbers);
        for (bytes, number) in bytes.chunks_exact_mut(4).zip(&numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        put(&bytes)?;
    }
    out.write_all(&hash.finalize())
}

/// The state in the file at `path`; `None` where there is none, or where it is damaged or another's.
pub(super) fn read(
    path: &Path,
    key: &Key,
    positions: usize,
    language: &LanguageModel,
    compute: &Compute,
) -> Option<Cache> {
    let mut cache = language.new_cache();
    let layer_bytes = 4 * positions * cache.row();
    let length = HEADER + cache.layers() * layer_bytes + CHECKSUM;
    let data = std::fs::metadata(path).ok()?;
    if !data.is_file() || data.len() != length as u64 {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut hash = Sha256::new();
    let mut found = [0; HEADER];
    file.read_exact(&mut found).ok()?;
    if found != header(key, &cache, positions) {
        return None;
    }
    hash.update(found);
    let mut bytes = vec![0; layer_bytes];
    let mut numbers = vec![0.0; positions * cache.row()];
    cache.reserve(positions);
    for layer in 0..cache.layers() {
        file.read_exact(&mut bytes).ok()?;
        hash.update(&bytes);
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *number = f32::from_le_bytes(*bytes);
        }
        cache.append_layer(compute, layer, &numbers);
    }
    let mut checksum = [0; CHECKSUM];
    file.read_exact(&mut checksum).ok()?;
    if checksum != *hash.finalize() {
        return None;
    }
    // The folder drops what was not used for longest.
    let _ = file.set_modified(std::time::SystemTime::now());
    Some(cache)
}
