//! Jobs that came by SQL are planned and admitted.
//!
//! Taking a submission is the business of `admit`, so that several coordinators may plan the same
//! one and one of them stores it. One that cannot be admitted ends its job, with the reason, and
//! holds up nobody behind it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    admission::{Admission, AdmissionError},
    errors,
    signals::Signals,
    store::{Store, StoreError, Submission},
    watch::Looks,
};

/// Submissions read at a time: a document may have many MiB.
const PAGE: i64 = 8;

/// The sweeper's state.
pub struct Submissions {
    store: Store,
    admission: Admission,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
    /// The last one looked at: those before it are gone, or committed late.
    last: i64,
}

impl Submissions {
    /// Nothing read yet.
    pub fn new(
        store: Store,
        admission: Admission,
        looks: Arc<Looks>,
        signals: Arc<Signals>,
    ) -> Self {
        Self { store, admission, looks, signals, last: 0 }
    }

    /// Sweeps until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.submissions.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep() => if let Err(error) = swept {
                    // The beat signals again.
                    error!(error = errors::chain(&error), "cannot read what was submitted by SQL");
                }
            }
        }
    }

    /// Goes on behind the last one, and where nothing is there, once from the beginning, for what
    /// committed late.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        if self.pages().await? == 0 {
            self.last = 0;
            self.pages().await?;
        }
        Ok(())
    }

    async fn pages(&mut self) -> Result<usize, StoreError> {
        let mut count = 0;
        loop {
            let submissions = self.store.submissions(self.last, PAGE).await?;
            if submissions.is_empty() {
                return Ok(count);
            }
            count += submissions.len();
            for submission in submissions {
                self.last = submission.seq;
                self.admit(submission).await;
            }
        }
    }

    async fn admit(&self, submission: Submission) {
        let (seq, job) = (submission.seq, submission.job);
        if let Err(error) = self.admission.admit_submission(submission).await {
            let reason = errors::chain(&error);
            if is_passing(&error) {
                warn!(job.id = %job, reason, "cannot admit a job now; trying again");
                return;
            }
            warn!(job.id = %job, reason, "a submitted job cannot be admitted");
            if let Err(error) = self.store.reject_submission(seq, &reason).await {
                error!(job.id = %job, error = errors::chain(&error), "cannot reject it either");
            }
        }
        self.looks.look_now(job);
    }
}

fn is_passing(error: &AdmissionError) -> bool {
    match error {
        AdmissionError::Store(error) => error.is_transient(),
        AdmissionError::Blobs(_) => true,
        AdmissionError::Document(_) | AdmissionError::Panicked => false,
    }
}
