//! All of it put together: started, served on one port, and stopped.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::middleware;
use postq_common::id::CoordinatorId;
use postq_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        agent_service_server::AgentServiceServer, artifact_service_server::ArtifactServiceServer,
        dead_letter_service_server::DeadLetterServiceServer,
        dispatch_service_server::DispatchServiceServer, job_service_server::JobServiceServer,
        queue_service_server::QueueServiceServer, schedule_service_server::ScheduleServiceServer,
        workspace_service_server::WorkspaceServiceServer,
    },
};
use postq_runtime::{
    Shutdown,
    channel::{CONNECTION_WINDOW, FRAME_SIZE, MESSAGE_LIMIT, STREAM_WINDOW},
};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::ServingStatus;
use tracing::info;
use uuid::Uuid;

use crate::{
    admission::Admission,
    api::{
        agent_service::AgentApi,
        artifact_service::ArtifactApi,
        auth::{self, Tokens},
        dead_letter_service::DeadLetterApi,
        deadline,
        dispatch_service::{self, DispatchApi},
        job_service::JobApi,
        left::Leavings,
        queue_service::QueueApi,
        schedule_service::ScheduleApi,
        workspace_service::WorkspaceApi,
    },
    dispatch::{
        Committer, Delivery, Dispatcher, Finishes, Roster, Wakes, session::Sessions, wakes,
    },
    graphs::Graphs,
    http::{self, Pages},
    metrics::Metrics,
    signals::Signals,
    store::{MigrationError, Store, StoreError, migrate},
    upkeep::{
        artifacts::Keeper, deadlines::Deadlines, due::Due, floors, garbage, heart::Heart,
        hints::Hints, inbox::Inbox, leases::Leases, logs, openings::Openings, parked::Parked,
        relations, retention, schedules::Schedules, submissions::Submissions, waiting,
        webhooks::Webhooks,
    },
    watch::Looks,
    webhook::{Door, Sender},
    workspace::{Blobs, Garbage, Joins, OpenError},
};

/// Connections are pinged so often, and given up after so long without an answer: an agent is
/// silent after the sum.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections for what must not wait behind users' requests.
const CORE_CONNECTIONS: u32 = 8;

/// What a coordinator is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database.
    pub database: PgConnectOptions,
    /// For the connection that waits for notifications.
    pub listen_database: PgConnectOptions,
    /// Connections to the database.
    pub max_connections: u32,
    /// The blob store.
    pub store: String,
    /// Who may come in.
    pub tokens: Tokens,
    /// How long jobs that have ended stay; none: for ever.
    pub retain: Option<Duration>,
    /// Where webhooks may be sent.
    pub webhooks: Door,
}

/// Why a coordinator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob store cannot be used.
    #[error(transparent)]
    Blobs(#[from] OpenError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Requests cannot be made.
    #[error(
        "cannot send webhooks by TLS; are certificates of authorities installed (ca-certificates)?"
    )]
    Webhooks(#[from] reqwest::Error),
    /// The server failed.
    #[error("the server failed")]
    Serve(#[from] tonic::transport::Error),
    /// The descriptors of the services cannot be served.
    #[error("cannot serve reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A coordinator that holds its database, its blob store and its port.
pub struct Coordinator {
    id: CoordinatorId,
    host: String,
    options: Options,
    store: Store,
    /// The same database over connections of its own, for what must not wait behind users' requests:
    /// the heart, the dispatcher, the committer, the sessions.
    core: Store,
    blobs: Blobs,
    sender: Sender,
    listener: TcpListener,
}

/// The parts that talk to each other.
struct Parts {
    roster: Arc<Roster>,
    wakes: Wakes,
    admission: Admission,
    looks: Arc<Looks>,
    metrics: Arc<Metrics>,
    finishes: Finishes,
    graphs: Graphs,
    joins: Joins,
    signals: Arc<Signals>,
}

impl Coordinator {
    /// Migrates the database, opens the blob store that belongs to it, and takes the port.
    pub async fn open(options: Options, listen: SocketAddr) -> Result<Self, StartError> {
        migrate(&options.listen_database).await?;
        let store = Store::open(options.database.clone(), options.max_connections);
        let core = Store::open(options.database.clone(), CORE_CONNECTIONS);
        let expected = store.store_id().await?;
        let blobs = Blobs::create_or_open(&options.store, expected, store.clone()).await?;
        let settled = store.settle_store_id(blobs.store_id()).await?;
        if settled != blobs.store_id() {
            // Two coordinators started on an empty database with different directories.
            Blobs::create_or_open(&options.store, Some(settled), store.clone()).await?;
        }
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| StartError::Listen { address: listen, source })?;
        let host = hostname();
        let id = CoordinatorId(Uuid::new_v4());
        store.note_webhooks(&options.webhooks.shown()).await?;
        store.enlist(id, &host).await?;
        let sender = Sender::new(options.webhooks.clone())?;
        Ok(Self { id, host, options, store, core, blobs, sender, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), StartError> {
        let parts = self.start(&shutdown);
        let routes = self.routes(&parts, &shutdown)?;
        let stop = shutdown.token();
        info!(coordinator.id = %self.id, address = ?self.listener.local_addr(), "coordinator ready");
        Server::builder()
            .accept_http1(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_SIZE)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming(self.listener), stop.cancelled_owned())
            .await?;
        Ok(())
    }

    /// Starts everything that runs beside the server.
    fn start(&self, shutdown: &Shutdown) -> Parts {
        let store = &self.store;
        let roster = Arc::new(Roster::new());
        let metrics = Arc::new(Metrics::new());
        let looks = Arc::new(Looks::new(store.clone(), shutdown.clone()));
        let signals = Arc::new(Signals::default());
        let (wakes, ear) = wakes();
        let (committer, finishes) = Committer::new(
            self.core.clone(),
            Arc::clone(&roster),
            wakes.clone(),
            Arc::clone(&looks),
            Arc::clone(&signals),
            Arc::clone(&metrics),
        );
        let (graphs, joins) = (Graphs::new(store.clone()), Joins::new(self.blobs.clone()));
        let delivery = Delivery::new(
            self.core.clone(),
            Arc::clone(&roster),
            finishes.clone(),
            joins.clone(),
            graphs.clone(),
            shutdown.clone(),
        );
        let dispatcher = Dispatcher::new(
            self.id,
            self.core.clone(),
            Arc::clone(&roster),
            Arc::clone(&metrics),
            delivery,
            Arc::clone(&signals),
            ear,
        );
        let admission = Admission::new(store.clone(), self.blobs.clone(), wakes.clone());
        let parts =
            Parts { roster, wakes, admission, looks, metrics, finishes, graphs, joins, signals };
        let stop = shutdown.token();
        shutdown.spawn_critical("committer", committer.run(stop.clone()));
        shutdown.spawn_critical("dispatcher", dispatcher.run(stop));
        self.start_upkeep(&parts, shutdown);
        parts
    }

    fn start_upkeep(&self, parts: &Parts, shutdown: &Shutdown) {
        let (store, signals) = (&self.store, &parts.signals);
        let stop = || shutdown.token();
        let heart = Heart::new(
            self.id,
            self.host.clone(),
            self.core.clone(),
            Arc::clone(&parts.roster),
            parts.finishes.clone(),
            Arc::clone(signals),
        );
        let hints = Hints::new(
            self.options.listen_database.clone(),
            parts.wakes.clone(),
            Arc::clone(signals),
            Arc::clone(&parts.looks),
        );
        let due = Due::new(store.clone(), parts.wakes.clone(), Arc::clone(signals));
        let (wakes, looks) = (&parts.wakes, &parts.looks);
        let submissions = Submissions::new(
            store.clone(),
            parts.admission.clone(),
            Arc::clone(looks),
            Arc::clone(signals),
        );
        let inbox =
            Inbox::new(store.clone(), wakes.clone(), Arc::clone(looks), Arc::clone(signals));
        let leases =
            Leases::new(store.clone(), wakes.clone(), Arc::clone(looks), Arc::clone(signals));
        let openings =
            Openings::new(store.clone(), wakes.clone(), Arc::clone(looks), Arc::clone(signals));
        shutdown.spawn_critical("heart", heart.run(stop()));
        shutdown.spawn_critical("hints", hints.run(stop()));
        shutdown.spawn_critical("due", due.run(stop()));
        shutdown.spawn_critical("submissions", submissions.run(stop()));
        shutdown.spawn_critical("inbox", inbox.run(stop()));
        let parked = Parked::new(store.clone(), wakes.clone(), Arc::clone(signals));
        shutdown.spawn_critical("parked", parked.run(stop()));
        shutdown.spawn_critical("leases", leases.run(stop()));
        let deadlines = Deadlines::new(store.clone(), Arc::clone(looks), Arc::clone(signals));
        let schedules = Schedules::new(
            store.clone(),
            parts.admission.clone(),
            wakes.clone(),
            Arc::clone(signals),
        );
        shutdown.spawn_critical("deadlines", deadlines.run(stop()));
        shutdown.spawn_critical("schedules", schedules.run(stop()));
        let retain = self.options.retain;
        shutdown.spawn_critical("retention", retention::run(store.clone(), retain, stop()));
        shutdown.spawn_critical("openings", openings.run(stop()));
        shutdown.spawn_critical("floors", floors::run(store.clone(), stop()));
        shutdown.spawn_critical("logs", logs::run(store.clone(), self.blobs.clone(), stop()));
        let garbage = Garbage::new(self.blobs.clone(), parts.joins.clone());
        let webhooks = Webhooks::new(
            store.clone(),
            self.sender.clone(),
            Arc::clone(signals),
            Arc::clone(&parts.metrics),
        );
        shutdown.spawn_critical("webhooks", webhooks.run(stop()));
        let keeper = Keeper::new(
            store.clone(),
            self.blobs.clone(),
            parts.joins.clone(),
            parts.graphs.clone(),
        );
        shutdown.spawn_critical("garbage", garbage::run(store.clone(), garbage, keeper, stop()));
        let waits = waiting::run(store.clone(), Arc::clone(signals), stop());
        shutdown.spawn_critical("waiting", waits);
        shutdown.spawn_critical("relations", relations::run(store.clone(), stop()));
    }

    /// Everything that is served, behind the door.
    fn routes(&self, parts: &Parts, shutdown: &Shutdown) -> Result<Routes, StartError> {
        let store = &self.store;
        let jobs = JobApi {
            store: store.clone(),
            blobs: self.blobs.clone(),
            admission: parts.admission.clone(),
            looks: Arc::clone(&parts.looks),
            metrics: Arc::clone(&parts.metrics),
            shutdown: shutdown.clone(),
        };
        let sessions = Sessions {
            id: self.id,
            store: self.core.clone(),
            roster: Arc::clone(&parts.roster),
            finishes: parts.finishes.clone(),
            wakes: parts.wakes.clone(),
            signals: Arc::clone(&parts.signals),
            shutdown: shutdown.clone(),
        };
        let dispatch = DispatchApi { sessions, store: store.clone(), shutdown: shutdown.clone() };
        let leavings = Leavings { store: store.clone(), graphs: parts.graphs.clone() };
        let files = WorkspaceApi::new(self.blobs.clone(), parts.joins.clone(), leavings);
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // The details of errors, so that a client by reflection can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let stop = shutdown.token();
        shutdown.spawn("health", async move {
            health.set_service_status("", ServingStatus::Serving).await;
            stop.cancelled().await;
            health.set_service_status("", ServingStatus::NotServing).await;
        });
        let grpc =
            Routes::new(JobServiceServer::new(jobs).max_decoding_message_size(MESSAGE_LIMIT))
                .add_service(
                    DispatchServiceServer::new(dispatch)
                        .max_decoding_message_size(dispatch_service::MESSAGE_LIMIT),
                )
                .add_service(
                    WorkspaceServiceServer::new(files).max_decoding_message_size(MESSAGE_LIMIT),
                )
                .add_service(ArtifactServiceServer::new(ArtifactApi { store: store.clone() }))
                .add_service(QueueServiceServer::new(QueueApi { store: store.clone() }))
                .add_service(DeadLetterServiceServer::new(DeadLetterApi { store: store.clone() }))
                .add_service(ScheduleServiceServer::new(ScheduleApi {
                    store: store.clone(),
                    signals: Arc::clone(&parts.signals),
                }))
                .add_service(AgentServiceServer::new(AgentApi {
                    store: store.clone(),
                    roster: Arc::clone(&parts.roster),
                }))
                .add_service(health_service)
                .add_service(reflection().build_v1()?)
                // Older clients ask this one.
                .add_service(reflection().build_v1alpha()?);
        let pages = Pages {
            store: store.clone(),
            roster: Arc::clone(&parts.roster),
            metrics: Arc::clone(&parts.metrics),
        };
        let door = middleware::from_fn_with_state(self.options.tokens.clone(), auth::check);
        let router = grpc
            .into_axum_router()
            .merge(http::routes(pages))
            .fallback(http::unknown)
            .layer(middleware::from_fn(deadline::limit))
            .layer(door);
        Ok(Routes::from(router))
    }
}

fn hostname() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
}

/// The connections of clients. A small message goes out at once: behind another one it would wait for the
/// client's delayed acknowledgement, 40 ms. (The server's own setting is for what it listens on itself.)
fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn small_messages_are_not_held_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) =
            tokio::join!(TcpStream::connect(address), async { incoming(listener).next().await });
        assert!(client.is_ok() && accepted.unwrap().unwrap().nodelay().unwrap());
    }
}
