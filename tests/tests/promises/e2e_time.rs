//! Jobs that begin later, run out of time, are tried again, and are made by schedules, over real
//! processes.

use std::time::Duration;

use postq_proto::v1::{
    Job, PutScheduleRequest, RetryJobRequest, Schedule, job, schedule_service_client,
};
use postq_tests::{Cluster, PATIENCE, eventually, has_ended, states};
use serde_json::{Value, json};
use uuid::Uuid;

/// From the creation of a job to the start of its first task.
fn waited(job: &Job) -> f64 {
    let seconds = |at: &Option<pbjson_types::Timestamp>| {
        let at = at.as_ref().unwrap();
        at.seconds as f64 + f64::from(at.nanos) / 1e9
    };
    seconds(&job.started_at) - seconds(&job.created_at)
}

/// PQ32, JQ27: by gRPC and by SQL, by delay and by time, with any zone; the client need not stay.
#[tokio::test]
async fn a_job_begins_at_its_time_and_soon_after_it() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let task = json!({"a": {"command": "true"}, "b": {"command": "true", "depends": ["a"]}});
    let by_delay = json!({"delay": "2s", "tasks": task});
    let first = client.submit(&by_delay).await;
    let waiting = client.get(first).await;
    assert_eq!(waiting.state(), job::State::Scheduled);
    assert_eq!(states(&waiting), "a scheduled, b blocked");
    let second = cluster.database.submit(&by_delay).await.unwrap();
    let zoned = "select to_char((now() + interval '2 s') at time zone 'Asia/Kolkata', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+05:30'";
    let at: String = cluster.database.value(zoned).await;
    let third = client.submit(&json!({"run_at": at, "tasks": task})).await;
    for (id, least) in [(first, 2.0), (second, 2.0), (third, 1.9)] {
        let job = client.wait(id, PATIENCE).await;
        assert_eq!(job.state(), job::State::Succeeded);
        let waited = waited(&job);
        assert!((least..4.0).contains(&waited), "{waited} s");
    }
    for past in [
        json!({"delay": "0s", "tasks": task}),
        json!({"run_at": "2020-01-01T00:00:00Z", "tasks": task}),
    ] {
        let job = client.run(&past).await;
        assert!(waited(&job) < 1.5, "{} s", waited(&job));
    }
}

/// PQ33, DQ8: what waits for its time is no hindrance, and what is due starts in the order of its
/// times.
#[tokio::test]
async fn jobs_start_in_the_order_of_their_times_and_then_of_their_submission() {
    let cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let log = cluster.path("order");
    let job = |name: String, delay: Option<String>| {
        let command = format!("echo {name} >> {}", log.display());
        let mut document = json!({"tasks": {"a": {"command": command, "workspace": "NONE"}}});
        document["delay"] = json!(delay);
        document
    };
    let mut ids = Vec::new();
    for n in (0..5).rev() {
        let delay = format!("{:.1}s", 3.0 + f64::from(n) * 0.1);
        ids.push(client.submit(&job(format!("later{n}"), Some(delay))).await);
    }
    for n in 0..20 {
        ids.push(client.submit(&job(format!("now{n}"), None)).await);
    }
    for id in ids {
        client.wait(id, PATIENCE).await;
    }
    let now = (0..20).map(|n| format!("now{n}"));
    let wanted: Vec<String> = now.chain((0..5).map(|n| format!("later{n}"))).collect();
    assert_eq!(cluster.lines("order"), wanted);
}

#[tokio::test]
async fn a_job_that_runs_too_long_is_stopped_and_one_that_nobody_starts_expires() {
    let mut cluster = Cluster::start(&[1]).await;
    let client = cluster.client();
    let slow = json!({"timeout": "1s", "tasks": {
        "a": {"command": "sleep 1000", "grace": "1s", "retry": {"max_attempts": 9}},
        "b": {"command": "true", "depends": ["a"]}}});
    let blocking = client.submit(&slow).await;
    let behind = json!({"expires_after": "0.5s", "tasks": {"a": {"command": "true"}}});
    client
        .wait_until(blocking, "it runs", PATIENCE, |job| job.state() == job::State::Running)
        .await;
    let behind = client.submit(&behind).await;
    let job = client.wait(behind, PATIENCE).await;
    assert_eq!((job.state(), job.reason.as_str()), (job::State::Failed, "expired"));
    let job = client.wait(blocking, PATIENCE).await;
    assert_eq!((job.state(), job.reason.as_str()), (job::State::Failed, "timed out"));
    assert_eq!(states(&job), "a failed, b skipped");
    assert_eq!(job.tasks["a"].reason, "the job timed out");
    let letters: i64 = cluster.database.value("select count(*) from postq.dead_letters").await;
    assert_eq!(letters, 2, "what expired, and what was stopped");
    assert!(cluster.coordinator(0).ended().is_none());
}

/// PT14, JQ42: pauses as listed, and only for the exit codes that are named.
#[tokio::test]
async fn a_task_is_tried_again_after_the_pauses_and_for_the_exit_codes_of_its_policy() {
    let cluster = Cluster::start(&[2]).await;
    let log = cluster.path("times");
    let command = format!("date +%s.%N >> {}; exit ${{CODE:-75}}", log.display());
    let retry =
        json!({"max_attempts": 4, "delays": ["0.2s", "1s"], "jitter": 0, "exit_codes": [75]});
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "a": {"command": command, "retry": retry, "workspace": "NONE"},
            "b": {"command": "exit 3", "retry": retry}}}))
        .await;
    assert_eq!(states(&job), "a failed, b failed");
    assert_eq!((job.tasks["a"].attempts, job.tasks["b"].attempts), (4, 1));
    let times: Vec<f64> = cluster.lines("times").iter().map(|line| line.parse().unwrap()).collect();
    let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, wanted) in pauses.iter().zip([0.2, 1.0, 1.0]) {
        assert!((wanted..wanted + 1.0).contains(pause), "{pauses:?}");
    }
}

/// PQ13, PQ14: output on standard error alone is no failure; a job is as bad as its worst task.
#[tokio::test]
async fn a_task_that_only_complains_has_succeeded_and_its_dependants_run() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let job = client
        .run(&json!({"tasks": {"a": {"command": "echo careful >&2"}, "b": {"command": "true", "depends": ["a"]}}}))
        .await;
    assert_eq!(job.state(), job::State::Succeeded);
    assert_eq!(
        (states(&job).as_str(), job.tasks["a"].errors.as_str()),
        ("a succeeded, b succeeded", "careful\n")
    );
    let job =
        client.run(&json!({"tasks": {"a": {"command": "true"}, "b": {"command": "false"}}})).await;
    assert_eq!(job.state(), job::State::Failed);
    let id = client.submit(&json!({"tasks": {"a": {"command": "sleep 1000"}}})).await;
    client.cancel(id, "enough").await;
    assert_eq!(client.wait(id, PATIENCE).await.state(), job::State::Cancelled);
}

/// The files of what is carried over are there for what runs again.
#[tokio::test]
async fn a_retry_runs_what_failed_with_the_files_that_were_left_to_it() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let gate = cluster.path("gate");
    let job = client
        .run(&json!({"tasks": {
            "make": {"command": "date +%N > stamp; cat stamp"},
            "check": {"depends": ["make"], "command": format!("cat stamp; test -e {}", gate.display())},
            "last": {"depends": ["check"], "command": "cat stamp"}}}))
        .await;
    assert_eq!(states(&job), "check failed, last skipped, make succeeded");
    cluster.touch("gate");
    let request = RetryJobRequest { id: job.id.clone(), ..RetryJobRequest::default() };
    let id = client.jobs().retry_job(request).await.unwrap().into_inner().id;
    let again = client.wait(id.parse().unwrap(), PATIENCE).await;
    assert_eq!(states(&again), "check succeeded, last succeeded, make succeeded");
    assert_eq!((&*again.retry_of, &*job.retry_of), (&*job.id, ""));
    let stamp = &job.tasks["make"].results;
    for name in ["make", "check", "last"] {
        assert_eq!(&again.tasks[name].results, stamp, "{name}");
    }
    let request = RetryJobRequest { id, ..RetryJobRequest::default() };
    let status = client.jobs().retry_job(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    let request = RetryJobRequest { id: Uuid::now_v7().to_string(), ..RetryJobRequest::default() };
    let status = client.jobs().retry_job(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound, "{status:?}");
}

/// Jobs of a schedule as they were made: how many, and how many different times.
async fn fired(cluster: &Cluster, name: &str) -> i64 {
    let count =
        format!("select count(*) from postq.jobs where name = '{name}' and state = 'succeeded'");
    cluster.database.value(&count).await
}

/// DQ24, PT18: three coordinators, twenty times, twenty jobs, also when one of them dies.
#[tokio::test]
async fn each_time_of_a_schedule_makes_one_job_however_many_coordinators_run() {
    let mut cluster = Cluster::create(postq_tests::Database::create().await);
    cluster.add_coordinators(3).await;
    cluster.add_agent(postq_tests::AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    let job = r#"'{"tasks": {"a": {"command": "true", "workspace": "NONE"}}}'"#;
    let put = format!(
        "select postq.schedule('tick', {job}, '* * * * * *', catch_up => 'all', catch_up_limit => 1000)"
    );
    cluster.database.execute(&put).await;
    eventually("it has fired a few times", PATIENCE, async || {
        (fired(&cluster, "tick").await >= 5).then_some(())
    })
    .await;
    cluster.coordinator(1).kill().await;
    eventually("it has fired twenty times", PATIENCE, async || {
        (fired(&cluster, "tick").await >= 20).then_some(())
    })
    .await;
    cluster.database.execute("select postq.pause_schedule('tick')").await;
    let counted = "select fired = (select count(*) from postq.jobs)
                   and fired = extract(epoch from s.last_at - date_trunc('second', s.created_at))
                   from postq.schedules s";
    let look: Value = cluster
        .database
        .json("select to_jsonb(s) || jsonb_build_object('jobs', (select count(*) from postq.job)) from postq.schedules s")
        .await;
    assert!(cluster.database.value::<bool>(counted).await, "{look}");
}

/// DQ23, DQ25: put, looked at, replaced and removed by gRPC; what is wrong is told with its field.
#[tokio::test]
async fn schedules_are_looked_after_by_grpc_and_say_when_they_fire() {
    let cluster = Cluster::start(&[2]).await;
    let mut schedules =
        schedule_service_client::ScheduleServiceClient::new(cluster.client().channel());
    let job = postq_tests::spec(&json!({"tasks": {"a": {"command": "true", "workspace": "NONE"}}}));
    let good = Schedule {
        name: "daily".into(),
        cron: "30 2 * * *".into(),
        time_zone: "Europe/Berlin".into(),
        job: Some(job),
        ..Schedule::default()
    };
    let put = |schedule: Schedule| PutScheduleRequest { schedule: Some(schedule) };
    let bad = Schedule { cron: "0 0 30 2 *".into(), ..good.clone() };
    let status = schedules.put_schedule(put(bad)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("schedule.cron"), "{status:?}");
    let stored = schedules.put_schedule(put(good.clone())).await.unwrap().into_inner();
    let next = stored.schedule.unwrap().next_at.unwrap();
    assert_eq!(next.seconds % 1800, 0);
    let often = Schedule {
        cron: String::new(),
        every: Some(Duration::from_secs(1).into()),
        overlap: postq_proto::v1::schedule::Overlap::Queue.into(),
        ..good
    };
    schedules.put_schedule(put(often)).await.unwrap();
    eventually("it has fired", PATIENCE, async || {
        (fired(&cluster, "daily").await >= 2).then_some(())
    })
    .await;
    let name = "daily".to_owned();
    let get = postq_proto::v1::GetScheduleRequest { name: name.clone() };
    let shown = schedules.get_schedule(get.clone()).await.unwrap().into_inner().schedule.unwrap();
    assert!(shown.fired >= 2 && shown.last_at.is_some() && shown.next_at.is_some(), "{shown:?}");
    let trigger = postq_proto::v1::TriggerScheduleRequest { name: name.clone() };
    let id = schedules.trigger_schedule(trigger).await.unwrap().into_inner().job_id;
    let job =
        cluster.client().wait_until(id.parse().unwrap(), "it ends", PATIENCE, has_ended).await;
    assert_eq!(job.state(), job::State::Succeeded);
    let delete = postq_proto::v1::DeleteScheduleRequest { name };
    schedules.delete_schedule(delete.clone()).await.unwrap();
    for gone in [
        schedules.get_schedule(get).await.unwrap_err(),
        schedules.delete_schedule(delete).await.unwrap_err(),
    ] {
        assert_eq!(gone.code(), tonic::Code::NotFound);
    }
}

/// DQ25: what only a coordinator can see is told in the schedule.
#[tokio::test]
async fn a_schedule_by_sql_whose_expression_means_nothing_says_so() {
    let cluster = Cluster::start(&[]).await;
    let job = r#"'{"tasks": {"a": {"command": "true"}}}'"#;
    cluster.database.execute(&format!("select postq.schedule('x', {job}, '61 * * * *')")).await;
    let error = eventually("its error is told", PATIENCE, async || {
        cluster.database.value::<Option<String>>("select error from postq.schedules").await
    })
    .await;
    assert!(error.contains("cron expression"), "{error}");
    cluster.database.execute(&format!("select postq.schedule('x', {job}, '0 8 * * *')")).await;
    eventually("its next time is told", PATIENCE, async || {
        let next = "select error is null and next_at > now() from postq.schedules";
        cluster.database.value::<Option<bool>>(next).await.filter(|is_told| *is_told)
    })
    .await;
}

/// An agent that hears no coordinator kills what must not overlap another execution, before anybody
/// takes it for lost; other tasks go on.
#[tokio::test]
async fn what_is_delivered_at_most_once_does_not_outlive_the_contact_to_its_coordinator() {
    let mut cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let marks = ["once", "often"].map(|name| cluster.path(name));
    let command =
        |mark: &std::path::Path| format!("echo up >> {}.up; sleep 1000; true", mark.display());
    let retry = json!({"max_attempts": 3, "backoff": "0s"});
    let id = client
        .submit(&json!({"tasks": {
            "once": {"command": command(&marks[0]), "delivery": "AT_MOST_ONCE", "retry": retry},
            "often": {"command": command(&marks[1]), "retry": retry}}}))
        .await;
    for name in ["once.up", "often.up"] {
        cluster.wait_for_file(name).await;
    }
    cluster.coordinator(0).kill().await;
    eventually("it is killed", PATIENCE, async || {
        cluster.processes_with("once").is_empty().then_some(())
    })
    .await;
    assert!(!cluster.processes_with("often").is_empty(), "others go on");
    cluster.coordinator(0).restart().await;
    let ended = client
        .wait_until(id, "the one task has ended", PATIENCE, |job| {
            job.tasks.get("once").is_some_and(|task| task.finished_at.is_some())
        })
        .await;
    assert_eq!(states(&ended), "often running, once failed");
    assert!(ended.tasks["once"].reason.contains("at most once"), "{}", ended.tasks["once"].reason);
    assert_eq!(cluster.lines("once.up").len(), 1, "it was started once");
    client.cancel(id, "enough").await;
    client.wait(id, PATIENCE).await;
}

/// What the command prints; it must end well.
fn postq(cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(&cluster.binaries().postq);
    command.args(arguments).env("POSTQ_COORDINATOR", cluster.url(0)).env_remove("POSTQ_FORMAT");
    let output = command.output().expect("the command");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "postq {arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// JQ27, DQ23: the same by the command.
#[tokio::test]
async fn the_command_submits_for_later_retries_and_looks_after_schedules() {
    let cluster = Cluster::start(&[2]).await;
    let client = cluster.client();
    let file = cluster.path("job.yaml");
    std::fs::write(&file, "tasks: {a: {command: 'true'}, b: {command: 'false', depends: [a]}}")
        .unwrap();
    let file = file.to_str().unwrap();
    let id: Uuid = postq(&cluster, &["submit", file, "--delay", "1h"]).parse().unwrap();
    assert_eq!(client.get(id).await.state(), job::State::Scheduled);
    let at = "2020-01-31T08:00:00+01:00";
    let id: Uuid = postq(&cluster, &["submit", file, "--run-at", at]).parse().unwrap();
    assert_eq!(states(&client.wait(id, PATIENCE).await), "a succeeded, b failed");
    let again: Uuid = postq(&cluster, &["retry", &id.to_string(), "a"]).parse().unwrap();
    let job = client.wait(again, PATIENCE).await;
    assert_eq!((states(&job).as_str(), job.tasks["a"].attempts), ("a succeeded, b failed", 1));

    let put =
        ["schedule", "put", "nightly", file, "--cron", "0 3 * * *", "--time-zone", "Asia/Tokyo"];
    let told = postq(&cluster, &put);
    assert!(told.contains("schedule nightly 0 3 * * * (Asia/Tokyo)"), "{told}");
    assert!(told.contains("T18:00:00Z"), "{told}");
    assert!(postq(&cluster, &["schedule", "pause", "nightly"]).contains("paused"));
    assert!(postq(&cluster, &["schedule", "resume", "nightly"]).contains("T18:00:00Z"));
    let id: Uuid = postq(&cluster, &["schedule", "trigger", "nightly"]).parse().unwrap();
    client.wait(id, PATIENCE).await;
    assert!(postq(&cluster, &["schedule", "ls"]).contains("nightly"));
    postq(&cluster, &["schedule", "rm", "nightly"]);
    assert!(postq(&cluster, &["schedule", "ls"]).starts_with("no schedules"));
}
