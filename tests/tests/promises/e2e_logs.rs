//! Output is followed while it is written, byte for byte and in order.

use postq_proto::v1::{ReadLogsRequest, ReadLogsResponse, read_logs_response::Stream};
use postq_tests::{Cluster, PATIENCE, eventually};
use serde_json::json;
use tokio::time::timeout;
use tonic::Streaming;
use uuid::Uuid;

/// Lines of 1,024 bytes: 1 MiB in all, the second half once `go` is there.
const LINES: usize = 1024;

async fn follow(cluster: &Cluster, id: Uuid) -> Streaming<ReadLogsResponse> {
    let request = ReadLogsRequest { job_id: id.to_string(), follow: true, ..Default::default() };
    cluster.client().jobs().read_logs(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_mebibyte_of_output_is_followed_live_byte_for_byte() {
    let cluster = Cluster::start(&[1]).await;
    let go = cluster.path("go");
    let print = r#"awk -v from="$1" -v to="$2" 'BEGIN { for (i = from; i < to; i++) printf "%01023d\n", i }'"#;
    let command = format!(
        "print() {{ {print}; }}; print 0 {half}; until [ -e {go} ]; do sleep 0.05; done;
         print {half} {LINES}",
        half = LINES / 2,
        go = go.display(),
    );
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    let mut stream = follow(&cluster, id).await;
    let mut output = Vec::new();
    let mut number = 0;
    while let Some(chunk) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        number += 1;
        assert_eq!(
            (chunk.number, chunk.stream(), chunk.task.as_str()),
            (number, Stream::Stdout, "a")
        );
        output.extend_from_slice(&chunk.data);
        if output.len() == LINES / 2 * 1024 {
            // Only who reads while the task runs comes by here.
            cluster.touch("go");
        }
    }
    let wanted: String = (0..LINES).map(|line| format!("{line:01023}\n")).collect();
    assert_eq!(output.len(), 1024 * 1024);
    assert!(output == wanted.as_bytes(), "the bytes differ");

    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].results.as_bytes(), &output[output.len() - 64 * 1024..]);
    let again: Vec<u8> =
        cluster.client().logs(id).await.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    assert!(again == output, "read afterwards, the bytes differ");
}

#[tokio::test]
async fn the_last_lines_are_followed_by_what_is_written_then() {
    let cluster = Cluster::start(&[1]).await;
    let go = cluster.path("go");
    let command = format!(
        "seq 1 9; until [ -e {} ]; do sleep 0.05; done; seq 10 12; exit $((2 - POSTQ_ATTEMPT_NUMBER))",
        go.display()
    );
    let document = json!({"tasks": {"a": {
        "command": command, "retry": {"max_attempts": 2, "backoff": "0.1s"},
    }}});
    let id = cluster.submit(&document).await;
    let printed = "select exists (select from postq.log_chunk where right(encode(data, 'escape'), 2) = E'9\n')";
    eventually("nine lines", PATIENCE, async || {
        cluster.database.value::<bool>(printed).await.then_some(())
    })
    .await;
    let (job_id, tail_lines) = (id.to_string(), 2);
    let request = ReadLogsRequest { job_id, tail_lines, follow: true, ..Default::default() };
    let stream = cluster.client().jobs().read_logs(request).await;
    let mut stream = stream.unwrap().into_inner();
    let first = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.data, "8\n9\n");
    cluster.touch("go");
    let mut rest = String::new();
    while let Some(chunk) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        rest.push_str(std::str::from_utf8(&chunk.data).unwrap());
    }
    let second: String = (1..=12).map(|line| format!("{line}\n")).collect();
    assert_eq!(rest, format!("10\n11\n12\n{second}"), "the second attempt from its beginning");
}

#[tokio::test]
async fn bytes_that_are_no_text_and_both_streams_come_through() {
    let cluster = Cluster::start(&[1]).await;
    let command =
        r"i=0; while [ $i -lt 64 ]; do printf '\377\376\000x'; i=$((i+1)); done; printf '\200' >&2";
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    let logs = cluster.client().logs(id).await;
    let bytes = |stream: Stream| -> Vec<u8> {
        let chunks = logs.iter().filter(|chunk| chunk.stream() == stream);
        chunks.flat_map(|chunk| chunk.data.to_vec()).collect()
    };
    assert_eq!(bytes(Stream::Stdout), b"\xff\xfe\0x".repeat(64));
    assert_eq!(bytes(Stream::Stderr), b"\x80");
}

#[tokio::test]
async fn a_follower_sees_every_task_and_every_attempt_until_the_job_has_ended() {
    let cluster = Cluster::start(&[2]).await;
    let runs = cluster.path("runs");
    let command =
        format!("echo x >> {0}; echo try $(wc -l < {0}); [ $(wc -l < {0}) -ge 2 ]", runs.display());
    let id = cluster
        .submit(&json!({"tasks": {
            "a": {"command": command, "retry": {"max_attempts": 3, "backoff": "0.1s"}},
            "b": {"depends": ["a"], "command": "echo b"},
            "quiet": {"command": "true"},
        }}))
        .await;
    let mut seen = Vec::new();
    let mut stream = follow(&cluster, id).await;
    while let Some(chunk) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        seen.push(format!("{} {}", chunk.task, String::from_utf8_lossy(&chunk.data).trim_end()));
    }
    assert_eq!(seen, ["a try 1", "a try 2", "b b"]);

    let request = |tasks: &[&str], attempt: i64| ReadLogsRequest {
        job_id: id.to_string(),
        tasks: tasks.iter().map(ToString::to_string).collect(),
        attempt,
        ..Default::default()
    };
    let history = cluster.database.history(id).await;
    let first = history.iter().find(|it| it.task == "a").unwrap().attempt;
    for (asked, wanted) in [(request(&["b"], 0), "b\n"), (request(&[], first), "try 1\n")] {
        let mut stream = cluster.client().jobs().read_logs(asked).await.unwrap().into_inner();
        let chunk = stream.message().await.unwrap().unwrap();
        assert_eq!(chunk.data, wanted);
        assert!(stream.message().await.unwrap().is_none());
    }
}

/// How often the coordinator is killed while the task prints.
const KILLS: usize = 5;

#[tokio::test]
async fn no_byte_of_output_is_lost_or_doubled_while_the_coordinator_is_killed_again_and_again() {
    let mut cluster = Cluster::start(&[1]).await;
    let stop = cluster.path("stop");
    let command = format!(
        "i=0; until [ -e {} ]; do i=$((i+1)); printf '%063d\\n' $i; \
         [ $((i % 100)) -gt 0 ] || sleep 0.02; done; echo $i >&2",
        stop.display()
    );
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    for _ in 0..KILLS {
        // Something of what is printed is stored before each kill.
        let stored = "select coalesce(max(number), 0) from postq.log_chunk";
        let before: i64 = cluster.database.value(stored).await;
        let grows = async || {
            let now: i64 = cluster.database.value(stored).await;
            (now > before).then_some(())
        };
        eventually("the stored output grows", PATIENCE, grows).await;
        cluster.coordinator(0).kill().await;
        cluster.coordinator(0).restart().await;
        cluster.wait_until_ready(0).await;
    }
    cluster.touch("stop");
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.tasks["a"].attempts, 1, "it ran once, across all kills");
    let logs = cluster.client().logs(id).await;
    for (number, chunk) in (1..).zip(&logs) {
        assert_eq!(chunk.number, number, "chunks come once each, in order");
    }
    let bytes = |stream: Stream| -> Vec<u8> {
        let chunks = logs.iter().filter(|chunk| chunk.stream() == stream);
        chunks.flat_map(|chunk| chunk.data.to_vec()).collect()
    };
    let count: usize = String::from_utf8(bytes(Stream::Stderr)).unwrap().trim().parse().unwrap();
    let wanted: String = (1..=count).map(|line| format!("{line:063}\n")).collect();
    assert!(bytes(Stream::Stdout) == wanted.as_bytes(), "the bytes differ");
    assert_eq!(bytes(Stream::System), b"");
}
