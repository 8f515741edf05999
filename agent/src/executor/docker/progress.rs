//! What the log of a task tells of a pull: each step of each layer once, and now and then how much
//! has come.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bollard::models::CreateImageInfo;
use bytesize::ByteSize;

/// Between two lines about how much has come.
const EVERY: Duration = Duration::from_secs(3);

/// One pull.
pub(super) struct Progress {
    layers: BTreeMap<String, (i64, i64)>,
    told_at: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { layers: BTreeMap::new(), told_at: Instant::now() }
    }
}

impl Progress {
    /// A line for the log, where this is worth one.
    pub(super) fn note(&mut self, info: &CreateImageInfo) -> Option<String> {
        let status = info.status.as_deref()?;
        let id = info.id.as_deref().unwrap_or_default();
        let Some((current, total)) = info
            .progress_detail
            .as_ref()
            .and_then(|detail| Some((detail.current?, detail.total.unwrap_or(0))))
        else {
            let is_step = !["Waiting", "Downloading", "Extracting"].contains(&status);
            return is_step.then(|| match id {
                "" => status.to_owned(),
                id => format!("{id}: {status}"),
            });
        };
        if status == "Downloading" {
            self.layers.insert(id.to_owned(), (current, total));
        }
        if self.told_at.elapsed() < EVERY {
            return None;
        }
        self.told_at = Instant::now();
        let sum = |get: fn(&(i64, i64)) -> i64| {
            ByteSize::b(self.layers.values().map(get).sum::<i64>().unsigned_abs())
        };
        Some(format!("{} of {} have come", sum(|it| it.0), sum(|it| it.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_and_the_flood_of_bytes_is_not() {
        let mut progress = Progress::default();
        let mut note = |status: &str, bytes: Option<(i64, i64)>| {
            let progress_detail = bytes.map(|(current, total)| bollard::models::ProgressDetail {
                current: Some(current),
                total: Some(total),
            });
            let (id, status) = (Some("abc".to_owned()), Some(status.to_owned()));
            progress.note(&CreateImageInfo { id, status, progress_detail, error_detail: None })
        };
        assert_eq!(note("Waiting", None), None);
        assert_eq!(note("Downloading", Some((1, 10))), None);
        assert_eq!(note("Pull complete", None).unwrap(), "abc: Pull complete");
    }
}
