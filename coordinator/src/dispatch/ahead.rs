//! What waits, told to agents that have no room for it yet, so that they fetch its files meanwhile.
//!
//! A guess, not a claim: the task goes to whoever has a free slot first. Invariant: where agents begin
//! and end tasks all the time, nothing is asked of the database, and nowhere more than once a second.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use postq_common::{
    ahead::{TaskKey, Upcoming},
    id::{AttemptId, LaneId, SessionId},
    place::LaneView,
};
use postq_proto::v1::{Prefetch, connect_response::Message};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Delivery, Roster, deliver::Unfit, lanes::Lanes};
use crate::{
    errors,
    store::{Store, StoreError, UpcomingRow},
    wire::convert,
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Lanes that are looked into, by their priority.
const LANES: usize = 16;
/// Tasks of each that are looked at: two for each agent, since not all of them suit, up to so many.
const DEPTH: usize = 64;

/// Who looks ahead, now and then.
pub(super) struct Ahead {
    store: Store,
    roster: Arc<Roster>,
    delivery: Delivery,
    next: Instant,
}

impl Ahead {
    pub(super) fn new(store: Store, roster: Arc<Roster>, delivery: Delivery) -> Self {
        Self { store, roster, delivery, next: Instant::now() }
    }

    /// When it is time to look, if anybody should be told of anything.
    pub(super) fn due(&self, lanes: &Lanes) -> Option<Instant> {
        let steady_at = self.roster.steady_at().filter(|_| lanes.has_hot())?;
        Some(steady_at.max(self.next))
    }

    /// Tells agents that have had no room for some time what they are likely to be given next.
    pub(super) async fn look(&mut self, lanes: &Lanes) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        let (agents, mut hot) = self.roster.crowded(lanes.hot());
        if hot.is_empty() {
            return;
        }
        hot.sort_by_key(|lane| Reverse(lane.priority));
        hot.truncate(LANES);
        let cursors = lanes.cursors(hot.iter().map(|view| view.lane));
        match self.store.upcoming(&cursors, DEPTH.min(2 * agents)).await {
            Ok(rows) => self.delivery.foretell(self.roster.guess(&in_order(rows, &hot))),
            Err(error) => warn!(error = errors::chain(&error), "cannot look ahead"),
        }
    }
}

/// As they are likely to be claimed: by the priority of their lanes, then as they became ready.
fn in_order(mut rows: Vec<UpcomingRow>, lanes: &[LaneView]) -> Vec<Upcoming> {
    let lanes: HashMap<LaneId, &LaneView> = lanes.iter().map(|view| (view.lane, view)).collect();
    rows.retain(|row| lanes.contains_key(&row.lane));
    rows.sort_by_key(|row| (Reverse(lanes[&row.lane].priority), row.seq));
    let upcoming = |row: UpcomingRow| {
        let kind = lanes[&row.lane].kind.clone();
        Upcoming { task: row.task, kind, prefer: row.prefer }
    };
    rows.into_iter().map(upcoming).collect()
}

impl Delivery {
    /// Tells agents what they may be given next. Returns at once.
    fn foretell(&self, guesses: Vec<(SessionId, TaskKey)>) {
        if guesses.is_empty() {
            return;
        }
        let this = self.clone();
        // Bounded by the agents: each is told of one task, and of another one only when that is gone.
        self.shutdown.spawn("foretell", async move {
            if let Err(error) = this.tell_all(&guesses).await {
                debug!(error = errors::chain(&error), "what comes next cannot be read");
            }
        });
    }

    async fn tell_all(&self, guesses: &[(SessionId, TaskKey)]) -> Result<(), StoreError> {
        let tasks: Vec<TaskKey> = guesses.iter().map(|(_, task)| *task).collect();
        // They have no attempts yet; nothing is asked by one.
        let asked: Vec<_> = tasks.iter().map(|(job, n)| (AttemptId(0), *job, *n)).collect();
        let rows = self.store.assignments(&asked).await?;
        let mut sources = self.store.sources(&tasks).await?;
        for row in rows {
            let task = row.task();
            let sources = sources.remove(&task).unwrap_or_default();
            let input = match self.input(&row, sources).await {
                Ok(input) => input,
                Err(Unfit::Fails(why) | Unfit::Waits(why)) => {
                    debug!(job.id = %task.0, task.name = row.name, why, "no files to fetch ahead");
                    continue;
                }
            };
            let sessions = guesses.iter().filter(|(_, of)| *of == task && input.content.is_some());
            for (session, _) in sessions {
                debug!(job.id = %task.0, task.name = row.name, session.id = %session, "foretold");
                let input = Some(convert::snapshot(&input));
                self.roster.send(*session, Message::Prefetch(Prefetch { input }));
            }
        }
        Ok(())
    }
}
