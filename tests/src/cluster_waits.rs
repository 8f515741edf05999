//! What a test waits for in a cluster, and the files through which it talks with its tasks.

use std::fs;

use crate::{client::PATIENCE, cluster::Cluster, eventually::eventually, host::processes_with};

/// What is most often wrong when a program does not start here.
const STALE: &str = "are the programs of this source? `cargo build --workspace --bins`";

impl Cluster {
    /// Waits until a coordinator answers, whose process must not end.
    pub async fn wait_until_ready(&mut self, number: usize) {
        let client = self.client_of(number);
        let host = &mut self.coordinators[number].host;
        eventually("the coordinator answers", PATIENCE, async || {
            if let Some(status) = host.ended() {
                panic!("the coordinator ended at once ({status}): {}\n{STALE}", host.log());
            }
            // Any answer but silence: the client may not be allowed to list agents.
            match client.agents().await {
                Err(status) if status.code() == tonic::Code::Unavailable => None,
                _ => Some(()),
            }
        })
        .await;
    }

    /// Waits until all agents are connected.
    pub async fn wait_for_agents(&mut self) {
        let client = self.client();
        let agents = &mut self.agents;
        eventually("all agents are connected", PATIENCE, async || {
            for agent in agents.iter_mut() {
                if let Some(status) = agent.ended() {
                    panic!("{} ended at once ({status}): {}", agent.name(), agent.log());
                }
            }
            let connected = client.agents().await.ok()?;
            agents.iter().all(|agent| connected.contains_key(agent.name())).then_some(())
        })
        .await;
    }

    /// Waits until a task has made that file.
    pub async fn wait_for_file(&self, name: &str) -> String {
        let path = self.path(name);
        eventually(&format!("a task writes {name}"), PATIENCE, async || {
            fs::read_to_string(&path).ok().filter(|text| !text.is_empty())
        })
        .await
    }

    /// Makes a file that tasks wait for.
    pub fn touch(&self, name: &str) {
        fs::write(self.path(name), "go\n").expect("a file of the test");
    }

    /// The lines of a file that tasks append to; none where it is not there.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The processes with that file of the cluster in their command line.
    pub fn processes_with(&self, name: &str) -> Vec<String> {
        processes_with(&self.path(name))
    }
}
