//! Jobs that came by SQL are planned and admitted.
//!
//! Taking a submission is the business of `admit`, so that several coordinators may plan the same
//! one and one of them stores it. A document that cannot be planned ends its job, with the reason.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    api::submit,
    dispatch::Wakes,
    errors,
    signals::Signals,
    store::{Store, StoreError, Submission},
    watch::Looks,
};

/// Submissions read at a time.
const PAGE: i64 = 64;

/// The sweeper's state.
pub struct Submissions {
    store: Store,
    wakes: Wakes,
    looks: Arc<Looks>,
    signals: Arc<Signals>,
}

impl Submissions {
    /// Nothing read yet.
    pub fn new(store: Store, wakes: Wakes, looks: Arc<Looks>, signals: Arc<Signals>) -> Self {
        Self { store, wakes, looks, signals }
    }

    /// Sweeps until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.signals.submissions.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep() => if let Err(error) = swept {
                    // The beat signals again.
                    error!(error = errors::chain(&error), "cannot admit what was submitted by SQL");
                }
            }
        }
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let submissions = self.store.submissions(after, PAGE).await?;
            let Some(last) = submissions.last() else { return Ok(()) };
            after = last.seq;
            for submission in submissions {
                self.admit(submission).await?;
            }
        }
    }

    async fn admit(&self, submission: Submission) -> Result<(), StoreError> {
        let (seq, job) = (submission.seq, submission.job);
        let planned =
            tokio::task::spawn_blocking(move || submit::plan_submission(&submission)).await;
        let Ok(planned) = planned else {
            self.store
                .reject_submission(seq, "planning this job made the coordinator fail")
                .await?;
            return Ok(());
        };
        match planned {
            Ok(planned) => {
                let admitted = self.store.admit(&planned.new).await?;
                self.wakes.readied(&admitted.ready);
                if admitted.created {
                    info!(job.id = %job, "job submitted by SQL");
                }
            }
            Err(problems) => {
                let reasons: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let reason = reasons.join("; ");
                warn!(job.id = %job, reason, "a submitted job cannot be planned");
                self.store.reject_submission(seq, &reason).await?;
            }
        }
        self.looks.changed(job);
        Ok(())
    }
}
