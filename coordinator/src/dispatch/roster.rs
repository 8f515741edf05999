//! The agents connected to this coordinator: their free slots, what they hold, and the way to them.
//!
//! It decides nothing and knows no SQL. Invariant: a slot is counted as taken from before its
//! attempt is claimed in the database until its end was recorded there.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use postq_common::{
    ahead::{self, Busy, TaskKey, Upcoming},
    id::{AgentId, AttemptId, LaneId, SessionId},
    place::{self, Abilities, LaneView},
    spec::Resources,
};
use postq_proto::v1::{ConnectResponse, Drain, WhatDoYouHold, connect_response::Message};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{pace::Pace, words::say};
use crate::store::Claimed;

/// Words on their way to one agent: a few per slot, so a full channel means an agent that does not
/// read, and its session is closed.
pub(super) const OUTBOX: usize = 4096;

/// What a session is entered with.
#[derive(Debug)]
pub struct Seat {
    /// Whose.
    pub agent: AgentId,
    /// For people.
    pub name: String,
    /// How many attempts it runs at once.
    pub slots: u32,
    /// What it has.
    pub abilities: Abilities,
    /// It makes use of a guess what comes next.
    pub fetches_ahead: bool,
    /// What it holds already, and what that takes.
    pub open: HashMap<AttemptId, Resources>,
    /// The way to it.
    pub outbox: mpsc::Sender<Result<ConnectResponse, tonic::Status>>,
    /// Ends its stream.
    pub closed: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    seat: Seat,
    /// Slots promised to a claim under way, and what would be taken with each.
    reserved: Vec<(LaneId, Resources)>,
    /// Claimed, but not on the stream yet: not to be missed when the agent says what it holds.
    preparing: HashMap<AttemptId, Resources>,
    /// Told to stop.
    cancelled: HashSet<AttemptId>,
    /// Told to leave.
    is_draining: bool,
    pace: Pace,
}

/// The agents connected here. Shared by sessions, dispatcher and committer.
#[derive(Debug, Default)]
pub struct Roster {
    entries: Mutex<HashMap<SessionId, Entry>>,
}

impl Roster {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        // Nothing in here can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session; an older one of the same agent is closed, and so is this one where it is
    /// itself the older.
    pub fn enter(&self, session: SessionId, seat: Seat) {
        let mut entries = self.lock();
        if entries.iter().any(|(other, old)| old.seat.agent == seat.agent && *other > session) {
            seat.closed.cancel();
            return;
        }
        entries.retain(|_, old| {
            if old.seat.agent == seat.agent {
                old.seat.closed.cancel();
            }
            old.seat.agent != seat.agent
        });
        entries.insert(session, Entry::new(seat));
    }

    /// Ends one stream, so that its agent comes anew and both sides compare what they hold.
    pub fn close(&self, session: SessionId) {
        if let Some(entry) = self.lock().get(&session) {
            entry.seat.closed.cancel();
        }
    }

    /// Sets what a session holds to what the database has open for its agent.
    pub fn correct(&self, session: SessionId, mut open: HashMap<AttemptId, Resources>) {
        if let Some(entry) = self.lock().get_mut(&session) {
            open.retain(|attempt, _| !entry.preparing.contains_key(attempt));
            entry.seat.open = open;
        }
    }

    /// The sessions that are here.
    pub fn sessions(&self) -> HashSet<SessionId> {
        self.lock().keys().copied().collect()
    }

    /// Takes a session out.
    pub fn leave(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    /// How many agents are connected, and their slots in use.
    pub fn count(&self) -> (usize, usize) {
        let entries = self.lock();
        (entries.len(), entries.values().map(|e| e.seat.open.len() + e.preparing.len()).sum())
    }

    /// Offers free slots to the lanes and reserves them until [`Roster::settle`].
    pub fn offer(
        &self,
        lanes: &[LaneView],
        max_slots: usize,
        turn: usize,
    ) -> Vec<(LaneId, SessionId)> {
        let mut entries = self.lock();
        let capacities: Vec<place::Capacity<'_>> = entries
            .iter()
            .map(|(session, entry)| entry.capacity(*session))
            .filter(|capacity| capacity.free > 0)
            .collect();
        let offers = place::place(lanes, &capacities, max_slots, turn);
        for (lane, session) in &offers {
            let view = lanes.iter().find(|view| view.lane == *lane);
            if let (Some(entry), Some(view)) = (entries.get_mut(session), view) {
                entry.reserved.push((*lane, view.kind.needs.resources.clone()));
            }
        }
        offers
    }

    /// Ends the reservation of a claim and notes what it took, which is on its way now.
    pub fn settle(&self, offers: &[(LaneId, SessionId)], claimed: &[Claimed]) {
        let mut entries = self.lock();
        for row in claimed {
            if let Some(entry) = entries.get_mut(&row.session) {
                let resources = entry.unreserve(row.lane);
                entry.preparing.insert(row.attempt, resources);
                entry.pace.begun(Instant::now());
            }
        }
        // One claim is under way at a time: what is still reserved was offered in vain.
        for (_, session) in offers {
            if let Some(entry) = entries.get_mut(session) {
                entry.reserved.clear();
            }
        }
    }

    /// Sends an attempt to its agent. False where the session is gone or was closed hereby.
    pub fn assign(&self, session: SessionId, attempt: AttemptId, message: Message) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&session) else { return false };
        let resources = entry.preparing.remove(&attempt).unwrap_or_default();
        entry.seat.open.insert(attempt, resources);
        // What it was told since the claim it no longer fetches: this task's files come first.
        entry.pace.begun(Instant::now());
        entry.send(message)
    }

    /// Sends a word to an agent's session.
    pub fn send(&self, session: SessionId, message: Message) -> bool {
        self.lock().get(&session).is_some_and(|entry| entry.send(message))
    }

    /// Asks every agent what it holds: a claim's answer was lost.
    pub fn ask_everyone(&self) {
        for entry in self.lock().values() {
            entry.send(Message::WhatDoYouHold(WhatDoYouHold { question: 0 }));
        }
    }

    /// Frees the slot of an attempt that ended.
    pub fn close_attempt(&self, session: SessionId, attempt: AttemptId) {
        if let Some(entry) = self.lock().get_mut(&session) {
            entry.seat.open.remove(&attempt);
            entry.preparing.remove(&attempt);
            entry.cancelled.remove(&attempt);
            entry.pace.ended(Instant::now());
        }
    }

    /// Whether an attempt may have been claimed for the session without being on its stream yet.
    pub fn is_preparing(&self, session: SessionId, attempt: AttemptId) -> bool {
        let entries = self.lock();
        entries.get(&session).is_some_and(|entry| {
            !entry.reserved.is_empty() || entry.preparing.contains_key(&attempt)
        })
    }

    /// Whether an attempt was claimed for the session and is not on its stream yet.
    pub fn is_waiting(&self, session: SessionId, attempt: AttemptId) -> bool {
        self.lock().get(&session).is_some_and(|entry| entry.preparing.contains_key(&attempt))
    }

    /// Tells an agent to stop an attempt, once.
    pub fn cancel(&self, agent: AgentId, attempt: AttemptId, reason: &str) {
        let mut entries = self.lock();
        let Some(entry) = entries.values_mut().find(|entry| entry.seat.agent == agent) else {
            return;
        };
        // One still on its way here is told at the next beat.
        if entry.seat.open.contains_key(&attempt) && entry.cancelled.insert(attempt) {
            entry.send(Message::Cancel(postq_proto::v1::Cancel {
                attempt: attempt.0,
                reason: reason.to_owned(),
            }));
        }
    }

    /// Tells an agent to leave, once, and offers it nothing from here on. `timeout`: instead of its
    /// own.
    pub fn drain(&self, agent: AgentId, timeout: Option<Duration>) {
        let mut entries = self.lock();
        let entry = entries.values_mut().find(|entry| entry.seat.agent == agent);
        if let Some(entry) = entry.filter(|entry| !entry.is_draining) {
            entry.is_draining = true;
            let timeout = timeout.map(Into::into);
            entry.send(Message::Drain(Drain { timeout }));
        }
    }

    /// When the next agent has been busy for so long that it may be told what comes next.
    pub fn steady_at(&self) -> Option<Instant> {
        self.lock().values().filter_map(Entry::steady_at).min()
    }

    /// How many steady agents could run tasks of these lanes but have no room, and of which lanes.
    pub fn crowded(&self, lanes: Vec<LaneView>) -> (usize, Vec<LaneView>) {
        let entries = self.lock();
        let agents: Vec<Busy<'_>> = steady(&entries, Instant::now());
        let lacks = |lane: &LaneView| agents.iter().any(|agent| agent.lacks_room(&lane.kind));
        (agents.len(), lanes.into_iter().filter(lacks).collect())
    }

    /// Which of these tasks each steady agent is to be told of; each is told of a task once.
    pub fn guess(&self, waiting: &[Upcoming]) -> Vec<(SessionId, TaskKey)> {
        let mut entries = self.lock();
        let now = Instant::now();
        let guesses = ahead::guess(waiting, &steady(&entries, now));
        for (session, task) in &guesses {
            if let Some(entry) = entries.get_mut(session) {
                entry.pace.tell(*task, now);
            }
        }
        guesses
    }

    /// Ends every stream.
    pub fn close_all(&self) {
        self.lock().values().for_each(|entry| entry.seat.closed.cancel());
    }
}

/// The agents that may be told what comes next, those first that have run the same for longest.
fn steady(entries: &HashMap<SessionId, Entry>, now: Instant) -> Vec<Busy<'_>> {
    let is_steady = |entry: &Entry| entry.steady_at().is_some_and(|at| at <= now);
    let mut steady: Vec<_> = entries.iter().filter(|(_, entry)| is_steady(entry)).collect();
    steady.sort_by_key(|(session, entry)| (entry.pace.changed_at(), **session));
    steady.into_iter().map(|(session, entry)| entry.busy(*session, now)).collect()
}

impl Entry {
    fn new(seat: Seat) -> Self {
        Self {
            seat,
            reserved: Vec::new(),
            preparing: HashMap::new(),
            cancelled: HashSet::new(),
            is_draining: false,
            pace: Pace::new(Instant::now()),
        }
    }

    fn capacity(&self, session: SessionId) -> place::Capacity<'_> {
        place::Capacity {
            session,
            free: self.free(),
            abilities: &self.seat.abilities,
            taken: self.taken(),
        }
    }

    fn busy(&self, session: SessionId, now: Instant) -> Busy<'_> {
        Busy {
            agent: self.seat.agent,
            capacity: self.capacity(session),
            told: self.pace.told(),
            may_be_told: self.pace.may_be_told(now),
        }
    }

    /// From when on it is steady, if nothing changes; none where it has nothing to do, or is to do nothing.
    fn steady_at(&self) -> Option<Instant> {
        let is_busy = !self.seat.open.is_empty() || !self.preparing.is_empty();
        let is_asked = self.seat.fetches_ahead && self.seat.slots > 0 && !self.is_draining;
        (is_asked && is_busy).then(|| self.pace.steady_at())
    }

    fn free(&self) -> u32 {
        if self.is_draining {
            return 0;
        }
        let taken = self.seat.open.len() + self.preparing.len() + self.reserved.len();
        self.seat.slots.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// What all that it holds or may be about to get takes.
    fn taken(&self) -> Resources {
        let reserved = self.reserved.iter().map(|(_, resources)| resources);
        let all = self.seat.open.values().chain(self.preparing.values()).chain(reserved);
        let mut sum = Resources::new();
        for (name, amount) in all.flatten() {
            *sum.entry(name.clone()).or_default() += amount;
        }
        sum
    }

    /// Ends the reservation of one slot for a lane.
    fn unreserve(&mut self, lane: LaneId) -> Resources {
        let at = self.reserved.iter().position(|(reserved, _)| *reserved == lane);
        at.map(|at| self.reserved.swap_remove(at).1).unwrap_or_default()
    }

    fn send(&self, message: Message) -> bool {
        let sent = self.seat.outbox.try_send(Ok(say(message))).is_ok();
        if !sent {
            warn!(agent.name = self.seat.name, "the agent does not read its stream; closing it");
            self.seat.closed.cancel();
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postq_common::{
        id::{JobId, TaskNumber},
        place::Kind,
        spec::{Executor, Needs},
    };
    use postq_proto::v1::Assignment;
    use uuid::Uuid;

    use super::*;

    fn seat(outbox: mpsc::Sender<Result<ConnectResponse, tonic::Status>>) -> Seat {
        Seat {
            agent: AgentId(Uuid::nil()),
            name: "a".into(),
            slots: 1,
            abilities: Abilities { executors: [Executor::Shell].into(), ..Abilities::default() },
            fetches_ahead: true,
            open: HashMap::new(),
            outbox,
            closed: CancellationToken::new(),
        }
    }

    #[test]
    fn what_was_told_between_claim_and_assignment_is_told_again() {
        let ((outbox, _inbox), roster, session) = (mpsc::channel(8), Roster::new(), SessionId(1));
        roster.enter(session, seat(outbox));
        let long_ago = Instant::now() - Duration::from_secs(9);
        {
            let mut entries = roster.lock();
            let entry = entries.get_mut(&session).unwrap();
            entry.preparing.insert(AttemptId(1), Resources::new());
            entry.pace = Pace::new(long_ago);
            // It has long tasks.
            entry.pace.ended(long_ago + Duration::from_secs(2));
        }
        let kind = Kind { executor: Executor::Shell, handler: None, needs: Needs::default() };
        let task = (JobId(Uuid::nil()), TaskNumber(7));
        let waiting = [Upcoming { task, kind: Arc::new(kind), prefer: None }];
        assert_eq!(roster.guess(&waiting), [(session, task)]);
        assert_eq!(roster.guess(&waiting), []);
        let assignment = Message::Assignment(Assignment::default());
        assert!(roster.assign(session, AttemptId(1), assignment));
        assert_eq!(roster.guess(&waiting), [(session, task)]);
    }
}
