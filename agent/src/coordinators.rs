//! The coordinators an agent was told of, tried in turn, and the pause between tries.
//!
//! Any of them will do: what an agent says is recorded in the database behind all of them.

use std::time::Duration;

use backon::ExponentialBuilder;
use postq_runtime::channel::{self, Channel, ChannelError};

/// Longest pause between two tries.
pub const MAX_PAUSE: Duration = Duration::from_secs(5);
/// An agent whose stream broke has 3 s to come back before its attempts are lost, so the first
/// tries are quick.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// A list of addresses that have been checked, and whose turn it is.
#[derive(Clone, Debug)]
pub struct Coordinators {
    urls: Vec<String>,
    token: Option<String>,
    turn: usize,
}

impl Coordinators {
    /// Checks the addresses (at least one) and the token; connects to nobody.
    pub fn new(urls: &[String], token: Option<&str>) -> Result<Self, ChannelError> {
        for url in urls {
            channel::endpoint(url)?;
        }
        channel::Bearer::new(token)?;
        Ok(Self { urls: urls.to_vec(), token: token.map(ToOwned::to_owned), turn: 0 })
    }

    /// A fresh channel to the next coordinator, and its address.
    pub fn take_turn(&mut self) -> (String, Channel) {
        let url = self.urls[self.turn].clone();
        self.turn = (self.turn + 1) % self.urls.len();
        let channel = self.channel_to(&url);
        (url, channel)
    }

    /// A fresh channel to a coordinator of the list.
    pub fn channel_to(&self, url: &str) -> Channel {
        channel::connect_lazy(url, self.token.as_deref())
            .expect("invariant: addresses and token were checked when this was made")
    }

    /// The one whose turn it was last has it again.
    pub fn again(&mut self) {
        self.turn = (self.turn + self.urls.len() - 1) % self.urls.len();
    }
}

/// The pauses between tries: exponential, with jitter, for ever.
pub fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(MIN_PAUSE)
        .with_max_delay(MAX_PAUSE)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
}
