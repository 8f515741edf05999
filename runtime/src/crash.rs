//! Places where a process can be told to die, for the tests that kill it there. A release has none.
//!
//! `POSTQ_CRASH_FILE` names a file. A process that comes to the place whose name is all that the file
//! holds removes the file, so that its next life gets past, and ends at once without a word.

use std::{env, fs, path::PathBuf, process, sync::OnceLock};

/// Ends the process here, if it was told to. Looks at a file where one is named, so it is not for
/// what happens often.
pub fn point(name: &str) {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(file) = FILE.get_or_init(|| env::var_os("POSTQ_CRASH_FILE").map(PathBuf::from)) else {
        return;
    };
    // Of several that come here at once, the one that removes it dies.
    if fs::read_to_string(file).is_ok_and(|told| told == name) && fs::remove_file(file).is_ok() {
        process::abort();
    }
}
