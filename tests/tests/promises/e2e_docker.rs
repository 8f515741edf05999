//! Docker tasks on the real engine, with an image made from the machine's static busybox.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use postq_proto::v1::{Job, job, task};
use postq_tests::{
    AgentSetup, Cluster, Database, IMAGE, PATIENCE, docker, eventually, has_ended, make_image,
    states,
};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};

/// A cluster whose agent has both executors.
async fn start() -> Cluster {
    make_image();
    start_with(Vec::new()).await
}

async fn start_with(environment: Vec<(String, std::ffi::OsString)>) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let setup = AgentSetup { executors: "shell,docker", environment, ..AgentSetup::default() };
    cluster.add_agent(setup).await;
    cluster.wait_for_agents().await;
    cluster
}

async fn run(cluster: &Cluster, document: Value) -> Job {
    cluster.client().run(&document).await
}

/// PQ20: the present form by gRPC, and the earlier one, `params.image`, by the command line.
#[tokio::test]
async fn a_task_runs_in_the_image_it_names() {
    let cluster = start().await;
    let job = run(
        &cluster,
        json!({"tasks": {
            "own": {"image": IMAGE},
            "told": {"image": IMAGE, "command": "echo hi | cat; echo oops >&2; ls /bin/busybox"},
            "bad": {"image": IMAGE, "command": "exit 3"},
            "shell": {"command": "echo no container"},
        }}),
    )
    .await;
    assert_eq!(states(&job), "bad failed, own succeeded, shell succeeded, told succeeded");
    assert_eq!(job.tasks["own"].results, "the image's own\n");
    assert_eq!(job.tasks["told"].results, "hi\n/bin/busybox\n");
    assert_eq!(job.tasks["told"].errors, "oops\n");
    assert_eq!(job.tasks["bad"].attempt.as_ref().unwrap().exit_code, Some(3));

    let earlier = json!({"tasks": {"a": {
        "command": "echo $WORD", "params": {"image": IMAGE, "env": {"WORD": "as before"}},
    }}});
    let id = submit_by_command(&cluster, &earlier);
    let job = cluster.client().wait(id.parse().unwrap(), PATIENCE).await;
    assert_eq!(job.tasks["a"].results, "as before\n");
}

fn submit_by_command(cluster: &Cluster, document: &Value) -> String {
    let mut submit = Command::new(&cluster.binaries().postq)
        .args(["submit", "-", "--coordinator", &cluster.url(0)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    submit.stdin.take().unwrap().write_all(document.to_string().as_bytes()).unwrap();
    let ended = submit.wait_with_output().unwrap();
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

/// PQ22, PQ23: values are data, whatever is in them.
#[tokio::test]
async fn names_and_variables_of_a_container_are_never_run() {
    let cluster = start().await;
    let mark = cluster.path("mark");
    let evil = format!("a b\"c;touch {0};$(touch {0})`touch {0}`\n--privileged", mark.display());
    let spaced = json!({"tasks": {"a": {"image": format!("{IMAGE};touch {}", mark.display())}}});
    let refused = cluster.client().try_submit(&spaced).await.unwrap_err();
    assert!(refused.message().starts_with("tasks.a.image: "), "{refused}");
    let unspaced = format!("{IMAGE};touch${{IFS}}{}", mark.display());
    let job = run(
        &cluster,
        json!({"tasks": {
            "env": {"image": IMAGE, "command": r#"printf '%s' "$FOO""#, "env": {"FOO": evil}},
            "image": {"image": unspaced, "command": "true"},
            "option": {"image": "--privileged", "command": "true"},
        }}),
    )
    .await;
    assert_eq!(job.tasks["env"].results, evil);
    assert_eq!(states(&job), "env succeeded, image failed, option failed");
    for name in ["image", "option"] {
        assert!(job.tasks[name].reason.contains("image"), "{}", job.tasks[name].reason);
    }
    assert!(!mark.exists());
}

/// PQ28: the same files for shell and Docker tasks.
#[tokio::test]
async fn containers_and_shells_of_a_job_share_files() {
    let cluster = start().await;
    let document = |word: &str| {
        json!({"tasks": {
            "a": {"image": IMAGE, "command": format!("ls -A; echo {word} > f")},
            "b": {"depends": ["a"], "image": IMAGE, "command": "cat f; echo more >> f"},
            "c": {"depends": ["b"], "command": "cat f; ls -A"},
        }})
    };
    let (one, two) = (document("one"), document("two"));
    let client = cluster.client();
    let (one, two) = tokio::join!(client.run(&one), client.run(&two));
    for (job, word) in [(one, "one"), (two, "two")] {
        assert_eq!(states(&job), "a succeeded, b succeeded, c succeeded");
        assert_eq!(job.tasks["a"].results, "", "another job's files");
        assert_eq!(job.tasks["b"].results, format!("{word}\n"));
        assert_eq!(job.tasks["c"].results, format!("{word}\nmore\nf\n"));
    }
}

fn containers_of(job: &str) -> String {
    docker(&["ps", "--all", "--quiet", "--filter", &format!("label=postq.job={job}")])
}

#[tokio::test]
async fn a_cancelled_container_is_gone() {
    let cluster = start().await;
    let document = json!({"tasks": {"a": {
        "image": IMAGE, "command": "echo up; while :; do sleep 0.1; done", "grace": "0.5s",
    }}});
    let id = cluster.submit(&document).await;
    let up = async || (!containers_of(&id.to_string()).is_empty()).then_some(());
    postq_tests::eventually("the container runs", PATIENCE, up).await;
    cluster.client().cancel(id, "").await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Cancelled);
    assert_eq!(containers_of(&id.to_string()), "");
}

/// Its container goes on while nobody looks, and the next life of the agent tells its end, once.
#[tokio::test]
async fn a_container_whose_agent_was_killed_is_gone_on_with_and_its_attempt_ends_once() {
    let mut cluster = start().await;
    let command = "echo up; until [ -e go ]; do sleep 0.05; done; echo kept > file";
    let id = cluster
        .submit(&json!({"tasks": {
            "a": {"image": IMAGE, "command": command},
            "b": {"depends": ["a"], "command": "cat file"},
        }}))
        .await;
    let client = cluster.client();
    let runs = |job: &Job| job.tasks["a"].state() == task::State::Running;
    let begun = client.wait_until(id, "it runs", PATIENCE, runs).await;
    let attempt = begun.tasks["a"].attempt.as_ref().unwrap().id;
    let up = async || (!containers_of(&id.to_string()).is_empty()).then_some(());
    eventually("the container runs", PATIENCE, up).await;
    let container = containers_of(&id.to_string());
    let is_up = async || {
        (docker(&["inspect", "--format", "{{.State.Running}}", &container]) == "true").then_some(())
    };
    eventually("its command runs", PATIENCE, is_up).await;
    cluster.agent(0).restart().await;
    cluster.wait_for_agents().await;
    assert_eq!(containers_of(&id.to_string()), container, "the same one");
    docker(&["exec", &container, "touch", "/workspace/go"]);
    let job = client.wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a succeeded, b succeeded");
    let ended = &job.tasks["a"];
    assert_eq!((ended.attempts, ended.crashes), (1, 0));
    assert_eq!(ended.attempt.as_ref().unwrap().id, attempt);
    assert_eq!(job.tasks["b"].results, "kept\n", "its files");
    let all = format!("select count(*) from postq.attempt where job = '{id}'");
    assert_eq!(cluster.database.value::<i64>(&all).await, 2, "one for each task");
    let gone = async || containers_of(&id.to_string()).is_empty().then_some(());
    eventually("the container is gone", PATIENCE, gone).await;
}

/// PQ20: an agent that had an engine when it started, and has lost it since.
#[tokio::test]
async fn a_docker_task_without_an_engine_fails_and_says_so() {
    make_image();
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let bridge = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far =
                UnixStream::connect("/var/run/docker.sock").await.expect(postq_tests::NO_ENGINE);
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let address = format!("unix://{}", socket.display());
    let cluster = start_with(vec![("DOCKER_HOST".to_owned(), address.into())]).await;
    let document = json!({"tasks": {"a": {"image": IMAGE, "command": "echo hi"}}});
    assert_eq!(run(&cluster, document.clone()).await.tasks["a"].results, "hi\n");
    bridge.abort();
    std::fs::remove_file(&socket).unwrap();
    let id = cluster.submit(&document).await;
    let job = cluster.client().wait_until(id, "it fails", PATIENCE, has_ended).await;
    assert_eq!(job.state(), job::State::Failed);
    let reason = &job.tasks["a"].reason;
    assert!(reason.contains("Docker") || reason.contains("engine"), "{reason}");
}

#[tokio::test]
async fn a_failed_docker_task_is_looked_into_in_its_image_with_its_files() {
    let cluster = start().await;
    let job = run(
        &cluster,
        json!({"env": {"WHO": "me"}, "tasks": {
            "a": {"command": "echo from a > f"},
            "b": {"depends": ["a"], "image": IMAGE, "command": "cat f; exit 3"},
        }}),
    )
    .await;
    assert_eq!(states(&job), "a succeeded, b failed");
    let look = "cat f; echo $WHO $POSTQ_TASK; pwd; ls /bin/busybox; sh -c \"$POSTQ_COMMAND\"";
    let shell = Command::new(&cluster.binaries().postq)
        .args(["workspace", "shell", &format!("{}/b", job.id)])
        .args(["--coordinator", &cluster.url(0), "--", "sh", "-c", look])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, problems) =
        [shell.stdout, shell.stderr].map(|it| String::from_utf8(it).unwrap()).into();
    assert_eq!(said, "from a\nme b\n/workspace\n/bin/busybox\nfrom a\n", "{problems}");
    assert!(!shell.status.success(), "the command's exit code is told");
    assert!(problems.contains("exit status: 3"), "{problems}");
}
