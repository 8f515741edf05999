//! Removes images that this agent has pulled and that were of no use for long, or take too much room.
//!
//! Invariant: what an attempt has, or any container of the engine, stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    engine::{Docker, status, tell},
    pulled::Pulled,
};

/// Between two looks, at most.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// And at least.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long and how much is kept; none means for ever, and any amount.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageLimits {
    /// Since an image was last of use.
    pub age: Option<Duration>,
    /// All of them together, as the engine counts.
    pub bytes: Option<u64>,
}

/// What the engine says of an image.
#[derive(Clone, Debug)]
struct Listed {
    bytes: u64,
    has_names: bool,
}

impl Docker {
    /// Looks for garbage until told to stop.
    pub(crate) async fn collect_garbage(self, stop: CancellationToken) {
        let limits = self.options.image_limits;
        let every = limits.age.unwrap_or(LOOK_EVERY).clamp(SHORTEST, LOOK_EVERY);
        let pulled = &self.images.pulled;
        loop {
            if limits.age.is_some() || limits.bytes.is_some() {
                let swept = stop.run_until_cancelled(self.sweep(limits)).await;
                if let Some(Err(why)) = swept {
                    debug!(why, "images cannot be looked through; trying again");
                }
            }
            tokio::task::block_in_place(|| pulled.save());
            tokio::select! {
                () = stop.cancelled() => return,
                () = pulled.news.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    async fn sweep(&self, limits: ImageLimits) -> Result<(), String> {
        let listed = self.list_images().await?;
        let pulled = &self.images.pulled;
        let (here, gone): (Vec<_>, Vec<_>) =
            pulled.all().into_iter().partition(|image| listed.contains_key(&image.id));
        gone.iter().for_each(|image| pulled.forget(image));
        for image in garbage(&here, &listed, &pulled.held(), limits) {
            let _gate = pulled.gate.write().await;
            if !pulled.held().contains(&image.id) {
                self.remove_image(&image, &listed[&image.id]).await;
            }
        }
        Ok(())
    }

    async fn list_images(&self) -> Result<BTreeMap<String, Listed>, String> {
        let options = ListImagesOptionsBuilder::new().all(false).build();
        let images = self.api.list_images(Some(options)).await.map_err(|error| tell(&error))?;
        let listed = images.into_iter().map(|image| {
            let bytes = u64::try_from(image.size).unwrap_or(0);
            // An image that lost its name to a newer one is listed under such a one.
            let has_names = image.repo_tags.iter().any(|name| name != "<none>:<none>");
            (image.id, Listed { bytes, has_names })
        });
        Ok(listed.collect())
    }

    async fn remove_image(&self, image: &Pulled, listed: &Listed) {
        let named = self.api.inspect_image(&image.name).await.ok().and_then(|found| found.id);
        let reference = match named.as_deref() == Some(&image.id) {
            true => &image.name,
            // Its name is another image's now.
            false if !listed.has_names => &image.id,
            // Somebody gave it a name of theirs.
            false => return self.images.pulled.forget(image),
        };
        // Without force: the engine keeps what a container is made of.
        let options = RemoveImageOptionsBuilder::new().force(false).build();
        let Pulled { name, id, .. } = image;
        match self.api.remove_image(reference, Some(options), None).await {
            Ok(_) => info!(image = name, id, "removed an image that was of no use any more"),
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => {
                match status(&error) {
                    Some(409) => debug!(image = name, why = tell(&error), "an image is in use"),
                    _ => warn!(image = name, why = tell(&error), "an image cannot be removed"),
                }
                return;
            }
        }
        self.images.pulled.forget(image);
    }
}

/// Those that are to go: what is too old, then what was of no use for longest until the rest fits.
fn garbage(
    images: &[Pulled],
    listed: &BTreeMap<String, Listed>,
    held: &BTreeSet<String>,
    limits: ImageLimits,
) -> Vec<Pulled> {
    let now = SystemTime::now();
    let mut free: Vec<&Pulled> = images.iter().filter(|it| !held.contains(&it.id)).collect();
    free.sort_by_key(|image| image.used_at);
    let is_old = |image: &Pulled| {
        let age = now.duration_since(image.used_at).unwrap_or_default();
        limits.age.is_some_and(|limit| age > limit)
    };
    let mut going: BTreeSet<&str> =
        free.iter().filter(|image| is_old(image)).map(|image| image.id.as_str()).collect();
    // One image may have several names, of which each was pulled.
    let ids: BTreeSet<&str> = images.iter().map(|image| image.id.as_str()).collect();
    let size = |id: &str| listed.get(id).map_or(0, |image| image.bytes);
    let mut bytes: u64 = ids.difference(&going).map(|id| size(id)).sum();
    for image in &free {
        if limits.bytes.is_some_and(|limit| bytes > limit) && going.insert(&image.id) {
            bytes -= size(&image.id);
        }
    }
    free.into_iter().filter(|image| going.contains(image.id.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(name: &str, id: &str, seconds_ago: u64) -> Pulled {
        let used_at = SystemTime::now() - Duration::from_secs(seconds_ago);
        Pulled { name: name.into(), id: id.into(), used_at }
    }

    #[test]
    fn what_is_old_goes_and_then_the_oldest_until_the_rest_fits() {
        let images = [pulled("a", "1", 500), pulled("b", "2", 400), pulled("c", "3", 300)];
        let ids = ["1", "2", "3", "4"];
        let listed: BTreeMap<_, _> =
            ids.map(|id| (id.to_owned(), Listed { bytes: 10, has_names: true })).into();
        let going = |images: &[Pulled], held: &[&str], age: Option<u64>, bytes| {
            let held = held.iter().map(ToString::to_string).collect();
            let limits = ImageLimits { age: age.map(Duration::from_secs), bytes };
            let going = garbage(images, &listed, &held, limits);
            going.into_iter().map(|image| image.name).collect::<Vec<_>>()
        };
        assert_eq!(going(&images, &[], None, None), Vec::<String>::new());
        assert_eq!(going(&images, &[], Some(450), None), ["a"]);
        assert_eq!(going(&images, &[], Some(350), Some(10)), ["a", "b"]);
        assert_eq!(going(&images, &[], Some(450), Some(15)), ["a", "b"]);
        assert_eq!(going(&images, &[], None, Some(29)), ["a"]);
        assert_eq!(going(&images, &[], None, Some(30)), Vec::<String>::new());
        // What is held is counted and stays.
        assert_eq!(going(&images, &["1"], Some(450), Some(20)), ["b"]);
        assert_eq!(going(&images, &["1", "2", "3"], Some(0), Some(0)), Vec::<String>::new());
        // Two names of one image go together, and count once.
        let twice = [pulled("a", "1", 500), pulled("b", "1", 500), pulled("c", "3", 300)];
        assert_eq!(going(&twice, &[], None, Some(20)), Vec::<String>::new());
        assert_eq!(going(&twice, &[], None, Some(19)), ["a", "b"]);
    }
}
