//! An agent with a cgroup for itself, as a service has one.

use std::{collections::BTreeMap, fs, path::PathBuf};

use postq_proto::v1;
use tempfile::tempdir;

use crate::{
    fake::Fake,
    process::Agent,
    support::{eventually, shell},
};

/// A new cgroup, removed with the test.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Where the hierarchy of version 2 is, if it is.
    fn create() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let root = mounts.find(|fields| fields[2] == "cgroup2")?[1].to_owned();
        let path = PathBuf::from(root).join(format!("postq-test-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Some(Self(path))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_cgroup_for_itself_bounds_each_task_by_what_that_has() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root can make a cgroup for an agent");
        return;
    }
    let Some(cgroup) = Cgroup::create() else {
        println!("this machine has no cgroups of version 2");
        return;
    };
    let dir = tempdir().unwrap();
    let mut fake = Fake::start().await;
    let script = format!("echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"", cgroup.0.display());
    let agent = Agent::start_within(&script, &fake, dir.path());
    let mut session = fake.session().await;
    assert_eq!(cgroup.read("postq-agent/cgroup.procs").trim(), agent.pid().to_string());
    assert_eq!(cgroup.read("cgroup.procs"), "");

    let command = format!(
        "cd {}/postq-task-$PPID && grep -qx $$ cgroup.procs || exit 1; \
         for file in cpu.max memory.max pids.max; do cat $file || echo none; done",
        cgroup.0.display()
    );
    let asked = [("cpus", 500), ("memory", 64 << 20)];
    let resources: BTreeMap<_, _> = asked.map(|(name, n)| (name.to_owned(), n)).into();
    let report = session.run(v1::Assignment { resources, ..shell(1, &command) }).await;
    let said = String::from_utf8(report.stdout).unwrap();
    let seen: Vec<&str> = said.lines().collect();
    let there = cgroup.read("cgroup.controllers");
    let bounds = [("cpu", "50000 100000"), ("memory", "67108864"), ("pids", "4096")];
    let wanted = bounds.map(|(controller, bound)| {
        if there.split_whitespace().any(|it| it == controller) { bound } else { "none" }
    });
    assert_eq!(seen, wanted, "of {there}");
    let is_clean = || {
        let left = fs::read_dir(&cgroup.0).unwrap().flatten();
        left.filter(|entry| entry.path().is_dir()).count() == 1
    };
    eventually("the cgroup of the task to be gone", is_clean).await;
    agent.kill();
}
