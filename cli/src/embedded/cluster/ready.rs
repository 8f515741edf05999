//! Asking a cluster whether it is ready.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use postq_proto::v1::ListAgentsRequest;

use super::config::ClusterConfig;
use crate::client::{Coordinator, bounded};

/// The first start applies the migrations.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting cluster is asked.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many agents are connected; `None` where the coordinator or its database does not answer.
pub(super) async fn connected(client: &Coordinator) -> Option<usize> {
    let request = ListAgentsRequest { page_size: 1000, ..Default::default() };
    let answer = client.agents().list_agents(bounded(request)).await.ok()?.into_inner();
    Some(answer.agents.iter().filter(|agent| agent.is_connected).count())
}

/// A client of the coordinator at `address`.
pub(super) fn client(config: &ClusterConfig, address: SocketAddr) -> Coordinator {
    let token = config.tokens.as_ref().map(|tokens| tokens.client.as_str());
    Coordinator::connect_lazily(&endpoint(address), token)
        .expect("invariant: an address makes a valid endpoint")
}

/// What is bound to every address of the machine is reached by the loopback.
pub(super) fn endpoint(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_reach_an_unspecified_address_by_the_loopback() {
        assert_eq!(endpoint("0.0.0.0:7432".parse().unwrap()), "http://127.0.0.1:7432");
        assert_eq!(endpoint("[::1]:7432".parse().unwrap()), "http://[::1]:7432");
    }
}
