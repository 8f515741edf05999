//! A client of one coordinator, as the tests speak: documents in, jobs out.
//!
//! Everything goes over the wire; nothing here looks into the database.

use std::{collections::BTreeMap, time::Duration};

use postq_cli::client::Coordinator;
use postq_proto::{
    document::job_from_json,
    v1::{
        Agent, CancelJobRequest, GetJobRequest, Job, JobSpec, ListAgentsRequest, ListTasksRequest,
        ReadLogsRequest, ReadLogsResponse, SubmitJobRequest, Task, agent_service_client, job,
        job_service_client::JobServiceClient,
    },
};
use postq_runtime::channel::Channel;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tonic::Status;
use uuid::Uuid;

use crate::eventually::LOOK_EVERY;

/// How long anything may take that should take a moment: the machines that run tests are slow,
/// and shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    coordinator: Coordinator,
}

impl Client {
    /// Of the coordinator at `url`; connects at the first call.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let coordinator = Coordinator::connect_lazily(url, token).expect("an address and a token");
        Self { coordinator }
    }

    /// The generated client of jobs.
    pub fn jobs(&self) -> JobServiceClient<Channel> {
        self.coordinator.jobs()
    }

    /// What every generated client is made of.
    pub fn channel(&self) -> Channel {
        self.coordinator.channel()
    }

    /// Submits a document that is well-formed.
    pub async fn submit(&self, document: &Value) -> Uuid {
        self.try_submit(document).await.expect("a job that is accepted")
    }

    /// Submits a document that is well-formed, or tells why it is refused.
    pub async fn try_submit(&self, document: &Value) -> Result<Uuid, Status> {
        self.submit_spec(spec(document), "").await
    }

    /// Submits a job under an id; empty leaves it to the coordinator.
    pub async fn submit_spec(&self, job: JobSpec, id: &str) -> Result<Uuid, Status> {
        let request =
            SubmitJobRequest { job: Some(job), id: id.to_owned(), ..SubmitJobRequest::default() };
        let answer = self.jobs().submit_job(request).await?.into_inner();
        Ok(answer.id.parse().expect("the id of a job"))
    }

    /// The job as it is.
    pub async fn get(&self, id: Uuid) -> Job {
        self.try_get(id).await.expect("a job that is there")
    }

    /// The job as it is, or why not.
    pub async fn try_get(&self, id: Uuid) -> Result<Job, Status> {
        let request = GetJobRequest { id: id.to_string() };
        Ok(self.jobs().get_job(request).await?.into_inner().job.unwrap_or_default())
    }

    /// Waits until the job has ended. A coordinator that does not answer meanwhile may be one that
    /// the test has killed.
    pub async fn wait(&self, id: Uuid, limit: Duration) -> Job {
        self.wait_until(id, "the job ends", limit, has_ended).await
    }

    /// Waits until the job is as wanted.
    pub async fn wait_until(
        &self,
        id: Uuid,
        what: &str,
        limit: Duration,
        is_wanted: impl Fn(&Job) -> bool,
    ) -> Job {
        let deadline = Instant::now() + limit;
        loop {
            let seen = match self.try_get(id).await {
                Ok(job) if is_wanted(&job) => return job,
                Ok(job) => format!("{:?} ({}): {}", job.state(), job.reason, states(&job)),
                Err(status) => status.to_string(),
            };
            assert!(Instant::now() < deadline, "not within {limit:?}: {what}; it is {seen}");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Submits a job and waits for its end.
    pub async fn run(&self, document: &Value) -> Job {
        let id = self.submit(document).await;
        self.wait(id, PATIENCE).await
    }

    /// Asks for the end of a job.
    pub async fn cancel(&self, id: Uuid, reason: &str) -> Job {
        let request = CancelJobRequest { id: id.to_string(), reason: reason.to_owned() };
        let answer = self.jobs().cancel_job(request).await.expect("a job to cancel");
        answer.into_inner().job.unwrap_or_default()
    }

    /// All its tasks, page by page.
    pub async fn tasks(&self, id: Uuid, page_size: i32) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListTasksRequest {
                job_id: id.to_string(),
                page_size,
                page_token,
                ..Default::default()
            };
            let page = self.jobs().list_tasks(request).await.expect("tasks").into_inner();
            tasks.extend(page.tasks);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return tasks;
            }
        }
    }

    /// The output of its tasks to the end.
    pub async fn logs(&self, id: Uuid) -> Vec<ReadLogsResponse> {
        let request =
            ReadLogsRequest { job_id: id.to_string(), follow: true, ..Default::default() };
        let mut stream = self.jobs().read_logs(request).await.expect("logs").into_inner();
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.message().await.expect("a whole stream of logs") {
            chunks.push(chunk);
        }
        chunks
    }

    /// The agents that are connected to any coordinator, by name.
    pub async fn agents(&self) -> Result<BTreeMap<String, Agent>, Status> {
        let mut agents = agent_service_client::AgentServiceClient::new(self.channel());
        let request = ListAgentsRequest { page_size: 1000, ..Default::default() };
        let answer = agents.list_agents(request).await?.into_inner();
        let connected = answer.agents.into_iter().filter(|agent| agent.is_connected);
        Ok(connected.map(|agent| (agent.name.clone(), agent)).collect())
    }
}

/// A document as the message it stands for.
pub fn spec(document: &Value) -> JobSpec {
    job_from_json(document).expect("a well-formed document")
}

/// Whether nothing can change the job any more.
pub fn has_ended(job: &Job) -> bool {
    matches!(job.state(), job::State::Succeeded | job::State::Failed | job::State::Cancelled)
}

/// The states of its tasks in the order of their names: `"a succeeded, b failed"`.
pub fn states(job: &Job) -> String {
    let word = |task: &Task| task.state().as_str_name().to_lowercase();
    let words: Vec<_> =
        job.tasks.values().map(|task| format!("{} {}", task.name, word(task))).collect();
    words.join(", ")
}
