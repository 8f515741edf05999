//! That an image is on this host: looked up first, pulled only when it is missing, once at a time
//! per image and few at a time per host.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::TryStreamExt;
use tokio::sync::Semaphore;

use super::engine::{Docker, status, tell};
use crate::executor::task::Ended;

/// More at once only fight for the disk.
const PULLS_AT_ONCE: usize = 2;
const LONGEST_REFERENCE: usize = 512;

/// Who may pull what.
#[derive(Debug)]
pub(super) struct Images {
    pulls: Semaphore,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Default for Images {
    fn default() -> Self {
        Self { pulls: Semaphore::new(PULLS_AT_ONCE), turns: Mutex::default() }
    }
}

impl Images {
    fn turn(&self, image: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().expect("invariant: nothing panics under this lock");
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(image.to_owned()).or_default().clone()
    }
}

impl Docker {
    /// Sees to it that the image is here.
    pub(crate) async fn have_image(&self, image: &str) -> Result<(), Ended> {
        if !is_reference(image) {
            let why = format!("`{image}` is not the name of an image");
            return Err(Ended::NotStarted { why, is_final: true });
        }
        if self.is_here(image).await? {
            return Ok(());
        }
        let turn = self.images.turn(image);
        let _turn = turn.lock().await;
        let _pull = self.images.pulls.acquire().await;
        if self.is_here(image).await? {
            return Ok(());
        }
        self.pull(image).await.map_err(|why| Ended::NotStarted {
            why: format!("image {image} is not on this host and could not be pulled: {why}"),
            is_final: false,
        })
    }

    async fn is_here(&self, image: &str) -> Result<bool, Ended> {
        match self.api.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(Ended::NotStarted {
                why: format!("the Docker engine cannot tell about image {image}: {}", tell(&error)),
                is_final: status(&error) == Some(400),
            }),
        }
    }

    async fn pull(&self, image: &str) -> Result<(), String> {
        let (name, tag) = split(image);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        self.api
            .create_image(Some(options), None, None)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| tell(&error))
    }
}

/// Name and tag as the engine wants them; without a tag it would pull all of them.
fn split(image: &str) -> (&str, &str) {
    if image.contains('@') {
        return (image, "");
    }
    let last_part = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[last_part..].find(':') {
        Some(colon) => (&image[..last_part + colon], &image[last_part + colon + 1..]),
        None => (image, "latest"),
    }
}

/// What can be an image's name. The name becomes a part of a path of the engine's API, so what
/// could lead elsewhere must not pass; the engine itself judges the rest.
fn is_reference(image: &str) -> bool {
    !image.is_empty()
        && image.len() <= LONGEST_REFERENCE
        && image.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte))
        && image.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_into_name_and_tag() {
        assert_eq!(split("debian"), ("debian", "latest"));
        assert_eq!(split("debian:bookworm-slim"), ("debian", "bookworm-slim"));
        assert_eq!(split("host:5000/team/app"), ("host:5000/team/app", "latest"));
        assert_eq!(split("host:5000/team/app:1"), ("host:5000/team/app", "1"));
        assert_eq!(split("app@sha256:ab"), ("app@sha256:ab", ""));
    }

    #[test]
    fn what_leads_elsewhere_is_no_reference() {
        for good in ["debian", "a/b/c:1.0", "host:5000/x", "x@sha256:0a", "A_b-c.d"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", " ", "a b", "../containers/x", "a/../b", "a//b", "/a", "a/", "a?b", "a%2e"]
        {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
