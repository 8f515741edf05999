//! An agent that falls silent without having died: paused, or behind a network that is cut. Its
//! attempts are lost and run elsewhere; when it is back, what it says of them is stale.

use std::process::Command;

use postq_proto::v1::job;
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually, successes};
use serde_json::{Value, json};
use uuid::Uuid;

/// Two tasks of which the first execution ends late: `stuck` never does, `late` once `go` is there.
fn two_tasks(cluster: &Cluster) -> Value {
    let [stuck, late, go] = ["stuck", "late", "go"].map(|name| cluster.path(name));
    let (stuck, late, go) = (stuck.display(), late.display(), go.display());
    json!({"tasks": {
        "stuck": {"command": format!(
            "if [ -e {stuck} ]; then echo again; else echo up > {stuck}; tail -f {stuck}; fi")},
        "late": {"command": format!(
            "if [ -e {late} ]; then echo again; exit 0; fi
             echo up > {late}; until [ -e {go} ]; do sleep 0.05; done; echo ended >> {late}")},
    }})
}

/// Both tasks run on the first agent, since there is no other yet.
async fn start(cluster: &Cluster) -> Uuid {
    let id = cluster.submit(&two_tasks(cluster)).await;
    cluster.wait_for_file("stuck").await;
    cluster.wait_for_file("late").await;
    id
}

/// While the agent is silent: its attempts are lost, its tasks run on the second agent, and one of
/// them ends unheard.
async fn recovered_without_it(cluster: &mut Cluster, id: Uuid) {
    cluster.add_agent(AgentSetup::default()).await;
    cluster.touch("go");
    let job = cluster.client().wait(id, PATIENCE).await;
    assert_eq!(job.state(), job::State::Succeeded);
    for name in ["stuck", "late"] {
        assert_eq!(job.tasks[name].results, "again\n");
        assert_eq!(job.tasks[name].attempt.as_ref().unwrap().agent, "agent-2");
        assert_eq!((job.tasks[name].attempts, job.tasks[name].crashes), (1, 1));
    }
    let ended = async || (cluster.lines("late").len() == 2).then_some(());
    eventually("the first execution of `late` ends unheard", PATIENCE, ended).await;
}

/// Once it is heard again: its process is killed, its report counts for nothing, it takes new work.
async fn set_right(cluster: &Cluster, id: Uuid) {
    let is_gone = async || cluster.processes_with("stuck").is_empty().then_some(());
    eventually("the agent kills what it lost", PATIENCE, is_gone).await;
    let client = cluster.client();
    let is_back = async || client.agents().await.ok()?.get("agent-1").map(drop);
    eventually("the agent is back", PATIENCE, is_back).await;
    let history = cluster.database.history(id).await;
    assert_eq!(history.len(), 4, "{history:#?}");
    let won = successes(&history);
    assert!(won.len() == 2 && won.values().all(|it| it.agent == "agent-2"), "{history:#?}");
    let lost = history.iter().filter(|it| it.outcome == "lost" && it.agent == "agent-1");
    assert_eq!(lost.count(), 2);
}

#[tokio::test]
async fn an_agent_that_was_paused_finds_its_attempts_lost() {
    let mut cluster = Cluster::start(&[2]).await;
    let id = start(&cluster).await;
    cluster.agent(0).pause();
    recovered_without_it(&mut cluster, id).await;
    cluster.agent(0).resume();
    set_right(&cluster, id).await;
}

/// A network of its own for one agent, that can be cut. Needs root.
struct Net {
    name: String,
    outside: String,
}

impl Net {
    const ADDRESS: &str = "10.213.77.1";

    fn create() -> Self {
        let name = format!("postq{}", std::process::id());
        let (outside, inside) =
            (format!("pq{}a", std::process::id()), format!("pq{}b", std::process::id()));
        let net = Self { name, outside };
        let name = &net.name;
        ip(&format!("netns add {name}"));
        ip(&format!("link add {} type veth peer name {inside}", net.outside));
        ip(&format!("link set {inside} netns {name}"));
        ip(&format!("addr add {}/30 dev {}", Self::ADDRESS, net.outside));
        ip(&format!("link set {} up", net.outside));
        ip(&format!("-n {name} addr add 10.213.77.2/30 dev {inside}"));
        ip(&format!("-n {name} link set {inside} up"));
        // For those who do not come through what is cut.
        ip(&format!("addr add {}/32 dev lo", Self::ADDRESS));
        net
    }

    fn cut(&self) {
        ip(&format!("link set {} down", self.outside));
    }

    fn mend(&self) {
        ip(&format!("link set {} up", self.outside));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // Its end takes both ends of the pair along.
        let _ = Command::new("ip").args(["link", "del", &self.outside]).status();
        let address = format!("{}/32", Self::ADDRESS);
        let _ = Command::new("ip").args(["addr", "del", &address, "dev", "lo"]).status();
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &str) {
    let ended = Command::new("ip").args(arguments.split(' ')).output();
    let ended = ended.expect("this test needs `ip`: install iproute2");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "ip {arguments}: {errors}");
}

#[tokio::test]
async fn an_agent_behind_a_network_that_was_cut_finds_its_attempts_lost() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root can cut a network; the test with a paused agent stands for this one");
        return;
    }
    let net = Net::create();
    let mut cluster = Cluster::create(Database::create().await);
    cluster.add_coordinator_at(Net::ADDRESS, &["--insecure"], None).await;
    let launcher = ["ip", "netns", "exec", &net.name].map(Into::into).into();
    cluster.add_agent(AgentSetup { launcher, slots: 2, ..AgentSetup::default() }).await;
    cluster.wait_for_agents().await;
    let id = start(&cluster).await;
    net.cut();
    recovered_without_it(&mut cluster, id).await;
    net.mend();
    set_right(&cluster, id).await;
}
