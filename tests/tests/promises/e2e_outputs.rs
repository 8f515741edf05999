//! What tasks are told in files and what JSON they give, from a submit to those who depend on them;
//! and secrets, which go no further than the task.

use std::process::Command;

use postq_proto::{
    convert::json_from_value,
    v1::{Job, job},
};
use postq_tests::{AgentSetup, Cluster, Database, IMAGE, PATIENCE, make_image, states};
use serde_json::{Value, json};
use uuid::Uuid;

async fn start(executors: &'static str, environment: Vec<(String, std::ffi::OsString)>) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup { executors, environment, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    cluster
}

fn output(job: &Job, task: &str) -> Option<Value> {
    job.tasks[task].output.as_ref().map(json_from_value)
}

fn data() -> Value {
    json!({"rows": [1, 2.5, {"deep": [null, true, "é\n\"x\""]}], "": {}})
}

/// PQ34: by either door, to the task and out of it again.
#[tokio::test]
async fn the_data_of_a_job_arrives_as_it_was_submitted() {
    let cluster = start("shell", Vec::new()).await;
    let tasks = json!({"a": {"command": "cat $POSTQ_DATA > $POSTQ_OUTPUT"},
                       "b": {"depends": ["a"], "command": "cat $POSTQ_DATA"}});
    let document = json!({"data": data(), "tasks": tasks});
    let by_sql: Uuid =
        cluster.database.value(&format!("select postq.submit($a${document}$a$)")).await;
    let by_grpc = cluster.submit(&document).await;
    for id in [by_grpc, by_sql] {
        let job = cluster.client().wait(id, PATIENCE).await;
        assert_eq!(states(&job), "a succeeded, b succeeded");
        assert_eq!(output(&job, "a"), Some(data()));
        assert_eq!(serde_json::from_str::<Value>(&job.tasks["b"].results).unwrap(), data());
        let query = format!("select result from postq.tasks where job_id = '{id}' and name = 'a'");
        assert_eq!(cluster.database.json(&query).await, data());
    }
}

#[tokio::test]
async fn those_who_depend_on_a_task_find_its_state_its_json_and_its_text() {
    let cluster = start("shell", Vec::new()).await;
    let job = cluster
        .client()
        .run(&json!({
            "attributes": {"team": "data"},
            "tasks": {
                "count": {"command": "echo five; echo '{\"n\": 5}' > $POSTQ_OUTPUT"},
                "fails": {"command": "echo half; exit 3"},
                "between": {"depends": ["count"], "command": "true"},
                "join": {"depends": ["count", "fails", "between"], "run_if": "FINISHED",
                         "command": "cat $POSTQ_INPUTS > $POSTQ_OUTPUT; cat $POSTQ_JOB"},
            }
        }))
        .await;
    assert_eq!(states(&job), "between succeeded, count succeeded, fails failed, join succeeded");
    let wanted = json!({
        "count": {"state": "succeeded", "output": {"n": 5}, "results": "five\n"},
        "fails": {"state": "failed", "output": null, "results": "half\n"},
        "between": {"state": "succeeded", "output": null, "results": ""},
    });
    assert_eq!(output(&job, "join"), Some(wanted));
    let told: Value = serde_json::from_str(&job.tasks["join"].results).unwrap();
    assert_eq!((&told["id"], &told["task"]), (&json!(job.id), &json!("join")));
    assert_eq!(told["attributes"], json!({"team": "data"}));
    assert_eq!(told["spec"]["run_if"], json!("FINISHED"));
}

#[tokio::test]
async fn an_output_that_is_no_json_fails_its_attempt_with_the_reason() {
    let cluster = start("shell", Vec::new()).await;
    let job = cluster
        .client()
        .run(&json!({"tasks": {"a": {"command": "echo '{' > $POSTQ_OUTPUT"}}}))
        .await;
    assert_eq!((job.state(), output(&job, "a")), (job::State::Failed, None));
    assert!(
        job.tasks["a"].reason.starts_with("its output is not JSON: "),
        "{}",
        job.tasks["a"].reason
    );
}

#[tokio::test]
async fn outputs_that_are_too_large_together_fail_the_task_that_wants_them() {
    let cluster = start("shell", Vec::new()).await;
    let large =
        "(printf '\"'; head -c 1000000 /dev/zero | tr '\\0' x; printf '\"') > $POSTQ_OUTPUT";
    let mut tasks: serde_json::Map<_, _> =
        (0..34).map(|n| (format!("t{n:02}"), json!({"command": large}))).collect();
    let all: Vec<String> = tasks.keys().cloned().collect();
    tasks.insert("some".into(), json!({"depends": all[..3], "command": "wc -c < $POSTQ_INPUTS"}));
    tasks.insert("all".into(), json!({"depends": all, "command": "true"}));
    let job = cluster.client().run(&json!({"tasks": tasks})).await;
    // All that outputs as large as these leave no room for in one answer.
    assert!(job.tasks_truncated);
    let told = |column: &str, task: &str| {
        format!("select {column} from postq.tasks where job_id = '{}' and name = '{task}'", job.id)
    };
    let reason: String = cluster.database.value(&told("reason", "all")).await;
    let wanted = "the outputs of the tasks it depends on have 34000068 bytes";
    assert!(reason.starts_with(wanted), "{reason}");
    let seen: String = cluster.database.value(&told("results", "some")).await;
    let seen: usize = seen.trim().parse().unwrap();
    assert!(seen > 3_000_000, "{seen}");
}

#[tokio::test]
async fn an_attempt_tells_what_its_image_was_and_its_container_how_it_is_made() {
    make_image();
    let cluster = start("docker", Vec::new()).await;
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "a": {"image": IMAGE, "command": "ls /sys/class/net; echo '[1]' > $POSTQ_OUTPUT",
                  "container": {"network": "none", "user": "1000"}},
            "b": {"image": IMAGE, "container": {"mounts": ["/etc:/x"]}, "command": "true",
                  "retry": {"max_attempts": 3}},
        }}))
        .await;
    assert_eq!(states(&job), "a succeeded, b failed");
    assert_eq!((job.tasks["a"].results.as_str(), output(&job, "a")), ("lo\n", Some(json!([1]))));
    let attempt = job.tasks["a"].attempt.as_ref().unwrap();
    assert!(attempt.image.starts_with("sha256:"), "{}", attempt.image);
    assert_eq!(job.tasks["b"].attempts, 1, "another try would not help");
    assert!(job.tasks["b"].reason.contains("--allow-mount"), "{}", job.tasks["b"].reason);
}

#[tokio::test]
async fn a_secret_reaches_its_task_and_neither_the_database_nor_a_log() {
    let secret = "pQ-3f1c9-tell-nobody";
    let environment = vec![("APP_KEY".to_owned(), secret.into())];
    let cluster = start("shell", environment).await;
    let command = "[ ${#KEY} = 20 ] && echo \"key: $KEY\"; echo $KEY >&2; echo \"\\\"$KEY\\\"\" > $POSTQ_OUTPUT";
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "a": {"command": command, "secrets": {"KEY": "env:APP_KEY"}},
            "fails": {"command": "echo $KEY; echo $KEY >&2; exit 3", "secrets": {"KEY": "env:APP_KEY"},
                      "retry": {"max_attempts": 2, "backoff": "0.01s"}},
            "missing": {"command": "true", "secrets": {"KEY": "not-here"}},
        }}))
        .await;
    assert_eq!(states(&job), "a succeeded, fails failed, missing failed");
    assert_eq!(
        (job.tasks["a"].results.as_str(), job.tasks["a"].errors.as_str()),
        ("key: ***\n", "***\n")
    );
    assert_eq!(output(&job, "a"), Some(json!("***")));
    let reason = &job.tasks["missing"].reason;
    assert!(reason.starts_with("secret KEY (not-here): "), "{reason}");
    let logs = cluster.client().logs(job.id.parse().unwrap()).await;
    assert!(logs.iter().all(|chunk| !String::from_utf8_lossy(&chunk.data).contains(secret)));
    let found = Command::new("grep")
        .args(["--recursive", "--text", "--files-with-matches", secret])
        .arg(cluster.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
    let holding = |text: &str| tables_that_hold(&cluster.database, text.to_owned());
    assert_eq!(holding(secret).await, Vec::<String>::new());
    // That the looking finds: a name in text, and output in bytes.
    assert!(holding("env:APP_KEY").await.contains(&"task_spec".to_owned()));
    assert!(holding("key: ***").await.contains(&"log_chunk".to_owned()));
}

/// The tables of which a row has this, as text or as bytes.
async fn tables_that_hold(database: &Database, text: String) -> Vec<String> {
    let all = "select array_agg(c.relname::text) from pg_class c
        where c.relnamespace = 'postq'::regnamespace and c.relkind in ('r', 'p')";
    let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in database.value::<Vec<String>>(all).await {
        let query = format!(
            "select exists (select from postq.{table} t
                            where position('{text}' in t::text) + position('{bytes}' in t::text) > 0)"
        );
        if database.value::<bool>(&query).await {
            found.push(table);
        }
    }
    found
}
