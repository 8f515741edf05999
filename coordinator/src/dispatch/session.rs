//! One agent's stream: who it is, what both sides hold, reports in, words out.
//!
//! Invariant: nothing is claimed for a session before both sides have compared what they hold, and
//! an attempt that only the database knows is given back only when the agent has failed to name it
//! twice in a row (the first time it may just have been on its way).

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use postq_common::{
    id::{AgentId, AttemptId, CoordinatorId, SessionId},
    place::Abilities,
    spec::{Executor, Resources},
    state::Outcome,
};
use postq_proto::v1::{
    Abandon, ConnectRequest, ConnectResponse, Hello, Holding as HoldingMessage, Recorded, Report,
    Welcome, WhatDoYouHold, connect_request, connect_response::Message,
};
use postq_runtime::Shutdown;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{info, warn};
use uuid::Uuid;

use super::{Finishes, Roster, Wake, Wakes, roster::OUTBOX, roster::Seat, words::say};
use crate::{
    errors,
    signals::Signals,
    store::{AgentCard, AttemptKey, Finish, Holding, Store},
    wire::{convert, status},
};

/// How long a stream may say nothing at its beginning.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How often an agent is asked what it holds.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How long an agent whose stream broke may take to come back, here or elsewhere.
const COME_BACK_WITHIN: Duration = Duration::from_secs(3);

/// Words behind the first one of a message.
const MORE: usize = 1000;

/// Reports of one agent on their way to the committer: more than it has slots, as a rule.
const REPORTS: usize = 256;

/// What sessions need.
#[derive(Clone)]
pub struct Sessions {
    /// This coordinator.
    pub id: CoordinatorId,
    /// The database.
    pub store: Store,
    /// The agents connected here.
    pub roster: Arc<Roster>,
    /// The committer.
    pub finishes: Finishes,
    /// The dispatcher.
    pub wakes: Wakes,
    /// Who is told that agents come and go.
    pub signals: Arc<Signals>,
    /// Where sessions run.
    pub shutdown: Shutdown,
}

/// What the agent reads.
#[derive(Debug)]
pub struct Outbox {
    /// One message each.
    pub said: mpsc::Receiver<Result<ConnectResponse, Status>>,
    /// Whether it reads several in one.
    pub reads_more: bool,
}

impl Sessions {
    /// Opens a session for a new stream; it runs on its own from here.
    pub async fn open(&self, mut inbound: Streaming<ConnectRequest>) -> Result<Outbox, Status> {
        let hello = first_word(&mut inbound).await?;
        let card = card(&hello)?;
        let abilities = abilities(&card);
        let session = self.store.connect(self.id, &card).await.map_err(status::of_store)?;
        let held: Vec<AttemptId> = hello.held.iter().map(|held| AttemptId(held.attempt)).collect();
        let compared = self.store.adopt(card.id, session, &held).await.map_err(status::of_store)?;

        let (outbox, answers) = mpsc::channel(OUTBOX);
        let closed = CancellationToken::new();
        let mut open = HashMap::new();
        let mut gone = Vec::new();
        let mut first = vec![Message::Welcome(Welcome {
            session: session.0,
            coordinator: self.id.to_string(),
            reads_more: true,
        })];
        for holding in compared {
            match holding {
                Holding::Adopted(key, takes) => drop(open.insert(key.attempt, takes)),
                Holding::Missing(key) => gone.push(never_arrived(key)),
                Holding::Died(key) => gone.push(died(key)),
                Holding::Unknown(attempt) => {
                    first.push(Message::Abandon(Abandon { attempt: attempt.0 }));
                }
            }
        }
        for message in first {
            // The channel is new and larger than any agent's list; a full one closes the session.
            if outbox.try_send(Ok(say(message))).is_err() {
                return Err(Status::resource_exhausted("the agent holds too many attempts"));
            }
        }
        info!(
            agent.name = card.name, agent.id = %card.id, session.id = %session,
            adopted = open.len(), gone = gone.len(), "agent connected"
        );
        let seat = Seat {
            agent: card.id,
            name: card.name.clone(),
            slots: u32::try_from(card.slots).unwrap_or(0),
            abilities,
            fetches_ahead: hello.fetches_ahead,
            open,
            outbox,
            closed: closed.clone(),
        };
        self.finishes.finish_all(gone).await;

        let run = Session {
            all: self.clone(),
            agent: card.id,
            name: card.name,
            session,
            closed,
            suspects: HashSet::new(),
            question: 0,
            confirming: 0,
            reports: Arc::new(Semaphore::new(REPORTS)),
        };
        // Nothing is awaited from here on: a caller that goes away cannot leave a seat without a
        // session. (An agent that is connected in the database alone is found by the heart.)
        self.roster.enter(session, seat);
        self.signals.waiting.notify_one();
        self.wakes.wake(Wake::Slot);
        self.shutdown.spawn("session", run.run(inbound));
        Ok(Outbox { said: answers, reads_more: hello.reads_more })
    }
}

/// The end of an attempt that its agent does not have.
fn never_arrived(key: AttemptKey) -> Finish {
    Finish::bare(key, Outcome::Released, "it never reached its agent")
}

/// The end of an attempt from before its agent was started anew.
fn died(key: AttemptKey) -> Finish {
    Finish::bare(key, Outcome::Lost, "its agent was restarted and knows nothing of it")
}

async fn first_word(inbound: &mut Streaming<ConnectRequest>) -> Result<Hello, Status> {
    let first = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
    match first.map_err(|_| Status::deadline_exceeded("no Hello came"))?? {
        Some(ConnectRequest { message: Some(connect_request::Message::Hello(hello)), .. }) => {
            Ok(hello)
        }
        _ => Err(Status::invalid_argument("the first message of an agent must be Hello")),
    }
}

fn card(hello: &Hello) -> Result<AgentCard, Status> {
    let id = |field: &str, text: &str| {
        Uuid::parse_str(text)
            .map_err(|_| Status::invalid_argument(format!("{field}: {text:?} is not a UUID")))
    };
    if hello.slots < 0 {
        return Err(Status::invalid_argument("slots: 0 or more; an agent that leaves has none"));
    }
    Ok(AgentCard {
        id: AgentId(id("agent_id", &hello.agent_id)?),
        boot: id("boot_id", &hello.boot_id)?,
        name: hello.name.clone(),
        host: hello.host.clone(),
        version: hello.version.clone(),
        slots: hello.slots,
        executors: hello.executors.clone(),
        handlers: hello.handlers.clone(),
        labels: hello.labels.clone(),
        resources: resources(hello),
    })
}

/// What is below zero is nothing.
fn resources(hello: &Hello) -> Resources {
    let amounts = hello.resources.iter();
    amounts.filter_map(|(name, &n)| Some((name.clone(), u64::try_from(n).ok()?))).collect()
}

fn abilities(card: &AgentCard) -> Abilities {
    let executors = card.executors.iter().filter_map(|name| Executor::from_str(name).ok());
    Abilities {
        executors: executors.collect(),
        handlers: card.handlers.iter().cloned().collect(),
        labels: card.labels.clone(),
        resources: card.resources.clone(),
    }
}

struct Session {
    all: Sessions,
    agent: AgentId,
    name: String,
    session: SessionId,
    closed: CancellationToken,
    /// Attempts that the agent did not name when it was last asked.
    suspects: HashSet<AttemptId>,
    question: i64,
    /// The question whose answer confirms or clears the suspects.
    confirming: i64,
    reports: Arc<Semaphore>,
}

impl Session {
    async fn run(mut self, mut inbound: Streaming<ConnectRequest>) {
        let stop = self.all.shutdown.token();
        let mut ask = tokio::time::interval_at(tokio::time::Instant::now() + ASK_EVERY, ASK_EVERY);
        let end = loop {
            tokio::select! {
                () = stop.cancelled() => break "the coordinator stops",
                () = self.closed.cancelled() => break "replaced or closed",
                _ = ask.tick() => self.ask(),
                message = inbound.next() => match message {
                    Some(Ok(said)) => self.hear_all(said).await,
                    Some(Err(_)) => break "the stream broke",
                    None => break "the agent left",
                },
            }
        };
        info!(agent.name = self.name, session.id = %self.session, reason = end, "session ended");
        self.all.roster.leave(self.session);
        if stop.is_cancelled() {
            // Whoever goes on with this database finds the agents, or declares them gone.
            return;
        }
        let given_up = async {
            tokio::time::sleep(COME_BACK_WITHIN).await;
            self.give_up().await;
        };
        tokio::select! {
            () = given_up => {}
            () = stop.cancelled() => {}
        }
    }

    fn ask(&mut self) {
        self.question += 1;
        self.all
            .roster
            .send(self.session, Message::WhatDoYouHold(WhatDoYouHold { question: self.question }));
    }

    async fn hear_all(&mut self, said: ConnectRequest) {
        if said.more.len() > MORE {
            warn!(
                agent.name = self.name,
                "more than {MORE} words in one message; closing the stream"
            );
            self.closed.cancel();
        }
        let stop = self.all.shutdown.token();
        for message in said.words().flatten() {
            if self.closed.is_cancelled() || stop.is_cancelled() {
                return;
            }
            self.hear(message).await;
        }
    }

    async fn hear(&mut self, message: connect_request::Message) {
        match message {
            connect_request::Message::Report(report) => self.report(report).await,
            connect_request::Message::Holding(holding) => self.compare(holding).await,
            connect_request::Message::Hello(_) => {
                warn!(agent.name = self.name, "a second Hello on one stream; closing it");
                self.closed.cancel();
            }
        }
    }

    /// Passes a report to the committer, and its verdict back when it is committed. An agent that
    /// reports faster than its results are recorded waits.
    async fn report(&self, report: Report) {
        let Some(finish) = convert::finish(&report, self.session) else {
            warn!(agent.name = self.name, ?report.of, "a report that names no attempt; left out");
            return;
        };
        let (all, session, attempt) = (self.all.clone(), self.session, finish.key.attempt);
        let Ok(permit) = Arc::clone(&self.reports).acquire_owned().await else { return };
        self.all.shutdown.spawn("report", async move {
            let _permit = permit;
            if all.finishes.finish(finish).await.is_some() {
                all.roster.send(session, Message::Recorded(Recorded { attempt: attempt.0 }));
            }
        });
    }

    /// Compares what the agent holds with what the database has open for it.
    async fn compare(&mut self, holding: HoldingMessage) {
        let held: Vec<AttemptId> = holding.held.iter().map(|h| AttemptId(h.attempt)).collect();
        let compared = match self.all.store.adopt(self.agent, self.session, &held).await {
            Ok(compared) => compared,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot compare what the agent holds"
                );
                return;
            }
        };
        // Only an answer to a question asked after the suspicion can confirm it.
        let confirms = holding.question > 0 && holding.question >= self.confirming;
        let mut suspects = HashSet::new();
        let mut open = HashMap::new();
        for holding in compared {
            match holding {
                Holding::Adopted(key, takes) => drop(open.insert(key.attempt, takes)),
                Holding::Unknown(attempt) => {
                    let abandon = Message::Abandon(Abandon { attempt: attempt.0 });
                    self.all.roster.send(self.session, abandon);
                }
                Holding::Died(key) => self.all.finishes.finish_all([died(key)]).await,
                Holding::Missing(key)
                    if self.all.roster.is_preparing(self.session, key.attempt) => {}
                Holding::Missing(key) if confirms && self.suspects.contains(&key.attempt) => {
                    self.all.finishes.finish_all([never_arrived(key)]).await;
                }
                Holding::Missing(key) => {
                    suspects.insert(key.attempt);
                    // It runs nowhere.
                    open.insert(key.attempt, Resources::new());
                }
            }
        }
        self.all.roster.correct(self.session, open);
        if confirms || self.suspects.is_empty() {
            self.suspects = suspects;
            if !self.suspects.is_empty() {
                self.ask();
                self.confirming = self.question;
            }
        }
    }

    /// The agent did not come back: what it ran is lost.
    async fn give_up(self) {
        let left = loop {
            match self.all.store.disconnect(self.agent, self.session).await {
                Ok(left) => break left,
                Err(error) => {
                    warn!(
                        error = errors::chain(&error),
                        "cannot record that an agent left; trying again"
                    );
                    tokio::time::sleep(COME_BACK_WITHIN).await;
                }
            }
        };
        self.all.signals.waiting.notify_one();
        if !left.is_empty() {
            warn!(
                agent.name = self.name,
                attempts = left.len(),
                "agent gone; its attempts are lost"
            );
        }
        let reason = format!("agent {} fell silent", self.name);
        let lost = left.into_iter().map(|key| Finish::bare(key, Outcome::Lost, reason.clone()));
        self.all.finishes.finish_all(lost).await;
    }
}
