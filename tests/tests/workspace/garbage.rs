//! What nobody needs any more goes, and its space is free again; what somebody needs stays.

use std::{fs, path::Path, time::Duration};

use postq_coordinator::workspace::{Collected, Garbage};
use postq_proto::v1;
use uuid::Uuid;

use crate::{
    damage::noise,
    files::{Served, seen, write},
};

fn bytes_below(dir: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let meta = fs::metadata(&path).unwrap();
        sum += if meta.is_dir() { bytes_below(&path) } else { meta.len() };
    }
    sum
}

impl Served {
    fn stored(&self) -> u64 {
        bytes_below(&self.scratch.path().join("store/packs"))
    }

    async fn collect(&self) -> Collected {
        let garbage = Garbage::new(self.blobs.clone(), self.joins.clone());
        garbage.collect(Duration::ZERO).await.unwrap()
    }

    /// Hours pass, and a pass after each of them finds what is to be done.
    async fn pass_hours(&self, hours: i64) {
        for _ in 0..hours {
            self.database.advance_clock("1 hour").await;
            self.collect().await;
        }
    }

    /// A job keeps this.
    async fn keep(&self, snapshot: &v1::Snapshot) -> Uuid {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let job = Uuid::now_v7();
        let v1::Snapshot { content, provenance, times } = snapshot;
        let insert = format!(
            "insert into postq.snapshot (job, n, content, provenance, times)
             values ('{job}', 0, '\\x{}', '\\x{}', '\\x{}')",
            hex(content),
            hex(provenance),
            hex(times)
        );
        self.database.execute(&insert).await;
        job
    }

    /// This stays of a job that is forgotten.
    async fn keep_for_good(&self, snapshot: &v1::Snapshot) {
        let job = self.keep(snapshot).await;
        let insert = format!(
            "insert into postq.artifact (job, name, queue, state, finished_at, kept_at, content, times, files, size_bytes)
             select job, '', 'default', 'succeeded', postq.now(), postq.now(), content, times, 1, 1
             from postq.snapshot where job = '{job}'"
        );
        self.database.execute(&insert).await;
        self.drop_snapshots_of(job).await;
    }

    async fn drop_snapshots_of(&self, job: Uuid) {
        self.database.execute(&format!("delete from postq.snapshot where job = '{job}'")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kept_snapshot_holds_stays_and_the_rest_is_freed() {
    let served = Served::start().await;
    let (kept_dir, gone_dir) = (served.directory("kept"), served.directory("gone"));
    let content = noise(8 << 20);
    write(&kept_dir, "d/large", &content[..4 << 20]);
    write(&kept_dir, "small", "small");
    write(&gone_dir, "large", &content[4 << 20..]);
    let kept = served.workspace().upload_dir(&kept_dir).await.unwrap();
    let gone = served.workspace().upload_dir(&gone_dir).await.unwrap();
    let job = served.keep(&kept.snapshot).await;
    let all = served.stored();
    assert!(all > 8 << 20, "{all}");

    served.pass_hours(23).await;
    assert_eq!(served.stored(), all, "within the grace nothing goes");
    served.pass_hours(4).await;
    let left = served.stored();
    assert!(left < 5 << 20, "{left} of {all}");
    let to = served.directory("to");
    served.workspace().checkout(&kept.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&kept_dir));
    let lost = served.workspace().checkout(&gone.snapshot, &served.directory("lost")).await;
    assert!(lost.is_err());

    served.drop_snapshots_of(job).await;
    served.pass_hours(27).await;
    assert_eq!(served.stored(), 0);
    let rows: i64 = served.database.value("select count(*) from postq.blob").await;
    let packs: i64 = served.database.value("select count(*) from postq.pack").await;
    assert_eq!((rows, packs), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_of_which_little_is_left_is_written_anew() {
    let served = Served::start().await;
    let (dir, part) = (served.directory("dir"), served.directory("part"));
    let content = noise(6 << 20);
    for (number, bytes) in content.chunks(1 << 20).enumerate() {
        write(&dir, format!("{number}"), bytes);
    }
    write(&part, "0", &content[..1 << 20]);
    // All of it in one pack.
    served.workspace().upload_dir(&dir).await.unwrap();
    let part_kept = served.workspace().upload_dir(&part).await.unwrap();
    served.keep(&part_kept.snapshot).await;
    served.pass_hours(27).await;
    let left = served.stored();
    assert!((1 << 20..2 << 20).contains(&left), "{left}");
    let to = served.directory("to");
    served.workspace().checkout(&part_kept.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&part));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_again_stays() {
    let served = Served::start().await;
    let dir = served.directory("dir");
    write(&dir, "f", "content");
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    served.pass_hours(20).await;
    served.workspace().upload_dir(&dir).await.unwrap();
    served.pass_hours(20).await;
    served.workspace().checkout(&taken.snapshot, &served.directory("to")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_collectors_do_not_work_at_once() {
    let served = Served::start().await;
    let garbage = Garbage::new(served.blobs.clone(), served.joins.clone());
    let hour = Duration::from_secs(3600);
    let turns: i64 = {
        garbage.collect(hour).await.unwrap();
        garbage.collect(hour).await.unwrap();
        served.database.value("select count(*) from postq.fact where key = 'collected_at'").await
    };
    assert_eq!(turns, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_stay_as_long_as_they_are_listed() {
    let served = Served::start().await;
    let dir = served.directory("dir");
    write(&dir, "d/large", noise(3 << 20));
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    served.keep_for_good(&taken.snapshot).await;
    served.pass_hours(27).await;
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
    served.database.execute("select postq.delete_artifacts(job) from postq.artifact").await;
    served.pass_hours(27).await;
    assert_eq!(served.stored(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_packs_whose_writer_died_goes_when_it_is_old() {
    let served = Served::start().await;
    let dir = served.directory("from");
    write(&dir, "file", noise(100_000));
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    served.keep(&taken.snapshot).await;
    let packs = served.scratch.path().join("store/packs/ab");
    fs::create_dir_all(&packs).unwrap();
    let [old, young] = ["1#1", "2#1"].map(|name| packs.join(name));
    for path in [&old, &young] {
        fs::write(path, noise(1000)).unwrap();
    }
    let long_ago = std::time::SystemTime::now() - Duration::from_hours(25);
    fs::File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(served.collect().await.objects, 1);
    assert!(!old.exists() && young.exists());
    let to = served.directory("to");
    served.workspace().checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
}
