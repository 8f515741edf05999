//! The coordinators an agent was told of, tried in turn, and the pause between rounds.
//!
//! Any of them will do: what an agent says is recorded in the database behind all of them. A name
//! stands for all the addresses it has at the time: it is resolved anew for every round. Invariant: a
//! name that cannot be resolved leads where it led last.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use backon::ExponentialBuilder;
use futures::future::join_all;
use postq_runtime::channel::{self, Channel, ChannelError};
use rand::seq::SliceRandom;
use tokio::{net::lookup_host, time::timeout};

/// Longest pause between two rounds.
pub const MAX_PAUSE: Duration = Duration::from_secs(5);
/// An agent whose stream broke has 3 s to come back before its attempts are lost, so the first
/// rounds are quick.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// How long a name may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A coordinator to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was given.
    url: String,
    /// One of those its name has; none where the address is written out, or unknown.
    address: Option<SocketAddr>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} at {}", self.url, address.ip()),
            None => f.write_str(&self.url),
        }
    }
}

/// A list of addresses that have been checked, and whose turn it is.
#[derive(Clone, Debug)]
pub struct Coordinators {
    urls: Vec<String>,
    token: Option<String>,
    /// Those that were not tried since they were resolved.
    round: VecDeque<Target>,
    last: Option<Target>,
    /// Where each URL led when that could last be told.
    known: BTreeMap<String, Vec<SocketAddr>>,
}

impl Coordinators {
    /// Checks the addresses (at least one) and the token; connects to nobody.
    pub fn new(urls: &[String], token: Option<&str>) -> Result<Self, ChannelError> {
        for url in urls {
            channel::endpoint(url)?;
        }
        channel::Bearer::new(token)?;
        Ok(Self {
            urls: urls.to_vec(),
            token: token.map(ToOwned::to_owned),
            round: VecDeque::new(),
            last: None,
            known: BTreeMap::new(),
        })
    }

    /// A fresh channel to the next coordinator, and which one that is.
    pub async fn take_turn(&mut self) -> (Target, Channel) {
        if self.round.is_empty() {
            let targets = self.resolve().await;
            self.round = round_after(self.last.as_ref(), targets);
        }
        let target = self.round.pop_front().expect("invariant: every URL gives a target");
        self.last = Some(target.clone());
        let channel = self.channel_to(&target);
        (target, channel)
    }

    /// Whether all were tried since they were resolved.
    pub fn is_round_over(&self) -> bool {
        self.round.is_empty()
    }

    /// The last one has answered: when it is gone, it is time to look who is there.
    pub fn has_answered(&mut self) {
        self.round.clear();
    }

    /// The one whose turn it was last has it again.
    pub fn again(&mut self) {
        if let Some(last) = self.last.clone() {
            self.round.push_front(last);
        }
    }

    /// A fresh channel to a coordinator.
    pub fn channel_to(&self, target: &Target) -> Channel {
        channel::connect_lazy_at(&target.url, target.address, self.token.as_deref())
            .expect("invariant: addresses and token were checked when this was made")
    }

    /// A channel to the first one, for who may need it before any has answered.
    pub fn channel_to_first(&self) -> Channel {
        let url = self.urls.first().expect("invariant: there is at least one").clone();
        self.channel_to(&Target { url, address: None })
    }

    /// Everybody there is, in the order of the URLs, those of one name in any order, so that many
    /// agents spread over them.
    async fn resolve(&mut self) -> Vec<Target> {
        let found = join_all(self.urls.iter().map(|url| addresses_of(url))).await;
        let mut targets = Vec::new();
        for (url, found) in self.urls.iter().zip(found) {
            if let Some(found) = found {
                self.known.insert(url.clone(), found);
            }
            let mut addresses = self.known.get(url).cloned().unwrap_or_default();
            addresses.shuffle(&mut rand::rng());
            // Who connects by the name itself is told what is wrong with it.
            let addresses = match addresses.is_empty() {
                true => vec![None],
                false => addresses.into_iter().map(Some).collect(),
            };
            let target = |address| Target { url: url.clone(), address };
            targets.extend(addresses.into_iter().map(target));
        }
        targets
    }
}

/// All targets, those first that come after the last one.
fn round_after(last: Option<&Target>, targets: Vec<Target>) -> VecDeque<Target> {
    let mut round = VecDeque::from(targets);
    if let Some(at) = last.and_then(|last| round.iter().position(|target| target == last)) {
        round.rotate_left(at + 1);
    }
    round
}

/// The addresses that the host's name has now; none where they cannot be told, or no name is given.
async fn addresses_of(url: &str) -> Option<Vec<SocketAddr>> {
    let (host, port) = channel::host_and_port(url).ok()?;
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let found = timeout(RESOLVE_TIMEOUT, lookup_host((host, port))).await.ok()?.ok()?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    (!addresses.is_empty()).then_some(addresses)
}

/// The pauses between rounds: exponential, with jitter, for ever.
pub fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(MIN_PAUSE)
        .with_max_delay(MAX_PAUSE)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, address: &str) -> Target {
        Target { url: url.into(), address: address.parse().ok() }
    }

    #[test]
    fn a_round_begins_after_the_last_one_and_ends_with_it() {
        let all = [target("a", ""), target("n", "10.0.0.1:1"), target("n", "10.0.0.2:1")];
        let round = |last: Option<&Target>| Vec::from(round_after(last, all.to_vec()));
        assert_eq!(round(None), all);
        assert_eq!(round(Some(&all[0])), [all[1].clone(), all[2].clone(), all[0].clone()]);
        assert_eq!(round(Some(&all[2])), all);
        assert_eq!(round(Some(&target("n", "10.0.0.9:1"))), all, "it is gone");
    }

    #[tokio::test]
    async fn each_has_its_turn_and_who_has_answered_is_looked_for_again() {
        let urls = ["http://10.0.0.1:1", "http://10.0.0.2:1", "http://[::1]:1"];
        let mut all = Coordinators::new(&urls.map(Into::into), None).unwrap();
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(all.take_turn().await.0.to_string());
        }
        assert_eq!(turns, [urls[0], urls[1], urls[2], urls[0]]);
        all.again();
        assert_eq!(all.take_turn().await.0.to_string(), urls[0]);
        assert!(!all.is_round_over());
        all.has_answered();
        assert!(all.is_round_over());
        all.again();
        assert_eq!(all.take_turn().await.0.to_string(), urls[0]);
        assert!(all.is_round_over());
        assert_eq!(all.take_turn().await.0.to_string(), urls[1]);
    }

    /// Agents that lost one coordinator at one instant do not come to the next one at one instant.
    #[test]
    fn pauses_grow_up_to_a_bound_and_no_two_agents_keep_step() {
        use backon::BackoffBuilder;

        let pauses = || backoff().build().take(100).collect::<Vec<Duration>>();
        let (one, other) = (pauses(), pauses());
        assert_ne!(one, other);
        assert!(one[0] < 2 * MIN_PAUSE, "{:?}", one[0]);
        for pause in one.iter().chain(&other) {
            assert!((MIN_PAUSE..=2 * MAX_PAUSE).contains(pause), "{pause:?}");
        }
        assert!(one[99] >= MAX_PAUSE && one[98] != one[99], "{:?}", &one[98..]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_resolved_leads_where_it_led_last() {
        let url = "http://no-such-host.invalid:1";
        let mut all = Coordinators::new(&[url.into()], None).unwrap();
        assert_eq!(all.take_turn().await.0, target(url, ""));
        all.known.insert(url.into(), vec!["10.0.0.7:1".parse().unwrap()]);
        let (known, _) = all.take_turn().await;
        assert_eq!(known.to_string(), format!("{url} at 10.0.0.7"));
    }
}
