//! The agents connected to this coordinator: their free slots, what they hold, and the way to them.
//!
//! It decides nothing and knows no SQL. Invariant: a slot is counted as taken from before its
//! attempt is claimed in the database until its end was recorded there.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use postq_common::{
    id::{AgentId, AttemptId, LaneId, SessionId},
    place::{self, LaneView},
    spec::Executor,
};
use postq_proto::v1::{ConnectResponse, WhatDoYouHold, connect_response::Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

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
    /// What it runs them in.
    pub executors: HashSet<Executor>,
    /// The functions it has.
    pub handlers: HashSet<String>,
    /// What it holds already.
    pub open: HashSet<AttemptId>,
    /// The way to it.
    pub outbox: mpsc::Sender<Result<ConnectResponse, tonic::Status>>,
    /// Ends its stream.
    pub closed: CancellationToken,
}

#[derive(Debug)]
struct Entry {
    seat: Seat,
    /// Slots promised to a claim under way.
    reserved: u32,
    /// Claimed, but not on the stream yet: not to be missed when the agent says what it holds.
    preparing: HashSet<AttemptId>,
    /// Told to stop.
    cancelled: HashSet<AttemptId>,
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
        let entry =
            Entry { seat, reserved: 0, preparing: HashSet::new(), cancelled: HashSet::new() };
        entries.insert(session, entry);
    }

    /// Ends one stream, so that its agent comes anew and both sides compare what they hold.
    pub fn close(&self, session: SessionId) {
        if let Some(entry) = self.lock().get(&session) {
            entry.seat.closed.cancel();
        }
    }

    /// Sets what a session holds to what the database has open for its agent.
    pub fn correct(&self, session: SessionId, open: HashSet<AttemptId>) {
        if let Some(entry) = self.lock().get_mut(&session) {
            entry.seat.open = open.difference(&entry.preparing).copied().collect();
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
            .map(|(session, entry)| place::Capacity {
                session: *session,
                free: entry.free(),
                executors: &entry.seat.executors,
                handlers: &entry.seat.handlers,
            })
            .filter(|capacity| capacity.free > 0)
            .collect();
        let offers = place::place(lanes, &capacities, max_slots, turn);
        for (_, session) in &offers {
            if let Some(entry) = entries.get_mut(session) {
                entry.reserved += 1;
            }
        }
        offers
    }

    /// Ends the reservation of a claim and notes what it took, which is on its way now.
    pub fn settle(&self, offers: &[(LaneId, SessionId)], taken: &[(SessionId, AttemptId)]) {
        let mut entries = self.lock();
        for (_, session) in offers {
            if let Some(entry) = entries.get_mut(session) {
                entry.reserved = entry.reserved.saturating_sub(1);
            }
        }
        for (session, attempt) in taken {
            if let Some(entry) = entries.get_mut(session) {
                entry.preparing.insert(*attempt);
            }
        }
    }

    /// Sends an attempt to its agent. False where the session is gone or was closed hereby.
    pub fn assign(&self, session: SessionId, attempt: AttemptId, message: Message) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&session) else { return false };
        entry.preparing.remove(&attempt);
        entry.seat.open.insert(attempt);
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
        }
    }

    /// Whether an attempt may have been claimed for the session without being on its stream yet.
    pub fn is_preparing(&self, session: SessionId, attempt: AttemptId) -> bool {
        let entries = self.lock();
        entries.get(&session).is_some_and(|e| e.reserved > 0 || e.preparing.contains(&attempt))
    }

    /// Whether an attempt was claimed for the session and is not on its stream yet.
    pub fn is_waiting(&self, session: SessionId, attempt: AttemptId) -> bool {
        self.lock().get(&session).is_some_and(|entry| entry.preparing.contains(&attempt))
    }

    /// Tells an agent to stop an attempt, once.
    pub fn cancel(&self, agent: AgentId, attempt: AttemptId, reason: &str) {
        let mut entries = self.lock();
        let Some(entry) = entries.values_mut().find(|entry| entry.seat.agent == agent) else {
            return;
        };
        // One still on its way here is told at the next beat.
        if entry.seat.open.contains(&attempt) && entry.cancelled.insert(attempt) {
            entry.send(Message::Cancel(postq_proto::v1::Cancel {
                attempt: attempt.0,
                reason: reason.to_owned(),
            }));
        }
    }

    /// Ends every stream.
    pub fn close_all(&self) {
        self.lock().values().for_each(|entry| entry.seat.closed.cancel());
    }
}

impl Entry {
    fn free(&self) -> u32 {
        let taken = self.seat.open.len() + self.preparing.len();
        self.seat
            .slots
            .saturating_sub(self.reserved)
            .saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    fn send(&self, message: Message) -> bool {
        let sent =
            self.seat.outbox.try_send(Ok(ConnectResponse { message: Some(message) })).is_ok();
        if !sent {
            warn!(agent.name = self.seat.name, "the agent does not read its stream; closing it");
            self.seat.closed.cancel();
        }
        sent
    }
}
