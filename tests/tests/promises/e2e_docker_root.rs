//! Files that containers make as root, on the real engine, of an agent that is not root: they are kept,
//! handed on and removed all the same.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use postq_tests::{
    AgentSetup, BARE_IMAGE, Cluster, Database, IMAGE, NO_ENGINE, PATIENCE, eventually,
    make_bare_image, make_image, states,
};
use serde_json::{Value, json};

/// An agent that is not root, and may use the engine.
async fn start_without_rights(environment: Vec<(String, OsString)>) -> Cluster {
    make_image();
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator(&[]).await;
    let mut setup = AgentSetup { executors: "shell,docker", environment, ..AgentSetup::default() };
    if nix::unistd::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        let work_dir = cluster.path("agent-1");
        fs::create_dir(&work_dir).unwrap();
        chown(&work_dir, Some(NOBODY), Some(NOBODY)).unwrap();
        let engine = fs::metadata("/var/run/docker.sock").expect(NO_ENGINE).gid();
        let words = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --groups={engine}");
        setup.launcher = words.split(' ').map(Into::into).collect();
    }
    cluster.add_agent(setup).await;
    cluster.wait_for_agents().await;
    cluster
}

/// Files and directories below `path` that belong to root.
fn of_root(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.uid() == 0 {
            found.push(entry.path());
        }
        if meta.is_dir() {
            found.extend(of_root(&entry.path()));
        }
    }
    found
}

#[tokio::test]
async fn what_a_container_made_as_root_is_kept_and_removed_by_an_agent_that_is_not() {
    let cluster = start_without_rights(Vec::new()).await;
    let make = "umask 077; mkdir -p d/e; echo secret > d/e/f; ln -s /etc link";
    let root = json!({"user": "0"});
    let job = cluster
        .client()
        .run(&json!({"tasks": {
            "makes": {"image": IMAGE, "container": root, "command": make},
            "reads": {"depends": ["makes"], "command": "cat d/e/f; readlink link; rm -r d"},
            "fails": {"image": IMAGE, "container": root, "command": format!("{make}; exit 1")},
        }}))
        .await;
    assert_eq!(states(&job), "fails failed, makes succeeded, reads succeeded");
    assert_eq!(job.tasks["reads"].results, "secret\n/etc\n");
    let home = cluster.path("agent-1");
    eventually("nothing of root's is left", PATIENCE, async || {
        of_root(&home).is_empty().then_some(())
    })
    .await;
}

/// A task of root in an image that has no shell: one that is its own entry point.
fn bare(command: &str) -> Value {
    let container = json!({"user": "0", "entrypoint": ["/busybox", "sh", "-c"]});
    json!({"image": BARE_IMAGE, "container": container, "command": command})
}

#[tokio::test]
async fn an_image_without_a_shell_leaves_files_of_root_to_the_image_that_the_agent_names() {
    make_bare_image();
    let named = vec![("POSTQ_CHOWN_IMAGE".to_owned(), IMAGE.into())];
    let cluster = start_without_rights(named).await;
    let make = "umask 077; /busybox mkdir -p d/e; echo secret > d/e/f";
    let reads = json!({"depends": ["makes"], "command": "cat d/e/f; rm -r d"});
    let job = cluster.client().run(&json!({"tasks": {"makes": bare(make), "reads": reads}})).await;
    assert_eq!(states(&job), "makes succeeded, reads succeeded", "{job:#?}");
    assert_eq!(job.tasks["reads"].results, "secret\n");
    let home = cluster.path("agent-1");
    eventually("nothing of root's is left", PATIENCE, async || {
        of_root(&home).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn files_of_root_that_nothing_can_give_away_fail_their_task_and_it_says_what_would_help() {
    make_bare_image();
    let cluster = start_without_rights(Vec::new()).await;
    let document = json!({"tasks": {"a": bare("umask 077; echo secret > f")}});
    let id = cluster.submit(&document).await;
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(states(&job), "a failed");
    let reason = &job.tasks["a"].reason;
    assert!(reason.contains("`f`"), "{reason}");
    let logs = cluster.client().logs(id).await;
    let said: Vec<u8> = logs.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("--chown-image"), "{said}");
}
