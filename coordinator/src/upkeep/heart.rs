//! The beat: this coordinator's sign of life, its observation of the others, and what the database
//! says is waiting. Also the ends of attempts that nobody is left to end.
//!
//! Liveness is judged by observation, never by comparing clocks: a coordinator is dead whose beat
//! has not moved for `DEAD_AFTER` of the observer's own time, during which the observer's own
//! statements succeeded. After a gap in its own database service it starts over.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use postq_common::{
    id::{AgentId, AttemptId, CoordinatorId, SessionId},
    state::Outcome,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    dispatch::{Finishes, Roster},
    errors,
    signals::Signals,
    store::{AttemptKey, Beat, Drain, Finish, Store},
};

/// The period of the beat.
const PERIOD: Duration = Duration::from_secs(2);
/// A coordinator is dead whose beat stands still for so long.
const DEAD_AFTER: Duration = Duration::from_secs(8);
/// Longer than this between two beats of its own that succeeded, and the observer starts over.
const GAP: Duration = Duration::from_secs(5);
/// A session that is not here is ended after so long.
const STRANGER_FOR: Duration = Duration::from_secs(5);
/// What falls due within this time is waited for by the sweeper itself.
const SOON_MS: i64 = 2_500;

/// The heart's state.
pub struct Heart {
    id: CoordinatorId,
    host: String,
    store: Store,
    roster: Arc<Roster>,
    finishes: Finishes,
    signals: Arc<Signals>,
    others: HashMap<CoordinatorId, (i64, Instant)>,
    last_beat: Instant,
    orphans: HashSet<AttemptId>,
    /// Agents that are connected here in the database alone, since when.
    strangers: HashMap<SessionId, Instant>,
}

impl Heart {
    /// A heart that has not beaten yet.
    pub fn new(
        id: CoordinatorId,
        host: String,
        store: Store,
        roster: Arc<Roster>,
        finishes: Finishes,
        signals: Arc<Signals>,
    ) -> Self {
        let (others, orphans) = (HashMap::new(), HashSet::new());
        let last_beat = Instant::now();
        let strangers = HashMap::new();
        Self { id, host, store, roster, finishes, signals, others, last_beat, orphans, strangers }
    }

    /// Beats until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = period.tick() => self.beat().await,
                () = self.signals.cancels.notified() => {
                    self.read_cancels().await;
                    self.read_drains().await;
                }
            }
        }
    }

    async fn beat(&mut self) {
        match self.store.beat(self.id).await {
            Ok(Some(beat)) => {
                if self.last_beat.elapsed() > GAP {
                    self.others.clear();
                    self.orphans.clear();
                    self.strangers.clear();
                }
                self.last_beat = Instant::now();
                self.pass_on(&beat).await;
                self.observe(&beat.beats).await;
            }
            Ok(None) => self.enlist().await,
            Err(error) => error!(error = errors::chain(&error), "cannot beat"),
        }
    }

    /// Registers again: the others took this coordinator for dead and gave up its agents.
    async fn enlist(&mut self) {
        warn!("this coordinator was taken for dead; its agents are to come back");
        self.roster.close_all();
        self.others.clear();
        if let Err(error) = self.store.enlist(self.id, &self.host).await {
            error!(error = errors::chain(&error), "cannot register");
        }
    }

    async fn pass_on(&mut self, beat: &Beat) {
        for (left_ms, signal) in [
            (beat.due_ms, &self.signals.due),
            (beat.leases_ms, &self.signals.leases),
            (beat.deadlines_ms, &self.signals.deadlines),
            (beat.schedules_ms, &self.signals.schedules),
            (beat.deliveries_ms, &self.signals.deliveries),
        ] {
            if left_ms.is_some_and(|left| left < SOON_MS) {
                signal.notify_one();
            }
        }
        for (is_waiting, signal) in [
            (beat.submissions, &self.signals.submissions),
            (beat.inbox, &self.signals.inbox),
            (beat.parked, &self.signals.parked),
            (beat.openings, &self.signals.openings),
        ] {
            if is_waiting {
                signal.notify_one();
            }
        }
        for (agent, attempt) in &beat.cancels {
            self.roster.cancel(*agent, *attempt, CANCELLED);
        }
        self.pass_on_drains(&beat.drains);
        self.end_strangers(&beat.agents).await;
        match beat.orphans {
            true => self.end_orphans().await,
            false => self.orphans.clear(),
        }
    }

    /// Ends the sessions that the database has here and that are not here: their opening broke off.
    /// (Those whose agents have just gone are ended by themselves, sooner.)
    async fn end_strangers(&mut self, agents: &[(AgentId, SessionId)]) {
        let here = self.roster.sessions();
        self.strangers.retain(|known, _| agents.iter().any(|(_, session)| session == known));
        let now = Instant::now();
        for (agent, session) in agents.iter().filter(|(_, session)| !here.contains(session)) {
            let since = *self.strangers.entry(*session).or_insert(now);
            if since.elapsed() < STRANGER_FOR {
                continue;
            }
            match self.store.disconnect(*agent, *session).await {
                Ok(left) => self.lose(left, "its agent left while it was connecting").await,
                Err(error) => error!(error = errors::chain(&error), "cannot end a session"),
            }
        }
    }

    async fn read_cancels(&self) {
        match self.store.cancels(self.id).await {
            Ok(cancels) => {
                for (agent, attempt) in cancels {
                    self.roster.cancel(agent, attempt, CANCELLED);
                }
            }
            Err(error) => error!(error = errors::chain(&error), "cannot read what was cancelled"),
        }
    }

    async fn read_drains(&self) {
        match self.store.drains(self.id).await {
            Ok(drains) => self.pass_on_drains(&drains),
            Err(error) => error!(error = errors::chain(&error), "cannot read who is to leave"),
        }
    }

    fn pass_on_drains(&self, drains: &[Drain]) {
        for (agent, timeout_ms) in drains {
            let timeout_ms = timeout_ms.and_then(|ms| u64::try_from(ms).ok());
            self.roster.drain(*agent, timeout_ms.map(Duration::from_millis));
        }
    }

    /// Buries coordinators whose beat stands still.
    async fn observe(&mut self, beats: &[(CoordinatorId, i64)]) {
        let now = Instant::now();
        self.others.retain(|known, _| beats.iter().any(|(id, _)| id == known));
        let mut dead = Vec::new();
        for (id, beat) in beats.iter().filter(|(id, _)| *id != self.id) {
            let (known, since) = self.others.entry(*id).or_insert((*beat, now));
            if known != beat {
                (*known, *since) = (*beat, now);
            } else if since.elapsed() >= DEAD_AFTER {
                dead.push((*id, *beat));
            }
        }
        for (id, beat) in dead {
            self.others.remove(&id);
            match self.store.bury(id, beat).await {
                Ok(left) => {
                    warn!(coordinator.id = %id, attempts = left.len(), "coordinator dead");
                    self.lose(left, "its coordinator died and its agent did not come back").await;
                }
                Err(error) => error!(error = errors::chain(&error), "cannot bury a coordinator"),
            }
        }
    }

    /// Ends attempts that were orphans at the beat before as well.
    async fn end_orphans(&mut self) {
        let orphans = match self.store.orphans().await {
            Ok(orphans) => orphans,
            Err(error) => {
                error!(error = errors::chain(&error), "cannot look for orphans");
                return;
            }
        };
        let (known, new): (Vec<_>, Vec<_>) =
            orphans.into_iter().partition(|key| self.orphans.contains(&key.attempt));
        self.orphans = new.iter().map(|key| key.attempt).collect();
        if !known.is_empty() {
            info!(attempts = known.len(), "ending attempts that nobody was left to end");
            self.lose(known, "its agent left").await;
        }
    }

    async fn lose(&self, left: Vec<AttemptKey>, reason: &str) {
        let lost = left.into_iter().map(|key| Finish::bare(key, Outcome::Lost, reason));
        self.finishes.finish_all(lost).await;
    }
}

/// What an agent is told.
const CANCELLED: &str = "cancelled on request";
