//! What the files of an execution took, as it stands in the history.

use serde::{Deserialize, Serialize};

/// Bytes and milliseconds; the contract says what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the contract")]
pub struct Effort {
    pub entries: i64,
    pub bytes: i64,
    pub hashed_bytes: i64,
    pub sent_bytes: i64,
    pub saved_bytes: i64,
    pub received_bytes: i64,
    pub local_bytes: i64,
    pub direct_bytes: i64,
    pub checkout_ms: i64,
    pub scan_ms: i64,
    pub upload_ms: i64,
}
