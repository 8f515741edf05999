//! A language worker whose handler does nothing: what it is given it reports as succeeded at once.

use anyhow::{Context, bail};
use postq_proto::v1::{
    Assignment, ConnectRequest, ConnectResponse, Held, Hello, Report, attempt, connect_request,
    connect_response::Message, dispatch_service_client::DispatchServiceClient,
};
use postq_runtime::channel::MESSAGE_LIMIT;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

use super::bed::{Bed, HANDLER};

/// Reports on their way.
const OUTBOX: usize = 1024;

/// A connected worker.
pub(super) struct Worker {
    words: mpsc::Sender<ConnectRequest>,
    answers: Streaming<ConnectResponse>,
}

impl Worker {
    /// Connects with that many slots.
    pub(super) async fn connect(bed: &Bed, slots: usize) -> anyhow::Result<Self> {
        let (words, outbox) = mpsc::channel(OUTBOX);
        let hello = Hello {
            agent_id: Uuid::new_v4().to_string(),
            boot_id: Uuid::new_v4().to_string(),
            name: "bench".to_owned(),
            host: "here".to_owned(),
            version: "bench".to_owned(),
            slots: i32::try_from(slots)?,
            handlers: vec![HANDLER.to_owned()],
            reads_more: true,
            ..Default::default()
        };
        words.send(say(connect_request::Message::Hello(hello))).await?;
        let mut client = DispatchServiceClient::new(bed.cluster.client().channel())
            .max_decoding_message_size(MESSAGE_LIMIT);
        let answers = client.connect(ReceiverStream::new(outbox)).await?.into_inner();
        Ok(Self { words, answers })
    }

    /// Works until that many more attempts have been recorded.
    pub(super) async fn work(&mut self, tasks: usize) -> anyhow::Result<()> {
        let mut recorded = 0;
        while recorded < tasks {
            let answer = self.answers.message().await?.context("the coordinator left")?;
            let mut reports = Vec::new();
            for message in answer.words().flatten() {
                match message {
                    Message::Assignment(task) => reports.push(succeeded(task)),
                    Message::Recorded(_) => recorded += 1,
                    Message::Abandon(_) | Message::Cancel(_) => bail!("a task was taken away"),
                    _ => {}
                }
            }
            for report in reports {
                self.words.send(report).await?;
            }
        }
        Ok(())
    }
}

fn succeeded(task: Assignment) -> ConnectRequest {
    let of = Held { attempt: task.attempt, job_id: task.job_id, task: task.task };
    let outcome = attempt::Outcome::Succeeded.into();
    say(connect_request::Message::Report(Report { of: Some(of), outcome, ..Default::default() }))
}

fn say(message: connect_request::Message) -> ConnectRequest {
    ConnectRequest { message: Some(message), ..Default::default() }
}
