//! `postq queue ...`: queues, their settings and what is in them.

use std::time::Duration;

use clap::{Args, Subcommand};
use postq_proto::v1::{
    DeleteQueueRequest, GetQueueRequest, ListQueuesRequest, ListQueuesResponse, PauseQueueRequest,
    PutQueueRequest, PutQueueResponse, Queue as QueueMessage, QueueSettings, ResumeQueueRequest,
    RetryPolicy,
    job_spec::Webhook,
    queue_settings::{Rate, Retention},
};
use tonic::Status;

use crate::{
    client::{Connection, Coordinator, bounded},
    command::submit::delay,
    failure::{Exit, Failure},
    output::{self, Output},
};

/// What is done with queues.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// List the queues that are declared or in use, by name.
    Ls(List),
    /// Show a queue: its settings and what is in it.
    Get(Named),
    /// Declare a queue; one that is declared already is left as it is.
    Create(Put),
    /// Change the settings of a queue that are given; declares it if need be.
    Set(Put),
    /// Start nothing of a queue until it is resumed; what runs goes on.
    Pause(Named),
    /// Start again what is in a queue.
    Resume(Named),
    /// Forget the settings of a queue.
    Rm(Remove),
}

/// All of them.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// One of them.
#[derive(Args, Debug)]
pub struct Named {
    /// Its name.
    name: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// One that is to go.
#[derive(Args, Debug)]
pub struct Remove {
    /// Also while it has jobs that have not ended: they are cancelled.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    named: Named,
}

/// One with its settings.
#[derive(Args, Debug)]
pub struct Put {
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Tasks that may run at a time; 0 is no limit.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(0..))]
    max_running: Option<i32>,
    /// Tasks that may be started in any time of `--rate-period`.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..), requires = "rate_period")]
    rate_limit: Option<i32>,
    /// The time in which `--rate-limit` tasks may be started, as 60s.
    #[arg(long, value_name = "DURATION", value_parser = delay, requires = "rate_limit")]
    rate_period: Option<pbjson_types::Duration>,
    /// Jobs it may hold that have not ended; 0 is no limit.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(0..))]
    max_jobs: Option<i32>,
    /// Retry policy of tasks that have none, as in a document: '{"max_attempts": 3, "backoff": "2s"}'.
    #[arg(long, value_name = "JSON", value_parser = retry)]
    retry: Option<RetryPolicy>,
    /// Timeout of tasks that have none, as 10m.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    timeout: Option<pbjson_types::Duration>,
    /// Time to start in of jobs that state none, as 1h.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    expires_after: Option<pbjson_types::Duration>,
    /// Whether tasks that failed for good are kept as dead letters.
    #[arg(long, value_name = "BOOL")]
    dead_letters: Option<bool>,
    /// Points of priority that a task gains in a minute of waiting.
    #[arg(long, value_name = "POINTS")]
    aging: Option<f64>,
    /// How long jobs that have ended stay, as 7d. Given with the next one, or each alone.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    retain_for: Option<pbjson_types::Duration>,
    /// How many jobs that have ended stay at most, the newest; 0 is any number.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(0..))]
    retain_jobs: Option<i32>,
    /// Whether its jobs notify what becomes of them.
    #[arg(long, value_name = "BOOL")]
    notify: Option<bool>,
    /// Whom the end of its jobs is told by HTTP; one that the coordinators allow.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The name of the secret that is signed with; without it, default.
    #[arg(long, value_name = "NAME", requires = "webhook", default_value = "")]
    webhook_secret: String,
    /// Take the default of this setting again; may be given several times.
    #[arg(long, value_name = "SETTING")]
    unset: Vec<String>,
    #[command(flatten)]
    named: Named,
}

fn retry(text: &str) -> Result<RetryPolicy, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

impl Queue {
    /// Does it.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Ls(list) => list.run().await,
            Self::Create(put) => put.run(true).await,
            Self::Set(put) => put.run(false).await,
            Self::Rm(remove) => remove.run().await,
            Self::Get(named) => {
                let (coordinator, name) = named.open()?;
                let answer =
                    coordinator.queues().get_queue(bounded(GetQueueRequest { name })).await;
                let answer = answer.map_err(failed("show the queue", &coordinator))?;
                named.show(answer.into_inner().queue)
            }
            Self::Pause(named) => {
                let (coordinator, name) = named.open()?;
                let request = bounded(PauseQueueRequest { name });
                let answer = coordinator.queues().pause_queue(request).await;
                let answer = answer.map_err(failed("pause the queue", &coordinator))?;
                named.show(answer.into_inner().queue)
            }
            Self::Resume(named) => {
                let (coordinator, name) = named.open()?;
                let request = bounded(ResumeQueueRequest { name });
                let answer = coordinator.queues().resume_queue(request).await;
                let answer = answer.map_err(failed("resume the queue", &coordinator))?;
                named.show(answer.into_inner().queue)
            }
        }
    }
}

fn failed(verb: &'static str, coordinator: &Coordinator) -> impl Fn(Status) -> Failure {
    let url = coordinator.url().to_owned();
    move |status| Failure::from_status(&status, verb, &url)
}

impl Named {
    fn open(&self) -> Result<(Coordinator, String), Failure> {
        Ok((self.connection.open()?, self.name.clone()))
    }

    fn show(&self, queue: Option<QueueMessage>) -> Result<Exit, Failure> {
        self.output.print(&queue.unwrap_or_default(), details)?;
        Ok(Exit::Success)
    }
}

impl Put {
    async fn run(self, if_absent: bool) -> Result<Exit, Failure> {
        let (coordinator, name) = self.named.open()?;
        let output = self.named.output;
        let mut fields = self.fields();
        if fields.is_empty() {
            // Nothing else is to be touched.
            fields.push("paused".to_owned());
        }
        let settings = Some(QueueSettings {
            description: self.description.unwrap_or_default(),
            max_running: self.max_running.unwrap_or_default(),
            max_jobs: self.max_jobs.unwrap_or_default(),
            retry: self.retry,
            timeout: self.timeout,
            expires_after: self.expires_after,
            dead_letters: self.dead_letters,
            aging: self.aging.unwrap_or_default(),
            retention: (self.retain_for.is_some() || self.retain_jobs.is_some()).then(|| {
                Retention { age: self.retain_for, jobs: self.retain_jobs.unwrap_or_default() }
            }),
            notify: self.notify.unwrap_or_default(),
            rate: self.rate_limit.map(|limit| Rate { limit, period: self.rate_period }),
            webhook: self.webhook.map(|url| Webhook { url, secret: self.webhook_secret }),
            paused: false,
        });
        if !if_absent && fields == ["paused"] {
            let line = "no setting is given; see postq queue set --help";
            return Err(Failure::new(Exit::Invalid, line));
        }
        let request = PutQueueRequest { name, settings, fields, if_absent };
        let answer = coordinator.queues().put_queue(bounded(request)).await;
        let answer = answer.map_err(failed("put the queue", &coordinator))?.into_inner();
        output.print(&answer, |answer| said(answer, if_absent))?;
        Ok(Exit::Success)
    }

    fn fields(&self) -> Vec<String> {
        let given = [
            ("description", self.description.is_some()),
            ("max_running", self.max_running.is_some()),
            ("max_jobs", self.max_jobs.is_some()),
            ("retry", self.retry.is_some()),
            ("timeout", self.timeout.is_some()),
            ("expires_after", self.expires_after.is_some()),
            ("dead_letters", self.dead_letters.is_some()),
            ("aging", self.aging.is_some()),
            ("retention", self.retain_for.is_some() || self.retain_jobs.is_some()),
            ("notify", self.notify.is_some()),
            ("webhook", self.webhook.is_some()),
            ("rate", self.rate_limit.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(name, _)| name.to_owned()).chain(self.unset.iter().cloned()).collect()
    }
}

fn said(answer: &PutQueueResponse, if_absent: bool) -> String {
    let name = answer.queue.as_ref().map(|queue| queue.name.as_str()).unwrap_or_default();
    match (answer.created, if_absent) {
        (true, _) => format!("queue {name} created"),
        (false, true) => format!("queue {name} was there already; nothing was changed"),
        (false, false) => format!("queue {name} changed"),
    }
}

impl Remove {
    async fn run(self) -> Result<Exit, Failure> {
        let (coordinator, name) = self.named.open()?;
        let request = DeleteQueueRequest { name: name.clone(), force: self.force };
        let answer = coordinator.queues().delete_queue(bounded(request)).await;
        let answer = answer.map_err(failed("remove the queue", &coordinator))?.into_inner();
        self.named.output.print(&answer, |answer| match answer.deleted {
            true => format!("queue {name} removed"),
            false => format!("queue {name} was not declared"),
        })?;
        Ok(Exit::Success)
    }
}

impl List {
    async fn run(self) -> Result<Exit, Failure> {
        let coordinator = self.connection.open()?;
        let mut queues = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = bounded(ListQueuesRequest { page_size: 1000, page_token });
            let page = coordinator.queues().list_queues(request).await;
            let page = page.map_err(failed("list queues", &coordinator))?.into_inner();
            queues.extend(page.queues);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let answer = ListQueuesResponse { queues, next_page_token: String::new() };
        self.output.print(&answer, |answer| table(&answer.queues))?;
        Ok(Exit::Success)
    }
}

fn table(queues: &[QueueMessage]) -> String {
    if queues.is_empty() {
        return "no queues yet; the first job of one makes it, or `postq queue create NAME`"
            .to_owned();
    }
    let headings =
        ["name", "state", "jobs", "ready", "oldest", "scheduled", "parked", "running", "dead"];
    let mut table = output::table(headings);
    for queue in queues {
        let (settings, stats) =
            (queue.settings.clone().unwrap_or_default(), queue.stats.unwrap_or_default());
        let state = if settings.paused { "paused" } else { "open" };
        table.add_row([
            queue.name.clone(),
            state.to_owned(),
            of_limit(stats.jobs, settings.max_jobs),
            stats.ready.to_string(),
            stats.oldest_ready_age.as_ref().map_or("-".to_owned(), length),
            stats.scheduled.to_string(),
            stats.parked.to_string(),
            of_limit(stats.running, settings.max_running),
            stats.dead_letters.to_string(),
        ]);
    }
    output::lines_of(&table)
}

fn of_limit(count: i64, limit: i32) -> String {
    if limit > 0 { format!("{count}/{limit}") } else { count.to_string() }
}

fn length(duration: &pbjson_types::Duration) -> String {
    let seconds = u64::try_from(duration.seconds).unwrap_or_default();
    let nanos = u32::try_from(duration.nanos).unwrap_or_default();
    output::duration(Duration::new(seconds, nanos))
}

fn details(queue: &QueueMessage) -> String {
    let settings = queue.settings.clone().unwrap_or_default();
    let mut lines = vec![table(std::slice::from_ref(queue))];
    if !settings.description.is_empty() {
        lines.push(settings.description.clone());
    }
    if let Some(Ok(retry)) = settings.retry.as_ref().map(serde_json::to_string) {
        lines.push(format!("retry: {retry}"));
    }
    for (name, value) in
        [("timeout", &settings.timeout), ("expires after", &settings.expires_after)]
    {
        if let Some(value) = value {
            lines.push(format!("{name}: {}", length(value)));
        }
    }
    if let Some(Rate { limit, period: Some(period) }) = &settings.rate {
        lines.push(format!("rate: {limit} in {}", length(period)));
    }
    if settings.dead_letters == Some(false) {
        lines.push("dead letters: none are kept".to_owned());
    }
    if settings.aging > 0.0 {
        lines.push(format!("aging: {} points a minute", settings.aging));
    }
    if let Some(Retention { age, jobs }) = settings.retention {
        let age = age.as_ref().map(|age| format!("for {}", length(age)));
        let jobs = (jobs > 0).then(|| format!("at most {jobs}"));
        let kept: Vec<String> = age.into_iter().chain(jobs).collect();
        lines.push(format!("jobs that have ended are kept {}", kept.join(", ")));
    }
    if settings.notify {
        lines.push("its jobs notify what becomes of them".to_owned());
    }
    if let Some(Webhook { url, secret }) = &settings.webhook {
        lines.push(format!("webhook: {url}, signed with the secret {secret}"));
    }
    lines.join("\n")
}
