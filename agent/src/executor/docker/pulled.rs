//! Which images this agent has pulled, when each was last of use, and which are of use now.
//!
//! It is kept in a file, so that an agent knows in its next life what it brought here. Invariant: an
//! image that somebody else brought is not among them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, RwLock};
use tracing::warn;

use crate::home;

/// An image that was pulled under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pulled {
    /// As the task named it.
    pub(super) name: String,
    /// As the engine does.
    pub(super) id: String,
    /// When the last attempt that had it ended.
    pub(super) used_at: SystemTime,
}

/// All of them.
#[derive(Debug)]
pub(super) struct PulledImages {
    path: PathBuf,
    state: Mutex<State>,
    /// Read by who looks for an image and takes hold of it, written by who removes one: nobody finds
    /// what is about to go.
    pub(super) gate: RwLock<()>,
    /// Rung when one more has come.
    pub(super) news: Notify,
}

#[derive(Debug, Default)]
struct State {
    images: Vec<Pulled>,
    /// How many attempts have an image of this id.
    held: BTreeMap<String, usize>,
    is_changed: bool,
}

/// While there is one, its image stays.
#[derive(Debug)]
pub(crate) struct Hold {
    images: Arc<PulledImages>,
    id: String,
}

impl PulledImages {
    /// Those that are written down in a file. Blocks on the disk.
    pub(super) fn open(path: &Path) -> Self {
        let images = match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                let path = path.display();
                warn!(%path, %error, "which images were pulled cannot be read; they stay");
                Vec::new()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let path = path.display();
                    warn!(%path, %error, "which images were pulled cannot be read; they stay");
                }
                Vec::new()
            }
        };
        Self {
            path: path.to_owned(),
            state: Mutex::new(State { images, ..State::default() }),
            gate: RwLock::default(),
            news: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("invariant: nothing panics under this lock")
    }

    /// Whether this agent brought what has that name.
    pub(super) fn has(&self, name: &str, id: &str) -> bool {
        self.state().images.iter().any(|image| image.name == name && image.id == id)
    }

    /// It was pulled just now.
    pub(super) fn note(&self, name: &str, id: &str) {
        let mut state = self.state();
        state.images.retain(|image| image.name != name || image.id != id);
        let (name, id) = (name.to_owned(), id.to_owned());
        state.images.push(Pulled { name, id, used_at: SystemTime::now() });
        state.is_changed = true;
        drop(state);
        self.news.notify_one();
    }

    /// It is gone, or somebody else's now.
    pub(super) fn forget(&self, gone: &Pulled) {
        let mut state = self.state();
        state.images.retain(|image| image.name != gone.name || image.id != gone.id);
        state.is_changed = true;
    }

    /// Keeps an image from now on.
    pub(super) fn hold(self: &Arc<Self>, id: &str) -> Hold {
        *self.state().held.entry(id.to_owned()).or_default() += 1;
        Hold { images: self.clone(), id: id.to_owned() }
    }

    pub(super) fn all(&self) -> Vec<Pulled> {
        self.state().images.clone()
    }

    /// The ids of those that are of use now.
    pub(super) fn held(&self) -> BTreeSet<String> {
        self.state().held.keys().cloned().collect()
    }

    /// Writes down what has changed. Blocks on the disk.
    pub(super) fn save(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.is_changed) {
            return;
        }
        let text = serde_json::to_vec(&state.images).expect("invariant: names and times are JSON");
        drop(state);
        if let Err(error) = home::write_whole(&self.path, &text) {
            let path = self.path.display();
            warn!(%path, %error, "which images were pulled is not written down; trying again");
            self.state().is_changed = true;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.images.state();
        if let Some(count) = state.held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&self.id);
            }
        }
        let mut is_known = false;
        for image in state.images.iter_mut().filter(|image| image.id == self.id) {
            image.used_at = SystemTime::now();
            is_known = true;
        }
        state.is_changed |= is_known;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_known_in_the_next_life_with_the_time_of_their_last_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("images");
        let images = Arc::new(PulledImages::open(&path));
        images.note("a:1", "sha256:1");
        images.note("b:1", "sha256:2");
        let (first, second) = (images.hold("sha256:1"), images.hold("sha256:1"));
        drop(first);
        assert_eq!(images.held(), BTreeSet::from(["sha256:1".to_owned()]));
        let before = images.all()[0].used_at;
        drop(second);
        assert!(images.held().is_empty() && images.all()[0].used_at >= before);
        images.forget(&images.all()[1]);
        images.save();
        let again = PulledImages::open(&path);
        assert_eq!(again.all(), images.all());
        assert!(again.has("a:1", "sha256:1") && !again.has("a:1", "sha256:2"));
        fs::write(&path, "[").unwrap();
        assert!(PulledImages::open(&path).all().is_empty(), "what is damaged is not guessed at");
    }
}
