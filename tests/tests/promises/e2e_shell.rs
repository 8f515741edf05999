//! What a shell task sees, and what is kept of what it did.

use postq_proto::v1::{attempt, job, task};
use postq_tests::{Cluster, PATIENCE, states};
use serde_json::{Value, json};

fn one(command: &str) -> Value {
    json!({"tasks": {"a": {"command": command}}})
}

/// PQ15, PQ16
#[tokio::test]
async fn a_command_runs_in_a_shell_and_its_two_streams_are_kept_apart() {
    let cluster = Cluster::start(&[1]).await;
    let job = cluster.client().run(&one("echo hi | tr a-z A-Z; echo oops >&2")).await;
    let task = &job.tasks["a"];
    assert_eq!(job.state(), job::State::Succeeded);
    assert_eq!((task.results.as_str(), task.errors.as_str()), ("HI\n", "oops\n"));
    let query = format!(
        "select results || '|' || errors from postq.tasks where job_id = '{}' and name = 'a'",
        job.id
    );
    assert_eq!(cluster.database.value::<String>(&query).await, "HI\n|oops\n");
}

/// PQ17
#[tokio::test]
async fn an_exit_code_or_a_deadly_signal_is_a_failure_that_tells_which() {
    let cluster = Cluster::start(&[4]).await;
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "one": {"command": "exit 1"},
            "three": {"command": "exit 3"},
            "missing": {"command": "/no/such/program"},
            "killed": {"command": "kill -KILL $$"},
            "told": {"command": "kill -TERM $$"},
        }}))
        .await;
    assert_eq!(
        states(&job),
        "killed failed, missing failed, one failed, three failed, told failed"
    );
    for (name, code, signal) in [
        ("one", Some(1), None),
        ("three", Some(3), None),
        ("missing", Some(127), None),
        ("killed", None, Some(9)),
        ("told", None, Some(15)),
    ] {
        let attempt = job.tasks[name].attempt.as_ref().unwrap();
        assert_eq!((attempt.exit_code, attempt.signal), (code, signal), "{name}");
        assert_eq!(attempt.outcome(), attempt::Outcome::Failed);
        assert!(!job.tasks[name].reason.is_empty(), "{name}");
    }
    assert!(job.tasks["missing"].errors.contains("not found"), "{}", job.tasks["missing"].errors);
}

/// PQ19
#[tokio::test]
async fn output_that_is_no_text_is_kept_byte_for_byte() {
    let cluster = Cluster::start(&[1]).await;
    let job = cluster.client().run(&one(r"printf 'a\377\000b'; printf '\376' >&2")).await;
    let task = &job.tasks["a"];
    assert_eq!(task.state(), task::State::Succeeded);
    assert_eq!(task.results, "a\u{fffd}\0b");
    assert_eq!((&task.results_raw[..], &task.errors_raw[..]), (&b"a\xff\0b"[..], &b"\xfe"[..]));
    let logs = cluster.client().logs(job.id.parse().unwrap()).await;
    let bytes: Vec<u8> = logs.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    assert_eq!(bytes.len(), 5, "{logs:?}");
}

/// PQ22, PQ23: values are data, whatever is in them.
#[tokio::test]
async fn variables_arrive_verbatim_and_are_never_run() {
    let cluster = Cluster::start(&[1]).await;
    let mark = cluster.path("mark");
    let evil = format!("$(touch {0}) `touch {0}`; touch {0}\n'", mark.display());
    let job = cluster
        .client()
        .run(&json!({
            "env": {"FOO": "of the job", "BAR": "kept"},
            "tasks": {"a": {
                "command": r#"printf '%s|%s|%s' "$FOO" "$BAR" "$EVIL""#,
                "env": {"FOO": "a b\"c", "EVIL": evil},
            }},
        }))
        .await;
    assert_eq!(job.tasks["a"].results, format!("a b\"c|kept|{evil}"));
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_task_sees_its_own_names_and_nothing_of_the_agents_environment() {
    let cluster = Cluster::start(&[1]).await;
    let job =
        cluster.client().run(&json!({"name": "env", "tasks": {"a": {"command": "env"}}})).await;
    let seen: std::collections::BTreeMap<_, _> =
        job.tasks["a"].results.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!((seen["POSTQ_JOB_ID"], seen["POSTQ_JOB_NAME"]), (job.id.as_str(), "env"));
    assert_eq!((seen["POSTQ_TASK"], seen["POSTQ_ATTEMPT_NUMBER"]), ("a", "1"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO")) {
        assert!(!seen.contains_key(name.as_str()), "{name}");
    }
}

/// PQ26
#[tokio::test]
async fn tasks_of_a_job_share_files_and_two_jobs_never_do() {
    let cluster = Cluster::start(&[4]).await;
    let client = cluster.client();
    let document = |word: &str| {
        json!({"tasks": {
            "a": {"command": format!("ls -A; echo {word} > f")},
            "b": {"depends": ["a"], "command": "cat f; ls -A"},
        }})
    };
    let (one, two) = (document("one"), document("two"));
    let (one, two) = tokio::join!(client.run(&one), client.run(&two));
    for (job, word) in [(one, "one"), (two, "two")] {
        assert_eq!(job.tasks["a"].results, "", "another job's files");
        assert_eq!(job.tasks["b"].results, format!("{word}\nf\n"));
    }
}

/// PQ46
#[tokio::test]
async fn while_a_job_runs_its_finished_tasks_show_their_results() {
    let cluster = Cluster::start(&[2]).await;
    let go = cluster.path("go");
    let wait = format!("echo here; until [ -e {} ]; do sleep 0.05; done", go.display());
    let id = cluster
        .submit(&json!({"tasks": {
            "a": {"command": "echo one"},
            "b": {"depends": ["a"], "command": wait},
            "c": {"depends": ["b"], "command": "true"},
        }}))
        .await;
    // The job is read before its tasks: what ended between is open in it still.
    let is_under_way = |job: &postq_proto::v1::Job| {
        job.tasks["b"].state() == task::State::Running && job.open_tasks == 2
    };
    let client = cluster.client();
    let job = client.wait_until(id, "b runs", PATIENCE, is_under_way).await;
    assert_eq!(states(&job), "a succeeded, b running, c blocked");
    assert_eq!(job.state(), job::State::Running);
    assert_eq!(job.tasks["a"].results, "one\n");
    assert_eq!(job.tasks["b"].attempt.as_ref().unwrap().agent, "agent-1");
    let query = format!(
        "select string_agg(name || ' ' || state || ' ' || coalesce(results, '-'), ', ' order by name)
         from postq.tasks where job_id = '{id}'"
    );
    let seen: String = cluster.database.value(&query).await;
    assert_eq!(seen, "a succeeded one\n, b running -, c blocked -");
    let query =
        format!("select state::text || ' ' || open_tasks from postq.jobs where id = '{id}'");
    assert_eq!(cluster.database.value::<String>(&query).await, "running 2");
    cluster.touch("go");
    assert_eq!(client.wait(id, PATIENCE).await.state(), job::State::Succeeded);
}
