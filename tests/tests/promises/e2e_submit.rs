//! A job enters by gRPC: accepted whole, or refused with everything that is wrong with it.

use postq_proto::v1::{job, task};
use postq_tests::{Client, Cluster, PATIENCE, spec};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use uuid::Uuid;

/// PQ30: the first thing that anybody tries.
#[tokio::test]
async fn the_output_of_a_task_is_its_result() {
    let cluster = Cluster::start(&[1]).await;
    let job = cluster.client().run(&json!({"tasks": {"a": {"command": "echo Hey!"}}})).await;
    assert_eq!(job.state(), job::State::Succeeded);
    let task = &job.tasks["a"];
    assert_eq!((task.state(), task.results.as_str()), (task::State::Succeeded, "Hey!\n"));
    assert_eq!((task.errors.as_str(), task.attempts, task.crashes), ("", 1, 0));
    let attempt = task.attempt.as_ref().unwrap();
    assert_eq!((attempt.agent.as_str(), attempt.exit_code), ("agent-1", Some(0)));
    for time in [job.created_at, job.started_at, job.finished_at, attempt.finished_at] {
        assert!(time.is_some(), "{job:?}");
    }
}

#[tokio::test]
async fn reflection_names_the_services_and_health_answers() {
    let cluster = Cluster::start(&[]).await;
    let mut health = HealthClient::new(cluster.client().channel());
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(cluster.client().channel());
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let asked = reflection.server_reflection_info(tokio_stream::once(ask)).await;
    let answer = asked.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("not a list of services: {answer:?}");
    };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for wanted in [
        "JobService",
        "DispatchService",
        "WorkspaceService",
        "AgentService",
        "QueueService",
        "ScheduleService",
        "DeadLetterService",
    ] {
        assert!(names.contains(&format!("postq.v1.{wanted}").as_str()), "{names:?}");
    }
}

/// The refusal of a document, of which nothing must be stored.
async fn refusal(cluster: &Cluster, document: &Value) -> Status {
    let refused = cluster.client().try_submit(document).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{document}: {refused}");
    for table in ["job", "job_spec", "task", "task_spec", "ready", "submission"] {
        let query = format!("select count(*) from postq.{table}");
        assert_eq!(cluster.database.value::<i64>(&query).await, 0, "{document}: {table}");
    }
    refused
}

/// The same document by SQL: what Postgres says, with the details.
async fn refusal_by_sql(cluster: &Cluster, document: &Value) -> String {
    let refused = cluster.database.submit(document).await.unwrap_err();
    let error = refused.as_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("PQ002"));
    let error: &sqlx::postgres::PgDatabaseError = error.downcast_ref();
    format!("{}\n{}", error.message(), error.detail().unwrap_or_default())
}

fn graph(tasks: &[(&str, &[&str])]) -> Value {
    let task = |(name, depends): &(&str, &[&str])| {
        ((*name).to_owned(), json!({"command": "true", "depends": depends}))
    };
    json!({"tasks": tasks.iter().map(task).collect::<serde_json::Map<_, _>>()})
}

/// PQ2, PQ3, PQ4: by both doors.
#[tokio::test]
async fn a_graph_that_is_none_is_refused_naming_all_its_faults_and_nothing_is_stored() {
    let cluster = Cluster::start(&[]).await;
    let faulty: [(Value, &[&str]); 5] = [
        (graph(&[("a", &[]), ("b", &["zz"])]), &["tasks.b.depends", "zz"]),
        (graph(&[("a", &["a"])]), &["tasks.a"]),
        (graph(&[("a", &["b"]), ("b", &["a"])]), &["a", "b", "wait for each other"]),
        (graph(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"])]), &["a", "b", "c"]),
        (
            graph(&[("a", &["yy"]), ("b", &["zz"])]),
            &["tasks.a.depends", "yy", "tasks.b.depends", "zz"],
        ),
    ];
    for (document, wanted) in faulty {
        let by_sql = refusal_by_sql(&cluster, &document).await;
        let by_grpc = refusal(&cluster, &document).await;
        for word in wanted {
            assert!(by_grpc.message().contains(word), "{word}: {by_grpc}");
            assert!(by_sql.contains(word), "{word}: {by_sql}");
        }
    }
}

/// PQ18, PQ21, PQ42: what cannot run is refused, and what comes after it runs.
#[tokio::test]
async fn a_job_without_a_task_a_command_or_an_image_is_refused_and_the_next_one_runs() {
    let cluster = Cluster::start(&[1]).await;
    for (document, field) in [
        (json!({"tasks": {}}), "tasks"),
        (json!({}), "tasks"),
        (json!({"tasks": {"a": {}}}), "tasks.a.command"),
        (json!({"tasks": {"a": {"command": ""}}}), "tasks.a.command"),
        (json!({"tasks": {"a": {"image": "", "command": "true"}}}), "tasks.a.image"),
    ] {
        let by_sql = refusal_by_sql(&cluster, &document).await;
        let by_grpc = refusal(&cluster, &document).await;
        assert!(by_grpc.message().starts_with(field), "{field}: {by_grpc}");
        assert!(by_sql.contains(field), "{field}: {by_sql}");
    }
    let job = cluster.client().run(&json!({"tasks": {"a": {"command": "echo on"}}})).await;
    assert_eq!(job.tasks["a"].results, "on\n");
}

/// PQ5: what follows from other edges is no edge.
#[tokio::test]
async fn the_stored_graph_is_reduced_and_the_reported_one_is_as_written() {
    let cluster = Cluster::start(&[1]).await;
    let document = graph(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]);
    let id = cluster.submit(&document).await;
    let edges: Vec<String> = cluster
        .database
        .value(&format!(
            "select array_agg(p.name || '>' || s.name order by p.name) from postq.task_spec s
             cross join unnest(s.parents) as parent (n)
             join postq.task_spec p on p.job = s.job and p.n = parent.n where s.job = '{id}'"
        ))
        .await;
    assert_eq!(edges, ["a>b", "b>c"]);
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["c"].depends, ["a", "b"]);
}

/// PQ6: the order of the plan is the same whenever and however the job is written.
#[tokio::test]
async fn tasks_are_listed_in_one_topological_order_with_known_relatives() {
    let cluster = Cluster::start(&[]).await;
    let edges: [(&str, &[&str]); 7] = [
        ("fetch", &[]),
        ("config", &[]),
        ("build", &["fetch", "config"]),
        ("lint", &["fetch"]),
        ("test", &["build"]),
        ("docs", &["build"]),
        ("ship", &["test", "docs", "lint"]),
    ];
    let mut reversed = edges;
    reversed.reverse();
    let client = cluster.client();
    for document in [graph(&edges), graph(&reversed)] {
        let id = client.submit(&document).await;
        let tasks = client.tasks(id, 3).await;
        let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
        assert_eq!(names, ["config", "fetch", "build", "lint", "docs", "test", "ship"]);
        let relatives = |from: &'static str, to: &'static str| {
            format!(
                "with recursive edge as (
                     select s.n as child, p.n as parent from postq.task_spec s
                     cross join unnest(s.parents) as p (n) where s.job = '{id}'
                 ), found as (
                     select n from postq.task_spec where job = '{id}' and name = 'build'
                     union select e.{to} from edge e join found f on e.{from} = f.n
                 )
                 select array_agg(s.name order by s.n) from found f
                 join postq.task_spec s on s.job = '{id}' and s.n = f.n and s.name <> 'build'"
            )
        };
        let names = async |query: String| cluster.database.value::<Vec<String>>(&query).await;
        assert_eq!(names(relatives("child", "parent")).await, ["config", "fetch"]);
        assert_eq!(names(relatives("parent", "child")).await, ["docs", "test", "ship"]);
    }
}

async fn submit_as(client: &Client, id: &str, command: &str) -> Result<Uuid, Status> {
    client.submit_spec(spec(&json!({"tasks": {"a": {"command": command}}})), id).await
}

#[tokio::test]
async fn a_submit_that_is_sent_again_is_the_same_job_and_another_document_is_refused() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let id = Uuid::now_v7();
    let sent = (0..8).map(|_| async { submit_as(&client, &id.to_string(), "echo one").await });
    for answer in futures::future::join_all(sent).await {
        assert_eq!(answer.unwrap(), id);
    }
    client.wait(id, PATIENCE).await;
    assert_eq!(submit_as(&client, &id.to_string(), "echo one").await.unwrap(), id);
    let refused = submit_as(&client, &id.to_string(), "echo two").await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    assert_eq!(cluster.database.outcomes(id).await, "a succeeded");

    for unfit in ["mine", &Uuid::new_v4().to_string()] {
        let refused = submit_as(&client, unfit, "true").await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn a_job_that_is_not_there_is_named() {
    let cluster = Cluster::start(&[]).await;
    let id = Uuid::now_v7();
    let missing = cluster.client().try_get(id).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().contains(&id.to_string()), "{missing}");
}
