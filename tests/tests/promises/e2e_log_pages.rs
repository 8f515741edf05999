//! Long output moves to the blob store when its attempt has ended, and reads the same from there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use postq_coordinator::{
    store::{LogPage, Store},
    upkeep::logs,
    wire::log_page,
    workspace::{Blobs, Garbage, Joins},
};
use postq_proto::v1::{ReadLogsRequest, ReadLogsResponse, read_logs_response::Stream};
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually};
use serde_json::json;
use uuid::Uuid;

/// More megabytes than are on their way to a reader (4 MiB of HTTP/2, 8 chunks), on both streams, of what gets
/// smaller and of what does not.
const PRINT: &str = "head -c 9000000 /dev/urandom; head -c 400000 /dev/urandom >&2; seq 300000";
const PRINTED: i64 = 9_000_000 + 400_000 + 1_988_895;
const TAIL: i64 = 64 << 10;
/// The largest chunk.
const CHUNK: i64 = 256 << 10;

/// One coordinator that dies where it is told to, and an agent.
async fn start() -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    let file = cluster.path("crash");
    cluster.environment.push(("POSTQ_CRASH_FILE".into(), file.into()));
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup { slots: 1, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    cluster
}

/// What another coordinator has.
async fn opened(cluster: &Cluster) -> (Store, Blobs) {
    let store = Store::open(cluster.database.options().clone(), 2);
    let at = cluster.path("store").to_string_lossy().into_owned();
    let blobs = Blobs::create_or_open(&at, None, store.clone()).await.unwrap();
    (store, blobs)
}

async fn print(cluster: &Cluster) -> (Uuid, Vec<ReadLogsResponse>) {
    let id = cluster.submit(&json!({"tasks": {"a": {"command": PRINT}}})).await;
    let output = cluster.client().logs(id).await;
    assert_eq!(bytes(&output).len(), usize::try_from(PRINTED).unwrap());
    cluster.client().wait(id, PATIENCE).await;
    (id, output)
}

fn bytes(output: &[ReadLogsResponse]) -> Vec<u8> {
    output.iter().flat_map(|chunk| chunk.data.to_vec()).collect()
}

/// Compared so, because nobody wants to see megabytes.
fn same(read: &[ReadLogsResponse], output: &[ReadLogsResponse], when: &str) {
    let numbers = |of: &[ReadLogsResponse]| of.iter().map(|it| it.number).collect::<Vec<_>>();
    assert_eq!(numbers(read), numbers(output), "{when}");
    assert!(read == output, "{when}, the bytes differ");
}

/// Bytes of output in Postgres.
async fn left(cluster: &Cluster) -> i64 {
    let left = "select coalesce(sum(length(data)), 0)::bigint from postq.log_chunk";
    cluster.database.value(left).await
}

async fn count(cluster: &Cluster, table: &str) -> i64 {
    cluster.database.value(&format!("select count(*) from postq.{table}")).await
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

#[tokio::test]
async fn long_output_reads_the_same_before_while_and_after_it_moves() {
    let cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let go = cluster.path("go");
    let command = format!("{PRINT}; until [ -e {} ]; do sleep 0.05; done", go.display());
    let id = cluster.submit(&json!({"tasks": {"a": {"command": command}}})).await;
    eventually("all is printed", PATIENCE, async || {
        (left(&cluster).await == PRINTED).then_some(())
    })
    .await;
    assert_eq!(logs::pass(&store, &blobs).await.unwrap(), 0, "while the task runs, nothing moves");
    cluster.touch("go");
    let output = cluster.client().logs(id).await;
    cluster.client().wait(id, PATIENCE).await;

    let request = ReadLogsRequest { job_id: id.to_string(), follow: true, ..Default::default() };
    let mut slow = cluster.client().jobs().read_logs(request).await.unwrap().into_inner();
    let mut slowly = vec![slow.message().await.unwrap().unwrap()];

    let (client, wanted) = (cluster.client(), output.clone());
    let (end, mut ended) = tokio::sync::oneshot::channel();
    let reader = tokio::spawn(async move {
        let mut reads = 0;
        loop {
            let is_last = ended.try_recv().is_ok();
            same(&client.logs(id).await, &wanted, "while it moves");
            reads += 1;
            if is_last {
                return reads;
            }
        }
    });
    let moved = logs::pass(&store, &blobs).await.unwrap();
    end.send(()).unwrap();
    assert!(reader.await.unwrap() > 1);
    while let Some(chunk) = slow.message().await.unwrap() {
        slowly.push(chunk);
    }
    same(&slowly, &output, "begun before it moved and read on after it");

    let stays = left(&cluster).await;
    assert!((TAIL..TAIL + CHUNK).contains(&stays), "{stays} bytes stay");
    assert_eq!(i64::try_from(moved).unwrap(), PRINTED - stays);
    assert!(count(&cluster, "log_page").await > 1);
    assert_eq!(count(&cluster, "long_log").await, 0, "nobody looks at it again");
    let attempt = output[0].attempt;
    let request = ReadLogsRequest { job_id: id.to_string(), attempt, ..Default::default() };
    same(&read(&cluster, request).await, &output, "read by its attempt");
}

async fn read(cluster: &Cluster, request: ReadLogsRequest) -> Vec<ReadLogsResponse> {
    let mut stream = cluster.client().jobs().read_logs(request).await.unwrap().into_inner();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await.unwrap() {
        chunks.push(chunk);
    }
    chunks
}

async fn tail(cluster: &Cluster, id: Uuid, lines: i32) -> Vec<ReadLogsResponse> {
    let job_id = id.to_string();
    read(cluster, ReadLogsRequest { job_id, tail_lines: lines, ..Default::default() }).await
}

/// Behind which bytes of the output its lines end, the last one first.
fn line_ends(output: &[ReadLogsResponse]) -> Vec<usize> {
    let (mut ends, mut at, mut open) = (Vec::new(), 0, BTreeMap::new());
    for chunk in output {
        let feeds = (at + 1..).zip(&chunk.data).filter(|(_, byte)| **byte == b'\n');
        ends.extend(feeds.map(|(end, _)| end));
        at += chunk.data.len();
        open.insert(chunk.stream, (at, chunk.data.last() != Some(&b'\n')));
    }
    ends.extend(open.into_values().filter(|(_, is_open)| *is_open).map(|(end, _)| end));
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends
}

#[tokio::test]
async fn the_last_lines_are_the_same_wherever_output_is() {
    let cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let (id, output) = print(&cluster).await;
    let (all, ends) = (bytes(&output), line_ends(&output));
    for has_moved in [false, true] {
        // The ends of chunks and pages are among so many lines; the last two are more than there are in the pages,
        // and more than there are.
        for lines in (1..6).chain([2_000, 9_000, 20_000, 299_999, 310_000, 10_000_000]) {
            let begin = ends.get(lines).copied().unwrap_or(0);
            let found = tail(&cluster, id, lines.try_into().unwrap()).await;
            let when = format!("{lines} lines, moved: {has_moved}");
            assert!(bytes(&found) == all[begin..], "{when}: {} bytes", bytes(&found).len());
            let first = found[0].number as usize;
            assert!(found.len() + first == output.len() + 1, "{when}: no more chunks than that");
        }
        // As a client goes on whose connection broke.
        let (attempt, job_id) = (output[0].attempt, id.to_string());
        for seen in [1, output.len() / 2, output.len() - 1, output.len()] {
            let after = [(attempt, seen as i64), (attempt + 1, 0)].into();
            let request = ReadLogsRequest {
                job_id: job_id.clone(),
                tail_lines: 1,
                after,
                ..Default::default()
            };
            same(&read(&cluster, request).await, &output[seen..], "behind what was read");
        }
        logs::pass(&store, &blobs).await.unwrap();
    }
    assert!(count(&cluster, "log_page").await > 1);
}

#[tokio::test]
async fn short_output_stays_and_what_is_sent_again_or_late_counts_once() {
    let cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let short = "seq 1000; sleep 1.5; seq 1000";
    let short = cluster.submit(&json!({"tasks": {"a": {"command": short}}})).await;
    let said = cluster.client().logs(short).await;
    assert!(said.len() > 1, "{} chunks", said.len());
    let (id, mut output) = print(&cluster).await;
    logs::pass(&store, &blobs).await.unwrap();
    same(&cluster.client().logs(short).await, &said, "short output");
    let of_short = format!("log_page where attempt = {}", said[0].attempt);
    assert_eq!(count(&cluster, &of_short).await, 0);
    assert_eq!(count(&cluster, "long_log").await, 0);

    let (attempt, next) = (output[0].attempt, output.len() + 1);
    let stays = left(&cluster).await;
    let push = |number: usize| {
        format!(
            "select postq.push_logs(array[{attempt}], array['{id}'::uuid], array[0], array[{number}],
                 array[1::smallint], array['late'::bytea])"
        )
    };
    cluster.database.execute(&push(1)).await;
    assert_eq!(left(&cluster).await, stays, "what has moved is not stored again");
    cluster.database.execute(&push(next)).await;
    let late = ReadLogsResponse { number: next as i64, data: "late".into(), ..output[0].clone() };
    output.push(late);
    // As where it was sent again in the instant of the move.
    let again = format!("insert into postq.log_chunk values ({attempt}, 2, 1, 'again')");
    cluster.database.execute(&again).await;
    same(&cluster.client().logs(id).await, &output, "with what came late");
    assert_eq!(logs::pass(&store, &blobs).await.unwrap(), 0);
    assert_eq!(left(&cluster).await, stays + 4, "what came twice is gone again");
    same(&cluster.client().logs(id).await, &output, "after another pass");
}

#[tokio::test]
async fn a_coordinator_that_dies_while_it_moves_output_loses_and_doubles_nothing() {
    let mut cluster = start().await;
    for step in ["logs.stored", "logs.moved"] {
        let (id, output) = print(&cluster).await;
        fs::write(cluster.path("crash"), step).unwrap();
        // It looks when it starts.
        cluster.coordinator(0).kill().await;
        cluster.coordinator(0).restart().await;
        eventually("it dies", PATIENCE, async || cluster.coordinator(0).ended()).await;
        assert!(!cluster.path("crash").exists(), "it died elsewhere than at {step}");
        let known = count(&cluster, "blob").await;
        assert!(known > 0, "{step}");
        let is_noted = count(&cluster, "long_log").await == 0;
        assert_eq!(is_noted, step == "logs.moved", "{step}");

        cluster.coordinator(0).restart().await;
        cluster.wait_until_ready(0).await;
        same(&cluster.client().logs(id).await, &output, step);
        // Whoever died had taken it for some minutes.
        cluster.database.advance_clock("11 minutes").await;
        cluster.coordinator(0).kill().await;
        cluster.coordinator(0).restart().await;
        eventually("it is moved", PATIENCE, async || {
            (count(&cluster, "long_log").await == 0).then_some(())
        })
        .await;
        cluster.wait_until_ready(0).await;
        same(&cluster.client().logs(id).await, &output, "moved after all");
        assert_eq!(count(&cluster, "blob").await, known, "{step}: nothing is stored twice");
    }
}

#[tokio::test]
async fn two_coordinators_that_move_the_same_output_lose_and_double_nothing() {
    let cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let (id, output) = print(&cluster).await;
    let taken = || store.take_logs(1, TAIL, Duration::ZERO, Duration::ZERO);
    let (one, other) = (taken().await.unwrap(), taken().await.unwrap());
    assert_eq!((one.len(), one[0].last), (1, other[0].last), "both have it");
    let (attempt, last) = (one[0].attempt.into(), one[0].last.unwrap());
    let chunks = store.chunks(attempt, 0, i64::MAX).await.unwrap();
    // They cut as they like.
    let cut = async |first: i64, last: i64, is_last: bool| {
        let some = chunks.iter().filter(|it| (first..=last).contains(&it.number)).cloned();
        let blob = log_page::to_blob(attempt.0, some.collect());
        let digest = blobs.put(vec![blob]).await.unwrap()[0].as_bytes().to_vec();
        (LogPage { attempt: attempt.0, last, size_bytes: 1, digest }, is_last)
    };
    assert!(last > 8, "{last} chunks");
    let pages = [
        cut(1, 3, false).await,
        cut(1, 2, false).await,
        cut(3, 6, false).await,
        cut(4, last, true).await,
        cut(7, last, true).await,
    ];
    for page in pages {
        store.move_logs(&[page]).await.unwrap();
        same(&cluster.client().logs(id).await, &output, "after each page");
    }
    assert_eq!(count(&cluster, "log_page").await, 4);
    assert_eq!(logs::pass(&store, &blobs).await.unwrap(), 0);
}

#[tokio::test]
async fn a_forgotten_job_frees_its_output_and_no_other_does() {
    let mut cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let (id, output) = print(&cluster).await;
    logs::pass(&store, &blobs).await.unwrap();
    cluster.agent(0).kill().await;
    let garbage = Garbage::new(blobs.clone(), Joins::new(blobs));
    let days = async || {
        for _ in 0..3 {
            cluster.database.advance_clock("27 hours").await;
            garbage.collect(Duration::ZERO).await.unwrap();
        }
    };
    days().await;
    same(&cluster.client().logs(id).await, &output, "days later");
    let purge = "select (postq.purge_finished('0 s') ->> 'purged')::bigint";
    assert_eq!(cluster.database.value::<i64>(purge).await, 1);
    for table in ["log_chunk", "log_page", "long_log"] {
        assert_eq!(count(&cluster, table).await, 0, "{table}");
    }
    days().await;
    assert_eq!(files_below(&cluster.path("store/packs")), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_job_that_is_forgotten_while_its_output_moves_leaves_nothing() {
    let job = Uuid::now_v7();
    let moves = "select postq.move_logs('{1}', '{1}', '{1}', array[decode(repeat('00', 32), 'hex')], '{t}')";
    let forgets = format!("select postq.forget_jobs(array['{job}'::uuid])");
    for (first, second) in [(moves, &forgets[..]), (&forgets[..], moves)] {
        let database = Database::create().await;
        let attempt = format!(
            "insert into postq.attempt (id, job, n, started_at, finished_at, outcome)
             values (1, '{job}', 0, now(), now(), 'succeeded');
             insert into postq.log_chunk values (1, 1, 1, 'x'), (1, 2, 1, 'y');
             insert into postq.long_log values (1)"
        );
        database.execute(&attempt).await;
        let (mut one, mut other) = (database.session().await, database.session().await);
        one.execute(&format!("begin; {first}")).await;
        let second = second.to_owned();
        let waiting = tokio::spawn(async move { other.execute(&second).await });
        eventually("one waits for the other", PATIENCE, async || {
            let waits = "select exists (select from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock')";
            database.value::<bool>(waits).await.then_some(())
        })
        .await;
        one.execute("commit").await;
        waiting.await.unwrap();
        for table in ["attempt", "log_chunk", "log_page", "long_log"] {
            let rows = format!("select count(*) from postq.{table}");
            assert_eq!(database.value::<i64>(&rows).await, 0, "{table} after {first}");
        }
    }
}

#[tokio::test]
async fn damaged_output_is_told_in_its_place_and_the_rest_is_read() {
    let cluster = start().await;
    let (store, blobs) = opened(&cluster).await;
    let (id, output) = print(&cluster).await;
    logs::pass(&store, &blobs).await.unwrap();
    let (pack, place, first, last) = second_page(&cluster).await;
    let packs = files_below(&cluster.path("store/packs"));
    let pack = packs.iter().find(|path| path.ends_with(&pack)).unwrap();
    let mut content = fs::read(pack).unwrap();
    content[place + 1000] ^= 1;
    fs::write(pack, content).unwrap();
    let is_lost = |chunk: &&ReadLogsResponse| chunk.number > first && chunk.number <= last;
    let missing: usize = output.iter().filter(is_lost).map(|chunk| chunk.data.len()).sum();
    let marked = |read: &[ReadLogsResponse], number: i64| -> String {
        let of = read.iter().find(|chunk| chunk.number == number).unwrap();
        assert_eq!(of.stream(), Stream::System);
        String::from_utf8_lossy(&of.data).into_owned()
    };
    // Found damaged, and then missing.
    for why in ["is damaged in the store", "is not in the store"] {
        let read = cluster.client().logs(id).await;
        let word = marked(&read, last);
        assert!(word.starts_with(&format!("postq: {missing} bytes of output are missing here: ")));
        assert!(word.ends_with(&format!("{why}\n")), "{word}");
        let rest = |of: &[ReadLogsResponse]| -> Vec<ReadLogsResponse> {
            of.iter().filter(|chunk| !is_lost(chunk)).cloned().collect()
        };
        same(&rest(&read), &rest(&output), why);
    }
    // Nobody knows how many lines were in there.
    let mut end = cluster.client().logs(id).await;
    end.retain(|chunk| chunk.number >= last);
    same(&tail(&cluster, id, i32::MAX).await, &end, "the last lines begin with what is lost");

    fs::remove_file(pack).unwrap();
    let pages = usize::try_from(count(&cluster, "log_page").await).unwrap();
    let (lost, rest) = {
        let mut read = cluster.client().logs(id).await;
        let rest = read.split_off(pages);
        (read, rest)
    };
    assert!(lost.iter().all(|word| word.stream() == Stream::System));
    same(&rest, &output[output.len() - rest.len()..], "the end is in Postgres");
}

/// The name of the second page's pack, where it is in there, and behind which chunk and up to which one it goes.
async fn second_page(cluster: &Cluster) -> (String, usize, i64, i64) {
    let pages = "select json_agg(json_build_array(replace(b.pack::text, '-', ''), b.place, p.last) order by p.last)
                 from postq.log_page p join postq.blob b using (digest)";
    let pages = cluster.database.json(pages).await;
    let number = |page: usize, at: usize| pages[page][at].as_i64().unwrap();
    let pack = pages[1][0].as_str().unwrap().to_owned();
    (pack, usize::try_from(number(1, 1)).unwrap(), number(0, 2), number(1, 2))
}
