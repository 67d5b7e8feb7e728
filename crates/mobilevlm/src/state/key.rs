//! What the state of a prompt depends on, as one hash.
//!
//! | what | how it is told apart |
//! |---|---|
//! | the weights of the language model | device, inode, length, time of the last change to content and of the last change to the inode of each file; name, type, shape and 256 bytes from the middle of each tensor |
//! | the sizes and constants of the language model | as they are |
//! | the arithmetic | the kernel table's name and the arithmetic's |
//! | the program | the version of this crate; device, inode, length and times of the executable |
//! | the prompt | its ids |
//!
//! Hashing gigabytes would take longer than computing the state. The time of the last change to
//! the inode (`st_ctime`) makes it needless: the system sets it at each change of the content or
//! of the other time, and no program can set it back. It has the resolution of a timer, so a file
//! that changed within the last two seconds counts as still changing, as in git's index. Systems
//! without that time have no file of states.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mobilevlm_checkpoint::{Inventory, LanguageConfig, Tensor};
use mobilevlm_tensor::Compute;
use sha2::{Digest, Sha256};

/// A change to the layout of the file makes every older one foreign.
const LAYOUT: u64 = 1;

/// Bytes of each tensor that are part of the key.
const SAMPLE: usize = 256;

/// A file that changed so recently may change again without a trace in its times.
const SETTLED: Duration = Duration::from_secs(2);

/// SHA-256 of everything that a state depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

impl Key {
    pub(super) fn new(
        source: &Source,
        program: &Program,
        config: &LanguageConfig,
        compute: &Compute,
        ids: &[u32],
    ) -> Key {
        let mut fields = Fields(Sha256::new());
        fields.number(LAYOUT);
        fields.text(program.version);
        fields.stamp(&program.executable);
        fields.text(compute.kernels().name());
        fields.text(compute.arithmetic().name());
        // Its floats are printed so that they can be read back: different ones look different.
        fields.text(&format!("{config:?}"));
        fields.number(source.files.len() as u64);
        for (_, stamp) in &source.files {
            fields.stamp(stamp);
        }
        fields.bytes(&source.tensors);
        fields.number(ids.len() as u64);
        ids.iter().for_each(|&id| fields.number(id.into()));
        Key(fields.0.finalize().into())
    }

    /// The name of the file with the state of this key.
    pub(super) fn file_name(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex}.{}", super::folder::EXTENSION)
    }
}

/// The program that computes.
pub(super) struct Program {
    version: &'static str,
    executable: Stamp,
}

impl Program {
    /// This one; `None` where it cannot be told from another.
    pub(super) fn this() -> Option<Program> {
        Some(Program {
            version: env!("CARGO_PKG_VERSION"),
            executable: Stamp::of(&std::env::current_exe().ok()?)?,
        })
    }
}

/// The weights of a language model, as far as they must be known to tell them from others.
pub(crate) struct Source {
    files: Vec<(PathBuf, Stamp)>,
    /// SHA-256 of the names, types, shapes and samples of the tensors.
    tensors: [u8; 32],
}

impl Source {
    /// The weights in `tensors`, which come from files; `None` where they do not, where this
    /// system cannot tell a changed file, or where one has just changed.
    pub(crate) fn of(tensors: &Inventory) -> Option<Source> {
        let mut fields = Fields(Sha256::new());
        let mut paths = BTreeSet::new();
        let language = tensors
            .iter()
            .filter(|(name, _)| name.starts_with("language."));
        for (name, tensor) in language {
            paths.insert(tensor.file()?);
            fields.text(name);
            fields.text(&format!("{:?}", tensor.dtype()));
            fields.text(&format!("{:?}", tensor.shape()));
            // From the bytes in use: a file that was exchanged while it was opened is noticed.
            fields.bytes(sample(tensor));
        }
        let now = SystemTime::now();
        let files = paths
            .into_iter()
            .map(|path| {
                let stamp = Stamp::of(path).filter(|stamp| stamp.is_settled(now))?;
                Some((path.to_owned(), stamp))
            })
            .collect::<Option<Vec<_>>>()?;
        if files.is_empty() {
            return None;
        }
        Some(Source {
            files,
            tensors: fields.0.finalize().into(),
        })
    }

    /// Whether the files are still those that were opened.
    pub(super) fn is_unchanged(&self) -> bool {
        self.files
            .iter()
            .all(|(path, stamp)| Stamp::of(path).as_ref() == Some(stamp))
    }
}

fn sample(tensor: &Tensor) -> &[u8] {
    let data = tensor.stored();
    let start = (data.len() / 2).min(data.len().saturating_sub(SAMPLE));
    &data[start..data.len().min(start + SAMPLE)]
}

/// What the system says about a file: equal for two files only if they are one, unchanged.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Nanoseconds since 1970 of the last change to the content, and of that to the inode.
    times: [i128; 2],
}

impl Stamp {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let data = std::fs::metadata(path).ok()?;
        let time =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some(Stamp {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            times: [
                time(data.mtime(), data.mtime_nsec()),
                time(data.ctime(), data.ctime_nsec()),
            ],
        })
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Stamp> {
        None
    }

    /// Whether the last change lies so far back that a later one has another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as i128);
        // A time in the future tells nothing either.
        self.times
            .iter()
            .all(|time| now - time > SETTLED.as_nanos() as i128)
    }
}

/// Fields of a hash, each with its length, so that none runs into the next.
struct Fields(Sha256);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn stamp(&mut self, stamp: &Stamp) {
        self.number(stamp.device);
        self.number(stamp.inode);
        self.number(stamp.length);
        for time in stamp.times {
            self.0.update(time.to_le_bytes());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File};

    use mobilevlm_checkpoint::{Access, Checkpoint, Dtype, OpenOptions};
    use mobilevlm_tensor::{Arithmetic, Bytes, Kernels};
    use mobilevlm_testing::micro_golden;

    use super::*;

    fn settled(path: &Path) -> Option<Stamp> {
        Stamp::of(path).filter(|stamp| stamp.is_settled(SystemTime::now()))
    }

    #[test]
    fn a_change_shows_even_where_length_and_time_are_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, b"one").unwrap();
        assert_eq!(settled(&path), None, "it has just changed");
        let before = Stamp::of(&path).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        std::thread::sleep(SETTLED + Duration::from_millis(100));
        assert_eq!(settled(&path).as_ref(), Some(&before));

        fs::write(&path, b"two").unwrap();
        File::open(&path).unwrap().set_modified(modified).unwrap();
        let after = Stamp::of(&path).unwrap();
        assert_eq!(
            (after.length, after.times[0]),
            (before.length, before.times[0])
        );
        assert_ne!(after, before);
    }

    #[test]
    fn every_part_changes_the_key() {
        let open = |path: &Path| {
            let options = OpenOptions {
                access: Access::Map,
                ..OpenOptions::default()
            };
            Checkpoint::open(path, &options).unwrap()
        };
        let micro = open(&micro_golden("checkpoint"));
        let source = || Source::of(&micro.tensors).expect("the micro set is settled");
        let kernels = Kernels::detect().unwrap();
        let portable = Kernels::by_name("portable").unwrap();
        let config = &micro.config.language;
        let compute = Compute::new(kernels, 1);
        let program = || Program::this().unwrap();
        let ids = [1, 2, 3];
        let mut keys = vec![Key::new(&source(), &program(), config, &compute, &ids)];
        assert_eq!(
            keys[0],
            Key::new(
                &source(),
                &program(),
                config,
                &Compute::new(kernels, 2),
                &ids
            ),
            "the number of threads changes no bit"
        );

        let mut other = source();
        other.tensors[31] ^= 1;
        keys.push(Key::new(&other, &program(), config, &compute, &ids));
        let mut other = source();
        other.files[0].1.inode += 1;
        keys.push(Key::new(&other, &program(), config, &compute, &ids));
        let mut other = program();
        other.executable.times[1] += 1;
        keys.push(Key::new(&source(), &other, config, &compute, &ids));
        let mut other = program();
        other.version = "0.0.0";
        keys.push(Key::new(&source(), &other, config, &compute, &ids));
        let mut other = config.clone();
        other.rope_theta = other.rope_theta.next_up();
        keys.push(Key::new(&source(), &program(), &other, &compute, &ids));
        let exact = Compute::new(kernels, 1).with_arithmetic(Arithmetic::F32);
        keys.push(Key::new(&source(), &program(), config, &exact, &ids));
        if kernels.name() != portable.name() {
            let other = Compute::new(portable, 1);
            keys.push(Key::new(&source(), &program(), config, &other, &ids));
        }
        keys.push(Key::new(&source(), &program(), config, &compute, &ids[..2]));
        for (number, key) in keys.iter().enumerate() {
            assert!(!keys[..number].contains(key), "key {number} is another's");
        }
    }

    #[test]
    fn a_sample_is_from_the_middle() {
        for length in [0, 1, 255, 256, 257, 4096] {
            let of = |data: Vec<u8>| {
                let tensor = Tensor::new(Dtype::U8, vec![length], Bytes::from(data)).unwrap();
                sample(&tensor).to_vec()
            };
            let mut data = vec![0; length];
            let before = of(data.clone());
            assert_eq!(before.len(), length.min(SAMPLE));
            if let Some(byte) = data.get_mut(length / 2) {
                *byte = 1;
                assert_ne!(of(data), before, "{length} bytes");
            }
        }
    }
}
