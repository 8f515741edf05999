//! What the files of an execution took, between the wire and the history.

use postq_proto::{convert, v1};

use crate::store::Effort;

/// From an agent; what makes no sense counts as nothing.
pub fn from_wire(effort: &v1::Effort) -> Effort {
    let millis = |duration: &Option<pbjson_types::Duration>| {
        let duration = duration.as_ref().and_then(|it| convert::duration(it).ok());
        let millis = duration.map(|duration| i64::try_from(duration.as_millis()));
        millis.and_then(Result::ok).unwrap_or_default()
    };
    Effort {
        entries: effort.entries.max(0),
        bytes: effort.bytes.max(0),
        hashed_bytes: effort.hashed_bytes.max(0),
        sent_bytes: effort.sent_bytes.max(0),
        saved_bytes: effort.saved_bytes.max(0),
        received_bytes: effort.received_bytes.max(0),
        local_bytes: effort.local_bytes.max(0),
        direct_bytes: effort.direct_bytes.max(0),
        checkout_ms: millis(&effort.checkout),
        scan_ms: millis(&effort.scan),
        upload_ms: millis(&effort.upload),
    }
}

/// For clients.
pub fn to_wire(effort: &Effort) -> v1::Effort {
    let Effort { entries, bytes, hashed_bytes, sent_bytes, saved_bytes, .. } = *effort;
    let Effort { received_bytes, local_bytes, direct_bytes, .. } = *effort;
    v1::Effort {
        entries,
        bytes,
        hashed_bytes,
        sent_bytes,
        saved_bytes,
        received_bytes,
        local_bytes,
        direct_bytes,
        checkout: millis(effort.checkout_ms),
        scan: millis(effort.scan_ms),
        upload: millis(effort.upload_ms),
    }
}

/// A duration of so many milliseconds.
pub fn millis(millis: i64) -> Option<pbjson_types::Duration> {
    let nanos = i32::try_from(millis.rem_euclid(1000)).ok()? * 1_000_000;
    Some(pbjson_types::Duration { seconds: millis.div_euclid(1000), nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_history() {
        let told = Effort { bytes: 5, upload_ms: 1234, checkout_ms: 60_000, ..Effort::default() };
        assert_eq!(from_wire(&to_wire(&told)), told);
        let senseless = v1::Effort { bytes: -1, scan: millis(-5), ..v1::Effort::default() };
        assert_eq!(from_wire(&senseless), Effort::default());
    }
}
