//! The loop that claims ready tasks for free slots.
//!
//! It looks by itself as long as it finds something; with nothing to do it registers as sleeping,
//! looks once more, and waits for a hint, a free slot or the safety pass. Invariant: whatever is
//! claimed is handed to [`Delivery`]; an answer that was lost is found when agents are asked what
//! they hold.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use postq_common::id::{CoordinatorId, LaneId, SessionId};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Delivery, Roster, ahead::Ahead, lanes::Lanes};
use crate::{
    errors,
    metrics::Metrics,
    signals::Signals,
    store::{ClaimRequest, Claimed, Readied, Store, StoreError},
};

/// Most slots offered in one claim: keeps the statement in the low milliseconds.
const MAX_SLOTS: usize = 512;
/// How often every lane is read again from its floor, while there is work and while there is none.
const SAFETY_PASS: Duration = Duration::from_secs(2);
const IDLE_SAFETY_PASS: Duration = Duration::from_secs(5);
/// The pause after a claim that failed; it may have made attempts that are to be found.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// After finding nothing, it looks again so often before it goes to sleep.
const IDLE_BEFORE_SLEEP: Duration = Duration::from_secs(1);
/// The pause between two looks of a dispatcher that is awake and finds nothing.
const LOOK: Duration = Duration::from_millis(20);
/// Wake-ups that wait to be read; each is worth at most one look, so a full channel loses nothing
/// that the next safety pass would not find.
const WAKES: usize = 4096;

/// Something that may have changed what can be claimed.
#[derive(Clone, Copy, Debug)]
pub enum Wake {
    /// A lane has rows from this seq on.
    Readied(Readied),
    /// A slot became free or an agent arrived.
    Slot,
    /// Hints may have been missed.
    Rewind,
}

/// The handle by which others wake the dispatcher.
#[derive(Clone, Debug)]
pub struct Wakes(mpsc::Sender<Wake>);

impl Wakes {
    /// Wakes it. Never waits.
    pub fn wake(&self, wake: Wake) {
        // Full: it is awake, and the safety pass finds the rest.
        let _ = self.0.try_send(wake);
    }

    /// Wakes it for lanes that have new rows.
    pub fn readied(&self, ready: &[Readied]) {
        ready.iter().for_each(|readied| self.wake(Wake::Readied(*readied)));
    }
}

/// What one look found.
enum Look {
    /// Nothing to offer, or nobody to offer it to.
    Nothing,
    /// Slots were offered to lanes that had nothing; they are cold now.
    Empty,
    /// Attempts were made.
    Found,
}

/// The way to wake the dispatcher, and its ear.
pub fn wakes() -> (Wakes, mpsc::Receiver<Wake>) {
    let (sender, receiver) = mpsc::channel(WAKES);
    (Wakes(sender), receiver)
}

/// The loop's state.
pub struct Dispatcher {
    id: CoordinatorId,
    store: Store,
    roster: Arc<Roster>,
    delivery: Delivery,
    ahead: Ahead,
    signals: Arc<Signals>,
    metrics: Arc<Metrics>,
    wakes: mpsc::Receiver<Wake>,
    lanes: Lanes,
    turn: usize,
    is_registered_asleep: bool,
}

impl Dispatcher {
    /// A dispatcher that has not looked yet.
    pub fn new(
        id: CoordinatorId,
        store: Store,
        roster: Arc<Roster>,
        metrics: Arc<Metrics>,
        delivery: Delivery,
        signals: Arc<Signals>,
        wakes: mpsc::Receiver<Wake>,
    ) -> Self {
        let lanes = Lanes::new();
        let ahead = Ahead::new(delivery.clone());
        Self {
            id,
            store,
            roster,
            delivery,
            ahead,
            signals,
            metrics,
            wakes,
            lanes,
            turn: 0,
            is_registered_asleep: false,
        }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut next_safety = Instant::now();
        let mut last_find = Instant::now();
        while !stop.is_cancelled() {
            if next_safety <= Instant::now() {
                self.refresh_lanes().await;
                let period = if self.is_registered_asleep { IDLE_SAFETY_PASS } else { SAFETY_PASS };
                next_safety = Instant::now() + period;
            }
            self.read_wakes().await;
            match self.look().await {
                Ok(Look::Nothing) => {}
                Ok(Look::Empty) => continue,
                Ok(Look::Found) => {
                    last_find = Instant::now();
                    self.register(false).await;
                    continue;
                }
                Err(error) => {
                    error!(error = errors::chain(&error), "claim failed");
                    self.roster.ask_everyone();
                    next_safety = next_safety.min(Instant::now() + AFTER_ERROR);
                }
            }
            self.ahead.look(&self.lanes);
            let is_idle = last_find.elapsed() > IDLE_BEFORE_SLEEP;
            if is_idle && self.register(true).await {
                // What came between the last look and the registration was not hinted.
                self.refresh_lanes().await;
                continue;
            }
            let next =
                if is_idle { self.ahead.due(&self.lanes) } else { Some(Instant::now() + LOOK) };
            let pause = next.map_or(next_safety, |next| next.min(next_safety));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep_until(pause) => {
                    if !is_idle {
                        self.peek().await;
                    }
                }
                Some(wake) = self.wakes.recv() => self.note(wake).await,
            }
        }
        self.register(false).await;
    }

    /// One claim. Lanes that gave less than they were offered are cold afterwards, so that the slots
    /// go to the next ones: looking on while something is offered comes to an end.
    async fn look(&mut self) -> Result<Look, StoreError> {
        let aging = self.lanes.aging();
        if !aging.is_empty() && self.roster.count().0 > 0 {
            self.lanes.aged(&self.store.heads(&aging).await?);
        }
        let hot = self.lanes.hot();
        if hot.is_empty() {
            return Ok(Look::Nothing);
        }
        self.turn = self.turn.wrapping_add(1);
        let offers = self.roster.offer(&hot, MAX_SLOTS, self.turn);
        if offers.is_empty() {
            return Ok(Look::Nothing);
        }
        let request = ClaimRequest {
            lanes: self.lanes.cursors(offers.iter().map(|(lane, _)| *lane)),
            slots: offers.clone(),
        };
        let started = Instant::now();
        let answer = self.store.claim(&request).await;
        let claimed = answer.as_deref().unwrap_or_default();
        self.roster.settle(&offers, claimed);
        let claimed: Vec<Claimed> = answer?;
        self.lanes.took(&counts(&offers), &claimed);
        self.metrics.claimed(claimed.len(), started.elapsed());
        debug!(offered = offers.len(), claimed = claimed.len(), "claim");
        if claimed.is_empty() {
            return Ok(Look::Empty);
        }
        self.delivery.deliver(claimed);
        Ok(Look::Found)
    }

    /// What others made ready was not hinted while nobody slept.
    async fn peek(&mut self) {
        match self.store.peek(&self.lanes.all_cursors()).await {
            Ok(lanes) => self.lanes.heat(&lanes),
            Err(error) => error!(error = errors::chain(&error), "cannot look at the lanes"),
        }
    }

    async fn read_wakes(&mut self) {
        while let Ok(wake) = self.wakes.try_recv() {
            self.note(wake).await;
        }
    }

    async fn note(&mut self, wake: Wake) {
        match wake {
            Wake::Readied(readied) => {
                if !self.lanes.readied(readied) {
                    self.refresh_lanes().await;
                    self.lanes.readied(readied);
                }
            }
            Wake::Slot => {}
            Wake::Rewind => self.refresh_lanes().await,
        }
    }

    async fn refresh_lanes(&mut self) {
        match self.store.lanes().await {
            Ok(lanes) => {
                if self.lanes.refresh(lanes) {
                    self.signals.waiting.notify_one();
                }
            }
            Err(error) => error!(error = errors::chain(&error), "cannot read the lanes"),
        }
    }

    /// Tells the database whether this coordinator sleeps. True where that is news.
    async fn register(&mut self, is_sleeping: bool) -> bool {
        if self.is_registered_asleep == is_sleeping {
            return false;
        }
        match self.store.doze(self.id, is_sleeping).await {
            Ok(()) => {
                self.is_registered_asleep = is_sleeping;
                true
            }
            Err(error) => {
                error!(error = errors::chain(&error), "cannot register as sleeping");
                false
            }
        }
    }
}

fn counts(offers: &[(LaneId, SessionId)]) -> Vec<(LaneId, usize)> {
    let mut counts: BTreeMap<LaneId, usize> = BTreeMap::new();
    for (lane, _) in offers {
        *counts.entry(*lane).or_default() += 1;
    }
    counts.into_iter().collect()
}
