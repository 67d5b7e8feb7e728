use std::sync::{Mutex, MutexGuard, PoisonError};

use mobilevlm_model::Cache;

use crate::prompt::Prompt;

/// A longer sequence is not kept, because its memory is: 680 positions of V2-1.7B.
const MOST_BYTES: usize = 256 << 20;

/// What the last sequence that left its batch had read, for the next one that joins any.
///
/// The next one takes it over with its memory, so that two conversations after each other need no
/// more than one, and a second question about the same picture reads only what is new.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Option<(Prompt, Cache)>>);

impl Spare {
    /// Keeps `cache`, which has read the beginning of `prompt`.
    pub(crate) fn put(&self, prompt: Prompt, cache: Cache) {
        if !cache.is_empty() && cache.bytes() <= MOST_BYTES {
            *self.lock() = Some((prompt, cache));
        }
    }

    pub(crate) fn take(&self) -> Option<(Prompt, Cache)> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Prompt, Cache)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
