//! Whatever a client sends, it is told what is wrong with it by a code of its own, never by one that stands for a
//! coordinator or a database that is broken; and nothing is stored.

use std::{fmt::Debug, future::Future};

use pbjson_types::Duration;
use postq_proto::v1::{
    CancelJobRequest, CancelJobsRequest, DeleteQueueRequest, DeleteScheduleRequest, GetJobRequest,
    GetQueueRequest, GetQueueStatsRequest, GetScheduleRequest, ListDeadLettersRequest,
    ListJobsRequest, ListQueuesRequest, ListSchedulesRequest, ListTasksRequest, PauseQueueRequest,
    PauseScheduleRequest, PurgeDeadLettersRequest, PutQueueRequest, PutScheduleRequest,
    QueueSettings, ReadLogsRequest, RedriveDeadLettersRequest, ResumeQueueRequest,
    ResumeScheduleRequest, RetryJobRequest, Schedule, SubmitJobRequest, SubmitJobsRequest,
    TriggerScheduleRequest, WatchJobRequest, dead_letter_service_client::DeadLetterServiceClient,
    queue_service_client::QueueServiceClient, schedule_service_client::ScheduleServiceClient,
};
use postq_tests::{Cluster, spec};
use serde_json::json;
use tonic::{Code, Response, Status, Streaming};

/// Says what was wrong, if it was not as wanted.
async fn fault<T>(
    what: &str,
    wanted: Code,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Option<String> {
    match call.await {
        Err(status) if status.code() == wanted && !status.message().is_empty() => None,
        Err(status) => {
            Some(format!("{what}: {:?} {}, not {wanted:?}", status.code(), status.message()))
        }
        Ok(_) => Some(format!("{what}: fine, not {wanted:?}")),
    }
}

/// A stream is refused at once, or by its first word.
async fn first<T: Debug>(
    call: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
) -> Result<Response<Option<T>>, Status> {
    call.await?.into_inner().message().await.map(Response::new)
}

macro_rules! faults {
    ($faults:ident: $($wanted:ident $call:expr;)*) => {
        $($faults.extend(fault(stringify!($call), Code::$wanted, $call).await);)*
    };
}

/// A request with these fields, the others as they are by default.
macro_rules! of {
    ($request:ident $($field:ident: $value:expr),*) => {
        $request { $($field: $value,)* ..Default::default() }
    };
}

const UNKNOWN: &str = "0190f5a6-7b3c-7000-8000-000000000000";
const NUL: &str = "a\0b";

/// Rows in all tables but those that live on by themselves.
const ROWS: &str = "
    select coalesce(sum((xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %s', oid::regclass), false, true, '')))[1]::text::bigint), 0)::bigint
    from pg_class where relnamespace = 'postq'::regnamespace and relkind = 'r' and relname not in ('coordinator', 'agent', 'fact')";

fn text(value: &str) -> String {
    value.to_owned()
}

fn texts(value: &str) -> Vec<String> {
    vec![value.to_owned()]
}

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn every_call_about_jobs_says_what_is_wrong_with_it_and_stores_nothing() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    let open = client.submit(&json!({"tasks": {"a": {"command": "true"}}})).await.to_string();
    let before: i64 = cluster.database.value(ROWS).await;
    let job = || Some(spec(&json!({"tasks": {"a": {"command": "true"}}})));
    let with_nul = |place: &str| {
        let mut document = json!({"name": "n", "queue": "q", "attributes": {"a": "b"}, "data": {"a": "b"},
            "tasks": {"a": {"handler": "h", "arguments": {"a": "b"}, "env": {"A": "b"}}}});
        *document.pointer_mut(place).unwrap() = json!(NUL);
        Some(spec(&document))
    };
    let many = vec![SubmitJobRequest { job: job(), ..Default::default() }; 10_001];
    let mut jobs = client.jobs();
    let mut faults = Vec::new();
    for place in [
        "/name",
        "/queue",
        "/attributes/a",
        "/data/a",
        "/tasks/a/handler",
        "/tasks/a/arguments/a",
        "/tasks/a/env/A",
    ] {
        let call = jobs.submit_job(of!(SubmitJobRequest job: with_nul(place)));
        faults.extend(fault(place, Code::InvalidArgument, call).await);
    }
    faults!(faults:
        InvalidArgument jobs.submit_job(SubmitJobRequest::default());
        InvalidArgument jobs.submit_job(of!(SubmitJobRequest job: job(), id: text("x")));
        InvalidArgument jobs.submit_job(of!(SubmitJobRequest job: job(), id: text("00000000-0000-0000-0000-000000000000")));
        InvalidArgument jobs.submit_job(of!(SubmitJobRequest job: job(), wait: seconds(-1)));
        InvalidArgument jobs.submit_job(of!(SubmitJobRequest job: job(), wait: seconds(i64::MAX)));
        NotFound jobs.submit_job(of!(SubmitJobRequest job: job(), require_queue: true));
        AlreadyExists jobs.submit_job(of!(SubmitJobRequest job: with_nul("/name").map(|mut spec| { spec.name = "n".into(); spec }), id: open.clone()));
        InvalidArgument jobs.submit_jobs(SubmitJobsRequest { jobs: many });
        InvalidArgument jobs.submit_jobs(SubmitJobsRequest { jobs: vec![SubmitJobRequest::default()] });
        InvalidArgument jobs.get_job(GetJobRequest { id: text("") });
        InvalidArgument jobs.get_job(GetJobRequest { id: text(NUL) });
        NotFound jobs.get_job(GetJobRequest { id: text(UNKNOWN) });
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest page_size: -1));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest page_token: text("x")));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest page_token: text(NUL)));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest filter: text("$.a ==")));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest filter: text("$.a == \"\0\"")));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest queue: text(NUL)));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest ids: texts("x")));
        InvalidArgument jobs.list_jobs(of!(ListJobsRequest states: vec![99]));
        InvalidArgument jobs.list_tasks(of!(ListTasksRequest job_id: text("x")));
        NotFound jobs.list_tasks(of!(ListTasksRequest job_id: text(UNKNOWN)));
        InvalidArgument jobs.list_tasks(of!(ListTasksRequest job_id: open.clone(), page_size: -1));
        InvalidArgument jobs.list_tasks(of!(ListTasksRequest job_id: open.clone(), page_token: text("x")));
        InvalidArgument jobs.list_tasks(of!(ListTasksRequest job_id: open.clone(), states: vec![-1]));
        InvalidArgument first(jobs.watch_job(of!(WatchJobRequest id: text("x"))));
        NotFound first(jobs.watch_job(of!(WatchJobRequest id: text(UNKNOWN))));
        InvalidArgument jobs.cancel_job(CancelJobRequest { id: text("x"), reason: String::new() });
        NotFound jobs.cancel_job(CancelJobRequest { id: text(UNKNOWN), reason: String::new() });
        InvalidArgument jobs.cancel_job(CancelJobRequest { id: open.clone(), reason: text(NUL) });
        InvalidArgument jobs.cancel_jobs(CancelJobsRequest::default());
        InvalidArgument jobs.cancel_jobs(of!(CancelJobsRequest ids: texts("x")));
        InvalidArgument jobs.cancel_jobs(of!(CancelJobsRequest ids: vec![open.clone(); 10_001]));
        InvalidArgument jobs.cancel_jobs(of!(CancelJobsRequest filter: text("$$")));
        InvalidArgument jobs.cancel_jobs(of!(CancelJobsRequest queue: text("q"), reason: text(NUL)));
        InvalidArgument jobs.retry_job(of!(RetryJobRequest id: text("x")));
        NotFound jobs.retry_job(of!(RetryJobRequest id: text(UNKNOWN)));
        FailedPrecondition jobs.retry_job(of!(RetryJobRequest id: open.clone()));
        InvalidArgument jobs.retry_job(of!(RetryJobRequest id: open.clone(), new_id: text("x")));
        InvalidArgument jobs.retry_job(of!(RetryJobRequest id: open.clone(), tasks: texts(NUL)));
        InvalidArgument first(jobs.read_logs(of!(ReadLogsRequest job_id: text("x"))));
        InvalidArgument first(jobs.read_logs(of!(ReadLogsRequest job_id: open.clone(), tail_lines: -1)));
        NotFound first(jobs.read_logs(of!(ReadLogsRequest job_id: text(UNKNOWN))));
        NotFound first(jobs.read_logs(of!(ReadLogsRequest job_id: open.clone(), tasks: texts("odd"))));
        NotFound first(jobs.read_logs(of!(ReadLogsRequest job_id: open.clone(), attempt: i64::MAX)));
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(cluster.database.value::<i64>(ROWS).await, before, "something was stored");
}

#[tokio::test]
async fn every_call_about_queues_schedules_and_dead_letters_says_what_is_wrong_with_it() {
    let cluster = Cluster::start(&[]).await;
    let client = cluster.client();
    client.submit(&json!({"queue": "used", "tasks": {"a": {"command": "true"}}})).await;
    cluster.database.execute("select postq.create_queue('used')").await;
    let before: i64 = cluster.database.value(ROWS).await;
    let set =
        |settings: QueueSettings| of!(PutQueueRequest name: text("q"), settings: Some(settings));
    let schedule = |change: &dyn Fn(&mut Schedule)| {
        let job = Some(spec(&json!({"tasks": {"a": {"command": "true"}}})));
        let mut schedule = of!(Schedule name: text("s"), cron: text("* * * * *"), job: job);
        change(&mut schedule);
        PutScheduleRequest { schedule: Some(schedule) }
    };
    let mut queues = QueueServiceClient::new(client.channel());
    let mut schedules = ScheduleServiceClient::new(client.channel());
    let mut letters = DeadLetterServiceClient::new(client.channel());
    let mut faults = Vec::new();
    faults!(faults:
        InvalidArgument queues.put_queue(PutQueueRequest::default());
        InvalidArgument queues.put_queue(of!(PutQueueRequest name: text("dlq@q")));
        InvalidArgument queues.put_queue(of!(PutQueueRequest name: text(NUL)));
        InvalidArgument queues.put_queue(of!(PutQueueRequest name: text("q"), fields: texts("nothing")));
        InvalidArgument queues.put_queue(set(of!(QueueSettings max_running: -1)));
        InvalidArgument queues.put_queue(set(of!(QueueSettings max_jobs: -1)));
        InvalidArgument queues.put_queue(set(of!(QueueSettings aging: f64::NAN)));
        InvalidArgument queues.put_queue(set(of!(QueueSettings aging: f64::INFINITY)));
        InvalidArgument queues.put_queue(set(of!(QueueSettings aging: -1.0)));
        InvalidArgument queues.put_queue(set(of!(QueueSettings timeout: seconds(-1))));
        InvalidArgument queues.put_queue(set(of!(QueueSettings timeout: seconds(i64::MAX))));
        InvalidArgument queues.put_queue(set(of!(QueueSettings timeout: Some(Duration { seconds: 1, nanos: -5 }))));
        InvalidArgument queues.put_queue(set(of!(QueueSettings expires_after: seconds(i64::MIN))));
        InvalidArgument queues.put_queue(set(of!(QueueSettings description: "x".repeat(1001))));
        InvalidArgument queues.put_queue(set(of!(QueueSettings description: text(NUL))));
        NotFound queues.get_queue(GetQueueRequest { name: text("unknown") });
        InvalidArgument queues.get_queue(GetQueueRequest { name: text(NUL) });
        InvalidArgument queues.list_queues(of!(ListQueuesRequest page_size: -1));
        InvalidArgument queues.list_queues(of!(ListQueuesRequest page_token: text(NUL)));
        InvalidArgument queues.delete_queue(DeleteQueueRequest::default());
        FailedPrecondition queues.delete_queue(of!(DeleteQueueRequest name: text("used")));
        InvalidArgument queues.pause_queue(PauseQueueRequest::default());
        InvalidArgument queues.resume_queue(ResumeQueueRequest::default());
        InvalidArgument queues.pause_queue(PauseQueueRequest { name: "x".repeat(256) });
        InvalidArgument queues.get_queue_stats(GetQueueStatsRequest { name: text(NUL) });
        InvalidArgument schedules.put_schedule(PutScheduleRequest::default());
        InvalidArgument schedules.put_schedule(schedule(&|s| s.name.clear()));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.name = text(NUL)));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.job = None));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.cron = text("61 * * * *")));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.cron = text("0 0 30 2 *")));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.cron = text(NUL)));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.cron.clear()));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.every = seconds(60)));
        InvalidArgument schedules.put_schedule(schedule(&|s| { s.cron.clear(); s.every = seconds(0) }));
        InvalidArgument schedules.put_schedule(schedule(&|s| { s.cron.clear(); s.every = seconds(i64::MAX) }));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.time_zone = text("Mars/Base")));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.overlap = 99));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.catch_up = -1));
        InvalidArgument schedules.put_schedule(schedule(&|s| s.catch_up_limit = -1));
        NotFound schedules.get_schedule(GetScheduleRequest { name: text("unknown") });
        InvalidArgument schedules.get_schedule(GetScheduleRequest { name: text(NUL) });
        NotFound schedules.delete_schedule(DeleteScheduleRequest { name: text("unknown") });
        NotFound schedules.pause_schedule(PauseScheduleRequest { name: text("unknown") });
        NotFound schedules.resume_schedule(ResumeScheduleRequest { name: text("unknown") });
        NotFound schedules.trigger_schedule(TriggerScheduleRequest { name: text("unknown") });
        InvalidArgument schedules.list_schedules(of!(ListSchedulesRequest page_size: -1));
        InvalidArgument schedules.list_schedules(of!(ListSchedulesRequest page_token: text(NUL)));
        InvalidArgument letters.list_dead_letters(of!(ListDeadLettersRequest page_size: -1));
        InvalidArgument letters.list_dead_letters(of!(ListDeadLettersRequest page_token: text("x")));
        InvalidArgument letters.list_dead_letters(of!(ListDeadLettersRequest queue: text(NUL)));
        InvalidArgument letters.redrive_dead_letters(RedriveDeadLettersRequest::default());
        InvalidArgument letters.redrive_dead_letters(of!(RedriveDeadLettersRequest job_ids: texts("x")));
        InvalidArgument letters.redrive_dead_letters(of!(RedriveDeadLettersRequest queue: text("q"), max_count: -1));
        InvalidArgument letters.purge_dead_letters(PurgeDeadLettersRequest::default());
        InvalidArgument letters.purge_dead_letters(of!(PurgeDeadLettersRequest job_ids: texts("x")));
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(cluster.database.value::<i64>(ROWS).await, before, "something was stored");
}
