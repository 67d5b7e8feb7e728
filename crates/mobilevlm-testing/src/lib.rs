//! Test support: where the reference data is, and what to say when it is not there.
//!
//! Two sets exist. The micro set in `golden/` is part of the repository, so a clone alone can run
//! it. The full set lies beside the checkout in `../shared/golden`; tests that need it call
//! [`shared_golden`] and skip by name when it is absent.
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "a global allocator is an unsafe trait")]
pub mod alloc;

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
    crates
        .ancestors()
        .nth(2)
        .expect("this crate lies two levels below the root")
        .to_path_buf()
}

/// A path below `golden/`, the micro set that every clone has.
pub fn micro_golden(below: &str) -> PathBuf {
    workspace().join("golden").join(below)
}

/// A path below `../shared/golden`, or `None` after printing that `test` is skipped.
///
/// ```
/// if let Some(folder) = mobilevlm_testing::shared_golden("tokenizer", "doc-example") {
///     assert!(folder.is_dir());
/// }
/// ```
pub fn shared_golden(below: &str, test: &str) -> Option<PathBuf> {
    let path = workspace().join("../shared/golden").join(below);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {test} ({} is not here)", path.display());
    None
}
