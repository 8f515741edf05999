//! What the database tells sleepers, passed on. A hint may be lost; after a broken connection
//! everything is looked at again.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    dispatch::{Wake, Wakes},
    signals::Signals,
    store::{Hint, Listener},
    watch::Looks,
};

/// The pause before the connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause where only an operator can help.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// The listener's state.
pub struct Hints {
    options: PgConnectOptions,
    wakes: Wakes,
    signals: Arc<Signals>,
    looks: Arc<Looks>,
}

impl Hints {
    /// Listens over a connection of its own.
    pub fn new(
        options: PgConnectOptions,
        wakes: Wakes,
        signals: Arc<Signals>,
        looks: Arc<Looks>,
    ) -> Self {
        Self { options, wakes, signals, looks }
    }

    /// Passes hints on until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => return,
                error = self.listen() => error,
            };
            warn!(error = &error as &dyn std::error::Error, "not listening; trying again");
            let is_misled = matches!(error, sqlx::Error::Configuration(_));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(if is_misled { LONG_PAUSE } else { PAUSE }) => {}
            }
        }
    }

    /// Listens until the connection fails for good.
    async fn listen(&self) -> sqlx::Error {
        let mut listener = match Listener::open(self.options.clone()).await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        info!("listening for hints");
        self.pass_on(Hint::Reconnected);
        loop {
            match listener.next().await {
                Ok(hint) => self.pass_on(hint),
                Err(error) => return error,
            }
        }
    }

    fn pass_on(&self, hint: Hint) {
        match hint {
            Hint::Ready(readied) => self.wakes.wake(Wake::Readied(readied)),
            Hint::Due => self.signals.due.notify_one(),
            Hint::Submission => self.signals.submissions.notify_one(),
            Hint::Parked => self.signals.parked.notify_one(),
            Hint::Inbox => self.signals.inbox.notify_one(),
            Hint::Cancel => self.signals.cancels.notify_one(),
            Hint::Deadline => self.signals.deadlines.notify_one(),
            Hint::Schedule => self.signals.schedules.notify_one(),
            Hint::Delivery => self.signals.deliveries.notify_one(),
            Hint::Completed(jobs) => jobs.into_iter().for_each(|job| self.looks.look_now(job)),
            Hint::Reconnected => {
                self.wakes.wake(Wake::Rewind);
                self.signals.all();
            }
        }
    }
}
