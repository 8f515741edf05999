//! A coordinator without a database: it hands every stream to the test, and keeps all log chunks.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use postq_proto::v1::{
    self, ConnectRequest, ConnectResponse, PushLogsRequest, PushLogsResponse, connect_request,
    connect_response::Message,
    dispatch_service_server::{DispatchService, DispatchServiceServer},
};
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::support::within;

type Chunks = BTreeMap<i64, (v1::read_logs_response::Stream, Vec<u8>)>;

/// The chunks of all attempts, and whether they are taken at all.
#[derive(Default)]
struct Logs {
    chunks: BTreeMap<i64, Chunks>,
    /// How often any chunk came.
    arrivals: u64,
    is_refusing: bool,
    is_mute: bool,
}

#[derive(Clone)]
struct Service {
    sessions: mpsc::Sender<Session>,
    logs: Arc<Mutex<Logs>>,
    rung: Arc<watch::Sender<()>>,
    numbers: Arc<std::sync::atomic::AtomicI64>,
    tokens: Arc<Mutex<Vec<Option<String>>>>,
}

/// A running fake. Ends with the test's runtime, or with [`Fake::stop`].
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    service: Service,
    sessions: mpsc::Receiver<Session>,
    server: tokio::task::JoinHandle<()>,
}

/// One stream of an agent; dropping it closes the stream.
pub(crate) struct Session {
    pub(crate) hello: v1::Hello,
    to_agent: mpsc::Sender<Result<ConnectResponse, Status>>,
    from_agent: mpsc::Receiver<connect_request::Message>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let (sender, sessions) = mpsc::channel(16);
        let service = Service {
            sessions: sender,
            logs: Arc::default(),
            rung: Arc::new(watch::channel(()).0),
            numbers: Arc::default(),
            tokens: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(DispatchServiceServer::new(service.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self { address, service, sessions, server }
    }

    /// The address for `--coordinator`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next stream that an agent opens, already welcome.
    pub(crate) async fn session(&mut self) -> Session {
        within("an agent to connect", self.sessions.recv()).await.expect("the fake runs")
    }

    /// Ends all connections at once, as a killed coordinator does.
    pub(crate) async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
    }

    /// The authorization of every stream so far.
    pub(crate) fn tokens(&self) -> Vec<Option<String>> {
        self.service.tokens.lock().unwrap().clone()
    }

    /// Ends log streams with an error from now on, or takes them again.
    pub(crate) fn refuse_logs(&self, is_refusing: bool) {
        self.service.logs.lock().unwrap().is_refusing = is_refusing;
    }

    /// Takes chunks but never says that they are stored.
    pub(crate) fn withhold_acknowledgements(&self, is_mute: bool) {
        self.service.logs.lock().unwrap().is_mute = is_mute;
    }

    /// How many chunks came, repeated ones included.
    pub(crate) fn log_arrivals(&self) -> u64 {
        self.service.logs.lock().unwrap().arrivals
    }

    pub(crate) fn chunks(&self, attempt: i64) -> Chunks {
        self.service.logs.lock().unwrap().chunks.get(&attempt).cloned().unwrap_or_default()
    }

    /// Waits until chunks 1 to `count` have come.
    pub(crate) async fn all_chunks(&self, attempt: i64, count: i64) -> Chunks {
        self.chunks_when(attempt, |chunks| (1..=count).all(|n| chunks.contains_key(&n))).await
    }

    pub(crate) async fn chunks_when(
        &self,
        attempt: i64,
        holds: impl Fn(&Chunks) -> bool,
    ) -> Chunks {
        let mut rung = self.service.rung.subscribe();
        within("log chunks", async {
            loop {
                let chunks = self.chunks(attempt);
                if holds(&chunks) {
                    return chunks;
                }
                rung.changed().await.unwrap();
            }
        })
        .await
    }
}

/// The bytes of one stream in order.
pub(crate) fn joined(chunks: &Chunks, stream: v1::read_logs_response::Stream) -> Vec<u8> {
    let of_stream = chunks.values().filter(|(of, _)| *of == stream);
    of_stream.flat_map(|(_, data)| data.clone()).collect()
}

impl Session {
    pub(crate) async fn send(&self, message: Message) {
        let response = ConnectResponse { message: Some(message), ..Default::default() };
        self.to_agent.send(Ok(response)).await.expect("the stream is open");
    }

    pub(crate) async fn assign(&self, assignment: v1::Assignment) {
        self.send(Message::Assignment(assignment)).await;
    }

    pub(crate) async fn cancel(&self, attempt: i64, reason: &str) {
        self.send(Message::Cancel(v1::Cancel { attempt, reason: reason.to_owned() })).await;
    }

    pub(crate) async fn abandon(&self, attempt: i64) {
        self.send(Message::Abandon(v1::Abandon { attempt })).await;
    }

    pub(crate) async fn record(&self, attempt: i64) {
        self.send(Message::Recorded(v1::Recorded { attempt })).await;
    }

    /// The next message of the agent.
    pub(crate) async fn next(&mut self) -> connect_request::Message {
        within("a word of the agent", self.from_agent.recv()).await.expect("the stream is open")
    }

    /// The next message; none: the agent has ended the stream.
    pub(crate) async fn next_if_open(&mut self) -> Option<connect_request::Message> {
        within("a word of the agent", self.from_agent.recv()).await
    }

    /// The next message, which must be a report.
    pub(crate) async fn report(&mut self) -> v1::Report {
        match self.next().await {
            connect_request::Message::Report(report) => report,
            other => panic!("not a report: {other:?}"),
        }
    }

    /// Asks, and returns the answer, which must be the next message.
    pub(crate) async fn what_do_you_hold(&mut self, question: i64) -> Vec<i64> {
        self.send(Message::WhatDoYouHold(v1::WhatDoYouHold { question })).await;
        match self.next().await {
            connect_request::Message::Holding(holding) => {
                assert_eq!(holding.question, question);
                holding.held.iter().map(|held| held.attempt).collect()
            }
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Runs an assignment to its recorded end.
    pub(crate) async fn run(&mut self, assignment: v1::Assignment) -> v1::Report {
        let attempt = assignment.attempt;
        self.assign(assignment).await;
        let report = self.report().await;
        assert_eq!(report.of.as_ref().unwrap().attempt, attempt);
        self.record(attempt).await;
        report
    }
}

#[tonic::async_trait]
impl DispatchService for Service {
    type ConnectStream = ReceiverStream<Result<ConnectResponse, Status>>;
    type PushLogsStream =
        Pin<Box<dyn Stream<Item = Result<PushLogsResponse, Status>> + Send + 'static>>;

    async fn connect(
        &self,
        request: Request<Streaming<ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let token = request.metadata().get("authorization");
        let token = token.map(|value| value.to_str().unwrap().to_owned());
        self.tokens.lock().unwrap().push(token);
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|first| first.message);
        let Some(connect_request::Message::Hello(hello)) = first else {
            return Err(Status::failed_precondition("say hello first"));
        };
        let (to_agent, responses) = mpsc::channel(1024);
        let (inbox, from_agent) = mpsc::channel(1024);
        let session = 1 + self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let welcome = v1::Welcome { session, coordinator: "fake".into(), reads_more: true };
        let welcome =
            ConnectResponse { message: Some(Message::Welcome(welcome)), ..Default::default() };
        to_agent.send(Ok(welcome)).await.unwrap();
        tokio::spawn(async move {
            while let Ok(Some(ConnectRequest { message: Some(message), .. })) =
                requests.message().await
            {
                if inbox.send(message).await.is_err() {
                    return;
                }
            }
        });
        let _ = self.sessions.send(Session { hello, to_agent, from_agent }).await;
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn push_logs(
        &self,
        request: Request<Streaming<PushLogsRequest>>,
    ) -> Result<Response<Self::PushLogsStream>, Status> {
        if self.logs.lock().unwrap().is_refusing {
            return Err(Status::unavailable("not now"));
        }
        let this = self.clone();
        let answers = request.into_inner().filter_map(move |chunk| {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(status) => return Some(Err(status)),
            };
            this.keep(chunk).transpose()
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Service {
    fn keep(&self, chunk: PushLogsRequest) -> Result<Option<PushLogsResponse>, Status> {
        let mut logs = self.logs.lock().unwrap();
        if logs.is_refusing {
            return Err(Status::unavailable("not now"));
        }
        let stream = chunk.stream();
        let of = chunk.of.expect("every chunk names its attempt");
        logs.arrivals += 1;
        let chunks = logs.chunks.entry(of.attempt).or_default();
        let known = chunks.insert(chunk.number, (stream, chunk.data.to_vec()));
        let now = &chunks[&chunk.number];
        assert!(known.is_none_or(|known| known == *now), "a repeated chunk differs");
        let is_mute = logs.is_mute;
        drop(logs);
        let _ = self.rung.send(());
        let answer = PushLogsResponse { attempt: of.attempt, number: chunk.number };
        Ok((!is_mute).then_some(answer))
    }
}
