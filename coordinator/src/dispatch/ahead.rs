//! What waits, told to agents that have no room for it yet, so that they fetch its files meanwhile.
//!
//! A guess, not a claim: the task goes to whoever has a free slot first. Invariant: where agents begin
//! and end tasks all the time, nothing is asked of the database, and nowhere more than once a second.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use postq_common::{
    ahead::{TaskKey, Upcoming},
    id::{JobId, LaneId},
    place::LaneView,
};
use postq_proto::v1::{Prefetch, connect_response::Message};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};
use tracing::{debug, warn};

use super::{Delivery, deliver::Unfit, lanes::Lanes};
use crate::{
    errors,
    store::{StoreError, UpcomingRow},
    wire::convert,
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Lanes that are looked into, by their priority. Not by turns: who was told of a task that is not seen any
/// more is told of another one.
const LANES: usize = 256;
/// Tasks of all of them that are looked at.
const TASKS: usize = 1024;
/// Tasks of each: two for each agent, since not all of them suit, up to so many.
const DEPTH: usize = 64;

/// Who looks ahead, now and then.
pub(super) struct Ahead {
    delivery: Delivery,
    looks: Looks,
}

/// When it is time for the next look. Locked as long as one is under way, which nobody waits for.
struct Looks(Arc<Mutex<Instant>>);

impl Looks {
    /// The next look, if it is time for it and none is under way. It ends with what this returns.
    fn begin(&self, now: Instant) -> Option<OwnedMutexGuard<Instant>> {
        let mut next = Arc::clone(&self.0).try_lock_owned().ok().filter(|next| **next <= now)?;
        *next = now + EVERY;
        Some(next)
    }

    /// When it is worth to ask again.
    fn next(&self, now: Instant) -> Instant {
        self.0.try_lock().map_or(now + EVERY, |next| *next)
    }
}

impl Ahead {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self { delivery, looks: Looks(Arc::new(Mutex::new(Instant::now()))) }
    }

    /// When it is time to look, if anybody should be told of anything.
    pub(super) fn due(&self, lanes: &Lanes) -> Option<Instant> {
        let steady_at = self.delivery.roster.steady_at().filter(|_| lanes.has_hot())?;
        Some(steady_at.max(self.looks.next(Instant::now())))
    }

    /// Tells agents that have had no room for some time what they are likely to be given next. Returns
    /// at once: free slots do not wait for a hint.
    pub(super) fn look(&self, lanes: &Lanes) {
        let Some(mut next) = self.looks.begin(Instant::now()) else { return };
        let (agents, mut hot) = self.delivery.roster.crowded(lanes.hot());
        if hot.is_empty() {
            return;
        }
        let depth = narrow(&mut hot, agents);
        let cursors = lanes.cursors(hot.iter().map(|view| view.lane));
        let (delivery, stop) = (self.delivery.clone(), self.delivery.shutdown.token());
        // One at a time.
        self.delivery.shutdown.spawn("look ahead", async move {
            let told = delivery.foretell(&cursors, &hot, depth);
            if let Some(Err(error)) = stop.run_until_cancelled(told).await {
                warn!(error = errors::chain(&error), "cannot look ahead");
            }
            *next = Instant::now() + EVERY;
        });
    }
}

/// Which of these lanes are looked into, and how deep.
fn narrow(lanes: &mut Vec<LaneView>, agents: usize) -> usize {
    lanes.sort_by_key(|lane| Reverse(lane.priority));
    lanes.truncate(LANES);
    DEPTH.min(2 * agents).min(TASKS / lanes.len().max(1))
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
    /// Tells agents what of the first `depth` rows of these lanes they may be given next.
    async fn foretell(
        &self,
        cursors: &[(LaneId, i64)],
        lanes: &[LaneView],
        depth: usize,
    ) -> Result<(), StoreError> {
        let rows = self.store.upcoming(cursors, depth).await?;
        let guesses = self.roster.guess(&in_order(rows, lanes));
        if guesses.is_empty() {
            return Ok(());
        }
        let tasks: Vec<TaskKey> = guesses.iter().map(|(_, task)| *task).collect();
        let sources = self.store.sources(&tasks).await?;
        let merged = sources.iter().filter(|(_, sources)| sources.len() > 1);
        let merged: Vec<JobId> = merged.map(|((job, _), _)| *job).collect();
        let rules = match merged.is_empty() {
            true => HashMap::new(),
            false => self.store.conflict_rules(&merged).await?,
        };
        for (session, task) in guesses {
            let Some(sources) = sources.get(&task) else { continue };
            let on_conflict = convert::conflict_rule(rules.get(&task.0).map(String::as_str));
            match self.input(task, sources.clone(), on_conflict).await {
                Ok(input) if input.content.is_some() => {
                    debug!(job.id = %task.0, task = %task.1, session.id = %session, "foretold");
                    let input = Some(convert::snapshot(&input));
                    self.roster.send(session, Message::Prefetch(Prefetch { input }));
                }
                Ok(_) => {}
                Err(Unfit::Fails(why) | Unfit::Waits(why)) => {
                    debug!(job.id = %task.0, task = %task.1, why, "no files to fetch ahead");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use postq_common::{
        place::Kind,
        spec::{Executor, Needs},
    };

    use super::*;

    #[test]
    fn the_more_lanes_there_are_the_less_deep_each_is_looked_into() {
        let kind = Kind { executor: Executor::Shell, handler: None, needs: Needs::default() };
        let kind = Arc::new(kind);
        let narrowed = |count: i64, agents| {
            let lane = |n: i64| LaneView { lane: LaneId(n), priority: 0, kind: kind.clone() };
            let mut lanes: Vec<_> = (0..count).map(lane).collect();
            lanes.push(LaneView { priority: 1, ..lane(count) });
            let depth = narrow(&mut lanes, agents);
            assert_eq!(lanes[0].lane, LaneId(count));
            (lanes.len(), depth)
        };
        assert_eq!(narrowed(0, 3), (1, 6));
        assert_eq!(narrowed(0, 99), (1, DEPTH));
        assert_eq!(narrowed(63, 99), (64, 16));
        assert_eq!(narrowed(999, 99), (LANES, 4));
    }

    #[test]
    fn one_look_is_under_way_at_a_time_and_the_next_is_counted_from_its_end() {
        let start = Instant::now();
        let looks = Looks(Arc::new(Mutex::new(start)));
        let mut look = looks.begin(start).unwrap();
        let end = start + 5 * EVERY;
        assert!(looks.begin(end).is_none(), "one is under way");
        assert_eq!(looks.next(end), end + EVERY);
        *look = end + EVERY;
        drop(look);
        assert_eq!(looks.next(end), end + EVERY);
        assert!(looks.begin(end).is_none(), "too soon");
        assert!(looks.begin(end + EVERY).is_some());
    }
}
