//! Ctrl-C: the first one stops an answer cleanly, the second one ends the process.
//!
//! Outside an answer, the first one ends the process: a download loses nothing by it, as what has
//! arrived is kept and a file gets its name only when it is whole.

use std::sync::{Mutex, PoisonError};

use mobilevlm::CancelToken;

/// What the next Ctrl-C stops; `None` while nothing can be stopped.
static CURRENT: Mutex<Option<CancelToken>> = Mutex::new(None);

/// From now on, Ctrl-C cancels the token of the latest [`stoppable`], and ends the process where
/// there is none or it was cancelled already.
pub(crate) fn listen() {
    // Where the handler cannot be installed, Ctrl-C just ends the process.
    let _ = ctrlc::set_handler(|| {
        let current = CURRENT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match current {
            Some(token) if !token.is_cancelled() => token.cancel(),
            _ => std::process::exit(130),
        }
    });
}

/// A token that the next Ctrl-C cancels, until [`done`] or another call.
pub(crate) fn stoppable() -> CancelToken {
    let token = CancelToken::new();
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    token
}

/// Nothing is under way any more: Ctrl-C ends the process again.
pub(crate) fn done() {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
