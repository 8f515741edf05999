//! That an image is on this host: looked up first, pulled where the task wants it, once at a time per
//! image and few at a time per host.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use bollard::{models::ImageInspect, query_parameters::CreateImageOptionsBuilder};
use bytes::Bytes;
use futures::TryStreamExt;
use postq_common::spec::Pull;
use tokio::sync::Semaphore;

use super::{
    engine::{Docker, status, tell},
    fault,
    progress::Progress,
    pulled::{Hold, PulledImages},
    registry,
};
use crate::{
    executor::task::{DockerProgram, Ended},
    logs::{Output, Stream},
};

/// More at once only fight for the disk.
const PULLS_AT_ONCE: usize = 2;
const LONGEST_REFERENCE: usize = 512;
/// Words of engines and registries for what will be the same next time.
const HOPELESS: [&str; 7] = [
    "manifest unknown",
    "not found",
    "does not exist",
    "no matching manifest",
    "unauthorized",
    "access denied",
    "no basic auth credentials",
];

/// An image that is on this host, and stays as long as this is held.
#[derive(Debug)]
pub(crate) struct Image {
    /// What it is, for people and for the engine.
    pub(crate) digest: String,
    id: String,
    _hold: Hold,
}

/// Who may pull what, and what was pulled.
#[derive(Debug)]
pub(super) struct Images {
    pulls: Semaphore,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    pub(super) pulled: Arc<PulledImages>,
}

impl Images {
    /// `work_dir` is where what was pulled is written down. Blocks on the disk.
    pub(super) fn open(work_dir: &Path) -> Self {
        let pulled = Arc::new(PulledImages::open(&work_dir.join("images")));
        Self { pulls: Semaphore::new(PULLS_AT_ONCE), turns: Mutex::default(), pulled }
    }

    fn turn(&self, image: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().expect("invariant: nothing panics under this lock");
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(image.to_owned()).or_default().clone()
    }
}

impl Docker {
    /// Sees to it that the image is here; what it is, by digest. The task's log is told of a pull.
    pub(crate) async fn have_image(
        &self,
        program: &DockerProgram,
        output: &Output,
    ) -> Result<Image, Ended> {
        let image = program.image.as_str();
        if !is_reference(image) {
            let why = format!("`{image}` is not the name of an image");
            return Err(Ended::NotStarted { why, is_final: true });
        }
        let pull = program.container.pull;
        if pull != Pull::Always
            && let Some(found) = self.find(program).await?
        {
            return Ok(found);
        }
        if pull == Pull::Never {
            let why =
                format!("image {image} is not on this host, and the task lets none be pulled");
            return Err(Ended::NotStarted { why, is_final: false });
        }
        let turn = self.images.turn(image);
        let _turn = match turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                say(output, format!("waiting for another task's pull of {image}")).await;
                turn.lock().await
            }
        };
        let _pull = self.images.pulls.acquire().await;
        if pull != Pull::Always
            && let Some(found) = self.find(program).await?
        {
            return Ok(found);
        }
        say(output, format!("pulling {image}")).await;
        let before = self.api.inspect_image(image).await.ok().and_then(|found| found.id);
        let _before = before.as_ref().map(|id| self.images.pulled.hold(id));
        let unpulled = |why: &str| {
            let is_hopeless = HOPELESS.iter().any(|word| why.contains(word));
            fault::not_started(&unpulled(image, pull), why, is_hopeless)
        };
        self.pull(program, output).await.map_err(|why| unpulled(&why))?;
        let found = self.find(program).await?;
        let found = found.ok_or_else(|| unpulled("the engine has none after the pull"))?;
        // A name that somebody else gave stays theirs, whatever it leads to now.
        let pulled = &self.images.pulled;
        if before.is_none_or(|before| pulled.has(image, &before)) {
            pulled.note(image, &found.id);
            tokio::task::block_in_place(|| pulled.save());
        }
        say(output, format!("pulled {image}: {}", found.digest)).await;
        Ok(found)
    }

    /// What the image is, where it is here for the platform that is wanted.
    async fn find(&self, program: &DockerProgram) -> Result<Option<Image>, Ended> {
        let image = &program.image;
        let _gate = self.images.pulled.gate.read().await;
        match self.api.inspect_image(image).await {
            Ok(found) if is_for(&found, &program.container.platform) => {
                let digest = digest(&found, image);
                let id = found.id.unwrap_or_default();
                let hold = self.images.pulled.hold(&id);
                Ok(Some(Image { digest, id, _hold: hold }))
            }
            Ok(_) => Ok(None),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => {
                let (what, why) =
                    (format!("the Docker engine cannot tell about image {image}"), tell(&error));
                // Podman calls a bad name a fault of its own.
                let is_hopeless = status(&error) == Some(400) || why.contains("normalizing name");
                Err(fault::not_started(&what, &why, is_hopeless))
            }
        }
    }

    async fn pull(&self, program: &DockerProgram, output: &Output) -> Result<(), String> {
        let image = program.image.as_str();
        let file = self.options.auth_file.as_ref();
        let credentials = tokio::task::block_in_place(|| registry::credentials(file, image))?;
        let (name, tag) = split(image);
        let mut options = CreateImageOptionsBuilder::new().from_image(name).tag(tag);
        if !program.container.platform.is_empty() {
            options = options.platform(&program.container.platform);
        }
        let mut steps = Box::pin(self.api.create_image(Some(options.build()), None, credentials));
        let mut progress = Progress::default();
        while let Some(step) = steps.try_next().await.map_err(|error| tell(&error))? {
            if let Some(line) = progress.note(&step) {
                say(output, line).await;
            }
        }
        Ok(())
    }
}

fn unpulled(image: &str, pull: Pull) -> String {
    match pull {
        Pull::Always => format!("image {image} could not be pulled"),
        Pull::Missing | Pull::Never => {
            format!("image {image} is not on this host and could not be pulled")
        }
    }
}

async fn say(output: &Output, line: String) {
    output.write(Stream::System, Bytes::from(format!("postq: {line}\n"))).await;
}

/// Whether an image is one of this platform, as far as one is wanted.
fn is_for(found: &ImageInspect, platform: &str) -> bool {
    let has = [&found.os, &found.architecture, &found.variant];
    platform
        .split('/')
        .zip(has)
        .all(|(wanted, has)| wanted.is_empty() || has.as_deref().is_none_or(|has| has == wanted))
}

/// Name and digest as its registry knows it, else the engine's own id.
fn digest(found: &ImageInspect, image: &str) -> String {
    let (name, _) = split(image);
    let name = name.split('@').next().unwrap_or(name);
    let known = found.repo_digests.iter().flatten();
    let is_its = |digest: &&String| {
        let of = digest.split('@').next().unwrap_or_default();
        of == name || format!("docker.io/{of}") == name || format!("docker.io/library/{of}") == name
    };
    known.clone().find(is_its).or(found.id.as_ref()).cloned().unwrap_or_default()
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

    #[test]
    fn an_image_is_told_by_the_digest_of_its_registry_and_fits_its_platform() {
        let found = ImageInspect {
            id: Some("sha256:1".into()),
            repo_digests: Some(vec!["other@sha256:2".into(), "h:5000/app@sha256:3".into()]),
            os: Some("linux".into()),
            architecture: Some("amd64".into()),
            ..ImageInspect::default()
        };
        assert_eq!(digest(&found, "h:5000/app:1"), "h:5000/app@sha256:3");
        assert_eq!(digest(&found, "own"), "sha256:1");
        assert!(is_for(&found, "") && is_for(&found, "linux/amd64"));
        assert!(is_for(&found, "linux") && !is_for(&found, "linux/arm64"));
    }
}
