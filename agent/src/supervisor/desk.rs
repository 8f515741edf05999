//! The one task that owns the list of attempts, and what each message does to it.
//!
//! It waits for nothing but disk writes that are under way, so it always answers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use postq_proto::{
    convert,
    v1::{self, ConnectRequest, connect_response::Message},
};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    time::Instant,
};
use tracing::{debug, info, warn};

use super::{
    StreamNumber,
    alone::{Alone, WhenAlone},
    disk::DiskWatch,
    entry::{Entry, Phase, Wait},
    leaving::{Leave, Stage},
    life::{self, Ending, Event, Life},
    outbox::{Item, Outbox, Stream},
    recovery::Recovered,
};
use crate::{
    attempt::{Runner, disk, held},
    ledger::Ledger,
    logs::Shelf,
    stop::{self, Stop},
};

/// Ends of attempts on their way to the desk; who finds it full waits.
const EVENTS: usize = 64;

/// Between two looks for reports that wait.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the session says to the desk.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new stream: say hello on it, and all that is unrecorded.
    Attach(Stream),
    /// Heard on that stream.
    Heard(StreamNumber, Box<Message>),
    /// That stream has ended.
    Detach(StreamNumber),
}

/// Who this agent is, for the hello.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Without `held`.
    pub(crate) hello: v1::Hello,
}

/// What a desk is made from.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) identity: Identity,
    pub(crate) runner: Runner,
    pub(crate) ledger: Ledger,
    pub(crate) drain_timeout: Duration,
    pub(crate) when_alone: WhenAlone,
    pub(crate) commands: Receiver<Command>,
    /// What an earlier life left to do.
    pub(crate) recovered: Recovered,
}

/// The list of attempts.
#[derive(Debug)]
pub(crate) struct Desk {
    identity: Identity,
    pub(super) runner: Runner,
    ledger: Ledger,
    shelf: Arc<Shelf>,
    pub(super) drain_timeout: Duration,
    pub(super) entries: BTreeMap<i64, Entry>,
    outbox: Outbox,
    disk: DiskWatch,
    alone: Alone,
    pub(super) stage: Stage,
    /// So that a coordinator can say it too.
    leave: Leave,
    commands: Receiver<Command>,
    events: Receiver<Event>,
    event_sender: Sender<Event>,
    /// Of an earlier life, to be gone on with.
    resumed: Vec<v1::Assignment>,
}

impl Desk {
    /// A desk that works once it is run.
    pub(crate) fn new(setup: Setup) -> Self {
        let (event_sender, events) = mpsc::channel(EVENTS);
        let entry = |report: v1::Report| {
            let of = report.of.clone()?;
            Some((of.attempt, Entry { of, phase: Phase::Reported(Box::new(report), Wait::New) }))
        };
        Self {
            identity: setup.identity,
            shelf: setup.runner.shelf.clone(),
            runner: setup.runner,
            ledger: setup.ledger,
            drain_timeout: setup.drain_timeout,
            entries: setup.recovered.reports.into_iter().filter_map(entry).collect(),
            resumed: setup.recovered.resumed,
            outbox: Outbox::default(),
            disk: DiskWatch::default(),
            alone: Alone::new(setup.when_alone),
            stage: Stage::Working,
            leave: Leave::default(),
            commands: setup.commands,
            events,
            event_sender,
        }
    }

    /// Works until the agent is to go and has nothing left that runs.
    pub(crate) async fn run(mut self, leave: Leave) {
        if let Err(error) = tokio::task::block_in_place(|| disk::probe(&self.attempts_dir())) {
            self.disk.failed(&error.to_string());
        }
        for assignment in std::mem::take(&mut self.resumed) {
            self.resume(assignment);
        }
        self.leave = leave.clone();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while !self.may_go() {
            tokio::select! {
                // In this order: what makes the agent leave counts before the next hello, and what
                // is to be said goes before what may make it grow.
                biased;
                () = leave.drain.cancelled(), if self.stage.is_working() => self.drain(),
                () = leave.now.cancelled(), if !self.is_told_now() => self.hand_back(true),
                () = self.stage.timeout() => self.stage_timed_out(),
                permit = self.outbox.room(), if self.outbox.has_work() => match permit {
                    Some(permit) => self.say(permit),
                    None => self.outbox.close(),
                },
                Some(event) = self.events.recv() => self.note(event),
                Some(command) = self.commands.recv() => self.obey(command).await,
                _ = looks.tick() => self.secure_reports(),
                () = self.disk.is_due() => self.probe_disk(),
                () = self.alone.is_over() => self.kill_exclusive(),
            }
        }
        let left = self.entries.len();
        info!(unrecorded = left, "agent stopped");
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Attach(stream) => {
                self.all_accepted().await;
                self.outbox.attach(stream);
                self.greet();
            }
            Command::Detach(number) => {
                self.alone.silent(Instant::now());
                self.outbox.detach(number);
            }
            Command::Heard(number, message) if self.outbox.is_current(number) => {
                self.alone.heard();
                self.hear(*message).await;
            }
            Command::Heard(..) => debug!("a word on a stream that was replaced is dropped"),
        }
    }

    fn greet(&mut self) {
        let mut hello = self.identity.hello.clone();
        hello.held = self.held();
        if self.takes_nothing().is_some() {
            hello.slots = 0;
        }
        self.outbox.push(Item::Hello(Box::new(hello)));
        for (&attempt, entry) in &self.entries {
            if entry.has_ended() {
                self.outbox.push(Item::Report(attempt));
            }
        }
    }

    /// Why nothing is begun now, if that is so.
    fn takes_nothing(&self) -> Option<&'static str> {
        if !self.stage.is_working() {
            return Some("the agent is stopping");
        }
        self.disk.is_paused().then_some("the disk of the agent fails")
    }

    async fn hear(&mut self, message: Message) {
        match message {
            Message::Assignment(assignment) => self.assign(assignment),
            Message::Cancel(cancel) => self.stop(cancel.attempt, Stop::Cancel(cancel.reason)),
            Message::Abandon(abandon) => self.abandon(abandon.attempt),
            Message::Recorded(recorded) => self.recorded(recorded.attempt),
            Message::WhatDoYouHold(asked) => {
                self.all_accepted().await;
                let held = self.held();
                let holding = v1::Holding { question: asked.question, held };
                self.outbox.push(Item::Holding(holding));
            }
            Message::Drain(drain) => self.told_to_drain(drain),
            Message::Prefetch(guess) => self.prefetch(guess),
            // The session has taken it.
            Message::Welcome(_) => {}
        }
    }

    /// Fetches what may come next. Nobody waits for it, and whatever becomes of it is no attempt's.
    fn prefetch(&self, guess: v1::Prefetch) {
        let Some(input) = guess.input.filter(|_| self.takes_nothing().is_none()) else { return };
        self.runner.shutdown.spawn("prefetch", self.runner.files.prefetch(&input));
    }

    fn told_to_drain(&mut self, drain: v1::Drain) {
        if !self.stage.is_working() {
            return;
        }
        info!("the coordinator tells this agent to leave");
        if let Some(Ok(timeout)) = drain.timeout.map(|timeout| convert::duration(&timeout)) {
            self.drain_timeout = timeout;
        }
        self.leave.drain.cancel();
    }

    fn assign(&mut self, assignment: v1::Assignment) {
        let (attempt, of) = (assignment.attempt, held(&assignment));
        if self.entries.contains_key(&attempt) {
            debug!(attempt.id = attempt, "assigned twice; the second is ignored");
            return;
        }
        self.alone.note(&assignment);
        let (handle, signal) = stop::channel();
        if let Some(why) = self.takes_nothing() {
            self.entries.insert(attempt, Entry { of: of.clone(), phase: Phase::Running(handle) });
            let refusal = life::refuse(of, why, signal, self.event_sender.clone());
            return self.runner.shutdown.spawn("refusal", refusal);
        }
        self.entries.insert(attempt, Entry { of, phase: Phase::Accepting(handle) });
        self.runner.shutdown.spawn("attempt", self.life().live(assignment, signal));
    }

    /// Goes on with an attempt of an earlier life, which is on disk.
    fn resume(&mut self, assignment: v1::Assignment) {
        let (handle, signal) = stop::channel();
        let entry = Entry { of: held(&assignment), phase: Phase::Running(handle) };
        self.entries.insert(assignment.attempt, entry);
        self.runner.shutdown.spawn("resumed attempt", self.life().resume(assignment, signal));
    }

    fn life(&self) -> Life {
        Life {
            runner: self.runner.clone(),
            ledger: self.ledger.clone(),
            events: self.event_sender.clone(),
            agent: self.identity.hello.name.as_str().into(),
        }
    }

    fn stop(&mut self, attempt: i64, stop: Stop) {
        if let Some(handle) = self.entries.get(&attempt).and_then(Entry::stop_handle) {
            handle.stop(stop);
        }
    }

    /// Nobody is heard, so somebody else may soon be given what runs here.
    fn kill_exclusive(&mut self) {
        for attempt in self.alone.take() {
            warn!(
                attempt.id = attempt,
                "no coordinator is heard; killed, as it must not overlap another"
            );
            self.stop(attempt, Stop::Alone);
        }
    }

    fn abandon(&mut self, attempt: i64) {
        let Some(entry) = self.entries.get_mut(&attempt) else { return };
        match entry.stop_handle() {
            Some(handle) => {
                warn!(attempt.id = attempt, "the coordinator disowns a running attempt; killed");
                handle.stop(Stop::Abandon);
                entry.phase = Phase::Abandoned;
            }
            None if entry.has_ended() => self.forget(attempt, false),
            None => {}
        }
    }

    fn recorded(&mut self, attempt: i64) {
        if self.entries.get(&attempt).is_some_and(Entry::has_ended) {
            self.forget(attempt, true);
        }
    }

    /// Drops the attempt from the list and from the disk; its output stays where it is wanted
    /// until it is pushed.
    fn forget(&mut self, attempt: i64, wants_output: bool) {
        self.entries.remove(&attempt);
        let (ledger, shelf) = (self.ledger.clone(), self.shelf.clone());
        self.runner.shutdown.spawn("forget", async move {
            let forgotten = tokio::task::block_in_place(|| {
                if wants_output {
                    shelf.release(attempt);
                } else {
                    shelf.discard(attempt);
                }
                ledger.forget(attempt)
            });
            // Not every attempt came so far as to have one.
            let dir = ledger.scratch_dir(attempt);
            if let Err(error) = forgotten
                && dir.parent().is_some_and(Path::exists)
            {
                warn!(attempt.id = attempt, %error, "its directory could not be removed");
            }
        });
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Accepted(attempt) => {
                if let Some(entry) = self.entries.remove(&attempt) {
                    let phase = match entry.phase {
                        Phase::Accepting(handle) => Phase::Running(handle),
                        other => other,
                    };
                    self.entries.insert(attempt, Entry { phase, ..entry });
                }
            }
            Event::Ended(ending) => self.ended(ending),
            Event::DiskFailed(why) => {
                self.runner.files.stop_prefetch();
                if self.disk.failed(&why) {
                    self.outbox.renew();
                }
            }
            Event::Probed(problem) => {
                if self.disk.probed(problem.as_deref()) {
                    self.outbox.renew();
                }
            }
        }
    }

    fn probe_disk(&mut self) {
        self.disk.begin_probe();
        let probe = life::probe(self.attempts_dir(), self.event_sender.clone());
        self.runner.shutdown.spawn("disk probe", probe);
    }

    /// Where attempts begin, each in a directory of its own.
    fn attempts_dir(&self) -> PathBuf {
        let scratch_dir = self.ledger.scratch_dir(0);
        let above = scratch_dir.ancestors().nth(2);
        above.expect("invariant: it lies in the attempt's directory, and that in theirs").to_owned()
    }

    fn ended(&mut self, Ending { attempt, report, is_on_disk }: Ending) {
        self.alone.forget(attempt);
        if is_on_disk {
            self.disk.worked();
        }
        let Some(entry) = self.entries.get_mut(&attempt) else { return };
        match (report, &entry.phase) {
            (Some(report), Phase::Accepting(_) | Phase::Running(_)) => {
                let wait = if is_on_disk { Wait::New } else { Wait::Unwritten };
                entry.phase = Phase::Reported(report, wait);
                self.outbox.push(Item::Report(attempt));
            }
            _ => self.forget(attempt, false),
        }
    }

    fn say(&mut self, permit: mpsc::OwnedPermit<ConnectRequest>) {
        let Some(item) = self.outbox.pop() else { return };
        let report_of = |attempt| match &self.entries.get(&attempt)?.phase {
            Phase::Reported(report, _) => Some(report.as_ref().clone()),
            _ => None,
        };
        if let Some(message) = item.into_message(report_of) {
            permit.send(message);
        }
    }

    fn held(&self) -> Vec<v1::Held> {
        let held = self.entries.values().filter(|entry| entry.is_held());
        held.map(|entry| entry.of.clone()).collect()
    }

    /// Waits until every assignment that was heard is on disk, so that the next word counts it.
    async fn all_accepted(&mut self) {
        while self.entries.values().any(Entry::is_accepting) {
            match self.events.recv().await {
                Some(event) => self.note(event),
                None => return,
            }
        }
    }

    /// Reports that were not recorded between two looks are made to outlast a loss of power.
    fn secure_reports(&mut self) {
        for (&attempt, entry) in &mut self.entries {
            let Phase::Reported(_, wait) = &mut entry.phase else { continue };
            if *wait == Wait::Long
                && let Err(error) = tokio::task::block_in_place(|| self.ledger.secure(attempt))
            {
                warn!(attempt.id = attempt, %error, "a waiting report is not safe on disk");
            }
            *wait = wait.on();
        }
    }
}
