//! One request to a webhook: signed as Standard Webhooks has it, sent, judged by its status.
//!
//! It follows no redirect and asks no proxy: it goes where it was allowed to go, or nowhere. What is
//! answered is not read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CONTENT_TYPE, USER_AGENT};
use postq_runtime::tls;
use reqwest::{Client, redirect};
use sha2::Sha256;

use super::Door;
use crate::{errors, store::Delivery};

/// From the first word to the status.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that is not used so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Sends what is allowed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    door: Door,
    client: Client,
}

/// Why it did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// Not by this coordinator.
    #[error("this coordinator may not send there (--webhook-allow)")]
    NotAllowed,
    /// Not by this coordinator.
    #[error("this coordinator has no secret of that name (--webhook-secrets)")]
    NoSecret,
    /// Somebody answered, but not that it is well.
    #[error("was answered with {0}")]
    Answered(reqwest::StatusCode),
    /// Nobody answered.
    #[error("cannot be sent")]
    Unsent(#[source] reqwest::Error),
}

impl Undelivered {
    /// Whether the next one to the same host would fare no better.
    pub fn is_of_host(&self) -> bool {
        matches!(self, Self::Unsent(_))
    }
}

impl Sender {
    /// Sends by what the operator has allowed.
    pub fn new(door: Door) -> Result<Self, reqwest::Error> {
        tls::provide();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE);
        // A host without certificates of authorities may run a coordinator that needs none.
        let client = if door.wants_tls() { client } else { client.tls_certs_only([]) };
        Ok(Self { door, client: client.build()? })
    }

    /// Sends one.
    pub async fn send(&self, delivery: &Delivery) -> Result<(), Undelivered> {
        if !self.door.is_allowed(&delivery.url) {
            return Err(Undelivered::NotAllowed);
        }
        let secret = self.door.secret(&delivery.secret).ok_or(Undelivered::NoSecret)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = delivery.job.to_string();
        let answer = self
            .client
            .post(&delivery.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("postq/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature(secret, &id, now, &delivery.body))
            .body(delivery.body.clone())
            .send()
            .await
            .map_err(|error| Undelivered::Unsent(error.without_url()))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(Undelivered::Answered(status)) }
    }
}

/// `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64.
fn signature(secret: &[u8], id: &str, timestamp: u64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).expect("invariant: a key may have any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// What is kept of a failure.
pub fn told(why: &Undelivered) -> String {
    errors::chain(why).chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of Standard Webhooks.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
