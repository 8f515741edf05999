//! The stream to a coordinator: connect, carry messages both ways, connect again for ever.
//!
//! It holds no state of attempts: what it hears goes to the desk, what it says comes from the desk.
//! Invariant: at most one stream is current, and nothing said on an older one counts any more.

use std::time::Duration;

use backon::BackoffBuilder;
use postq_proto::v1::{
    ConnectResponse, connect_response::Message, dispatch_service_client::DispatchServiceClient,
};
use postq_runtime::channel::{self, Channel};
use tokio::{
    sync::{
        mpsc::{self, Sender},
        watch,
    },
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};
use tracing::{debug, info, warn};

use crate::{
    coordinators::{self, Coordinators, Target},
    supervisor::{Command, Stream, StreamNumber},
};

/// Messages the connection has not taken yet; reports hold up to 128 KiB each, so few.
const OUTBOX: usize = 8;
/// From the first word of the agent to the welcome, which the database has to number.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps a stream to some coordinator.
#[derive(Debug)]
pub(crate) struct Session {
    coordinators: Coordinators,
    desk: Sender<Command>,
    /// Where files go: a connection of their own to the coordinator that welcomed us last.
    files: watch::Sender<Channel>,
    drain: CancellationToken,
    streams: u64,
    is_draining: bool,
}

/// Why a stream ended.
enum Ended {
    Broken {
        status: Status,
        was_welcome: bool,
    },
    /// The agent has something to say that only a hello can.
    NewHello,
}

impl Session {
    pub(crate) fn new(
        coordinators: Coordinators,
        desk: Sender<Command>,
        files: watch::Sender<Channel>,
        drain: CancellationToken,
    ) -> Self {
        Self { coordinators, desk, files, drain, streams: 0, is_draining: false }
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.keep_connected()).await;
    }

    async fn keep_connected(&mut self) {
        let mut pauses = coordinators::backoff().build();
        let mut last_problem = String::new();
        loop {
            let (target, channel) = self.coordinators.take_turn().await;
            let number = StreamNumber(self.streams);
            self.streams += 1;
            let ended = self.stream(number, &target, channel).await;
            let _ = self.desk.send(Command::Detach(number)).await;
            match ended {
                Ended::NewHello => self.coordinators.again(),
                Ended::Broken { status, was_welcome } => {
                    if was_welcome {
                        pauses = coordinators::backoff().build();
                        last_problem.clear();
                    }
                    if !self.coordinators.is_round_over() {
                        debug!(coordinator = %target, %status, "no session; trying the next one");
                        continue;
                    }
                    complain(&target, &status, &mut last_problem);
                    let pause = pauses.next().unwrap_or(coordinators::MAX_PAUSE);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// One stream from its hello to its end.
    async fn stream(&mut self, number: StreamNumber, target: &Target, channel: Channel) -> Ended {
        let mut client = DispatchServiceClient::new(channel)
            .max_decoding_message_size(channel::MESSAGE_LIMIT)
            .max_encoding_message_size(channel::MESSAGE_LIMIT);
        let (sender, requests) = mpsc::channel(OUTBOX);
        let renew = CancellationToken::new();
        let stream = Stream { number, sender, renew: renew.clone() };
        let _ = self.desk.send(Command::Attach(stream)).await;
        let welcomed = timeout(WELCOME_TIMEOUT, async {
            let mut answers = client.connect(ReceiverStream::new(requests)).await?.into_inner();
            let first = answers.message().await?;
            Ok::<_, Status>((answers, first))
        });
        let (mut answers, first) = match welcomed.await {
            Ok(Ok(welcomed)) => welcomed,
            Ok(Err(status)) => return Ended::Broken { status, was_welcome: false },
            Err(_) => {
                let status = Status::deadline_exceeded("the coordinator does not answer");
                return Ended::Broken { status, was_welcome: false };
            }
        };
        let Some(Message::Welcome(welcome)) = first.and_then(|first| first.message) else {
            let status = Status::failed_precondition("its first word was not a welcome");
            return Ended::Broken { status, was_welcome: false };
        };
        let (session, coordinator) = (welcome.session, welcome.coordinator);
        info!(session, coordinator, url = %target, "connected");
        self.coordinators.has_answered();
        self.files.send_replace(self.coordinators.channel_to(target));
        let drain = self.drain.clone();
        tokio::select! {
            status = self.hear(number, &mut answers) => {
                Ended::Broken { status, was_welcome: true }
            }
            () = drain.cancelled(), if !self.is_draining => {
                self.is_draining = true;
                Ended::NewHello
            }
            () = renew.cancelled() => Ended::NewHello,
        }
    }

    async fn hear(&self, number: StreamNumber, answers: &mut Streaming<ConnectResponse>) -> Status {
        loop {
            match answers.message().await {
                Ok(Some(said)) => {
                    // On the heap: what is kept over an await makes the task as large.
                    for word in said.words().collect::<Vec<_>>() {
                        let Some(message) = word.map(Box::new) else {
                            debug!("a message of a kind this agent does not know is skipped");
                            continue;
                        };
                        let _ = self.desk.send(Command::Heard(number, message)).await;
                    }
                }
                Ok(None) => return Status::unavailable("the coordinator closed the stream"),
                Err(status) => return status,
            }
        }
    }
}

/// Once loudly per problem, then quietly: an agent may wait for its coordinator for days.
fn complain(target: &Target, status: &Status, last_problem: &mut String) {
    let problem = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            format!(
                "{} (give the agent a token with --token-file or POSTQ_TOKEN)",
                status.message()
            )
        }
        code => format!("{}: {}", code.description(), status.message()),
    };
    if problem == *last_problem {
        debug!(url = %target, problem, "no session with the coordinator; trying again");
    } else {
        warn!(url = %target, problem, "no session with the coordinator; trying again");
        *last_problem = problem;
    }
}
