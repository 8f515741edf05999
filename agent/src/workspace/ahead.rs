//! The files of a task that may come next, fetched into the cache while others run.
//!
//! A guess: nobody waits for it but who needs the same files. Invariant: one is fetched at a time, and
//! only while no task that was given to this agent waits for others; what is not whole is removed.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream};
use nix::sys::statvfs::statvfs;
use postq_common::tree::{Digest, Snapshot};
use postq_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info};

use super::{
    Workspace, WorkspaceError, cache::Cache, handle::from_message, plan::Plan, present, remote::off,
};

/// What stays free of the disk: so many bytes, and as many again as are fetched.
const SPARE_BYTES: u64 = 1 << 30;

/// What is fetched ahead, and who needs files now. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Ahead(Arc<State>);

struct State {
    guess: Mutex<Option<Guess>>,
    /// How many checkouts wait for files.
    needs: watch::Sender<usize>,
}

struct Guess {
    content: Digest,
    stop: CancellationToken,
    has_begun: bool,
}

/// A guess whose files are not here.
struct Wanted {
    cache: Arc<Cache>,
    input: Snapshot,
    content: Digest,
    stop: CancellationToken,
}

/// A checkout that waits for files.
pub(super) struct Need {
    state: Arc<State>,
    /// What it took over ends with it: nobody else stops that.
    _adopted: Option<DropGuard>,
}

impl Default for State {
    fn default() -> Self {
        Self { guess: Mutex::default(), needs: watch::channel(0).0 }
    }
}

impl State {
    fn guess(&self) -> MutexGuard<'_, Option<Guess>> {
        self.guess.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        self.state.needs.send_modify(|needs| *needs -= 1);
    }
}

impl Ahead {
    /// A task needs files now. What is fetched ahead ends, unless it is just that: then it is the task's
    /// from here, and ends when the task no longer waits.
    pub(super) fn need(&self, content: Digest) -> Need {
        self.0.needs.send_modify(|needs| *needs += 1);
        // Ends what is not adopted.
        let guess = self.0.guess().take();
        let guess = guess.map(|guess| (guess.has_begun, guess.content, guess.stop.drop_guard()));
        let adopted = guess.filter(|(has_begun, of, _)| *has_begun && *of == content);
        Need { state: self.0.clone(), _adopted: adopted.map(|(.., stop)| stop) }
    }

    /// Nothing is fetched ahead from here, until the next guess.
    pub(super) fn stop(&self) {
        if let Some(guess) = self.0.guess().take() {
            guess.stop.cancel();
        }
    }

    /// A newer guess. None: it is the same as before.
    fn replace(&self, content: Digest) -> Option<CancellationToken> {
        let mut guess = self.0.guess();
        let (old, stop) = (guess.take(), CancellationToken::new());
        if let Some(old) = old.filter(|old| !old.stop.is_cancelled()) {
            if old.content == content {
                *guess = Some(old);
                return None;
            }
            old.stop.cancel();
        }
        *guess = Some(Guess { content, stop: stop.clone(), has_begun: false });
        Some(stop)
    }

    /// Whether the guess for that content still counts; it has begun then.
    fn begin(&self, content: Digest) -> bool {
        let mut guess = self.0.guess();
        let guess = guess.as_mut().filter(|guess| guess.content == content);
        guess.map(|guess| guess.has_begun = true).is_some()
    }

    /// It is over, unless it was replaced.
    fn end(&self, content: Digest) {
        self.0.guess().take_if(|guess| guess.content == content);
    }

    /// Waits until no task waits for files.
    async fn idle(&self) {
        let mut needs = self.0.needs.subscribe();
        // The sender is here.
        let _ = needs.wait_for(|needs| *needs == 0).await;
    }
}

impl Workspace {
    /// Fetches the files of `input` into the cache, as a directory that can be handed over, where they
    /// are not here and there is room for them. Replaces what was fetched ahead before; ends early where
    /// a task needs other files. Both, and [`Workspace::stop_prefetch`], count from the call on, before
    /// what it returns is awaited.
    pub fn prefetch(
        &self,
        input: &v1::Snapshot,
    ) -> impl Future<Output = Result<(), WorkspaceError>> + use<> {
        let guess = from_message(input).map(|input| self.note(input));
        let this = self.clone();
        async move {
            match guess? {
                Some(wanted) => this.fetch_until_stopped(wanted).await,
                None => Ok(()),
            }
        }
    }

    fn note(&self, input: Snapshot) -> Option<Wanted> {
        let (cache, content) = (self.cache.clone()?, input.content?);
        let stop = self.ahead.replace(content)?;
        Some(Wanted { cache, input, content, stop })
    }

    async fn fetch_until_stopped(&self, wanted: Wanted) -> Result<(), WorkspaceError> {
        let Wanted { cache, input, content, stop } = wanted;
        let dir = cache.new_place();
        let fetched = stop.run_until_cancelled(self.fetch_ahead(&cache, (input, content), &dir));
        let fetched = fetched.await.unwrap_or(Ok(()));
        if !stop.is_cancelled() {
            self.ahead.end(content);
        }
        // What was kept has moved.
        let removed = off(move || crate::scratch::remove_tree(&dir)).await;
        removed.map_err(WorkspaceError::io("remove", b""))?;
        fetched
    }

    /// Nothing is fetched ahead from here, until the next guess.
    pub fn stop_prefetch(&self) {
        self.ahead.stop();
    }

    async fn fetch_ahead(
        &self,
        cache: &Arc<Cache>,
        (input, content): (Snapshot, Digest),
        dir: &Path,
    ) -> Result<(), WorkspaceError> {
        self.ahead.idle().await;
        // Whoever needs the same waits here until it is in the cache.
        let _turn = self.turns.wait(content).await;
        if self.is_here(cache, &input) || !self.ahead.begin(content) {
            return Ok(());
        }
        let mut plan = Plan::read(&self.remote, &input, self.limits).await?;
        plan.read_chunks(&self.remote).await?;
        let bytes = plan.listing.weight();
        if !cache.has_room(bytes)
            || !has_disk(cache.dir(), bytes)
            || self.is_near(cache, &plan).await
        {
            debug!(bytes, "not fetched ahead: most of it is here, or there is no room for it");
            return Ok(());
        }
        let name = dir.as_os_str().as_encoded_bytes();
        tokio::fs::create_dir(dir).await.map_err(WorkspaceError::io("make", name))?;
        let (listing, effort) = self.fill(plan, dir.to_owned(), None).await?;
        info!(bytes = effort.received_bytes, "fetched ahead");
        let (cache, dir) = (cache.clone(), dir.to_owned());
        off(move || cache.keep_guess(&dir, input, listing)).await;
        Ok(())
    }

    /// Whether a directory is here that holds just that, or that a task got as that.
    fn is_here(&self, cache: &Cache, input: &Snapshot) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = open.iter().filter(|(_, it)| it.input.content == input.content);
        cache.has(input) || open.any(|(dir, _)| dir.exists())
    }

    /// Whether most of it is in one directory here, which a task will take over and change.
    async fn is_near(&self, cache: &Cache, plan: &Plan) -> bool {
        let mut like = cache.like(plan);
        {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let listings = open.values().map(|it| it.listing.clone());
            like.extend(listings.filter(|it| present::saves(it, plan).is_some()));
        }
        stream::iter(like).any(async |listing| self.to_change(&listing, plan).await.is_some()).await
    }
}

/// Whether a disk has room for so many bytes and for what a task makes of them.
fn has_disk(dir: &Path, bytes: u64) -> bool {
    let free =
        statvfs(dir).map_or(0, |it| it.blocks_available().saturating_mul(it.fragment_size()));
    free >= SPARE_BYTES.saturating_add(bytes.saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn content(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn a_newer_guess_replaces_an_older_one_and_the_same_changes_nothing() {
        let ahead = Ahead::default();
        let first = ahead.replace(content("a")).unwrap();
        assert!(ahead.replace(content("a")).is_none() && !first.is_cancelled());
        let second = ahead.replace(content("b")).unwrap();
        assert!(first.is_cancelled() && !second.is_cancelled());
        assert!(ahead.begin(content("b")) && !ahead.begin(content("a")));
        ahead.stop();
        assert!(second.is_cancelled() && !ahead.begin(content("b")));
    }

    #[test]
    fn what_a_task_needs_goes_on_if_it_has_begun_and_anything_else_ends() {
        let ahead = Ahead::default();
        let other = ahead.replace(content("a")).unwrap();
        assert!(ahead.begin(content("a")));
        let _need = ahead.need(content("b"));
        assert!(other.is_cancelled());

        // The task will fetch it itself.
        let late = ahead.replace(content("a")).unwrap();
        let _need = ahead.need(content("a"));
        assert!(late.is_cancelled());

        let same = ahead.replace(content("a")).unwrap();
        assert!(ahead.begin(content("a")));
        let need = ahead.need(content("a"));
        let _newer = ahead.replace(content("b")).unwrap();
        ahead.stop();
        let _other = ahead.need(content("c"));
        assert!(!same.is_cancelled(), "a task waits for it");
        drop(need);
        assert!(same.is_cancelled(), "its task was stopped");
    }

    #[test]
    fn nothing_begins_while_a_task_waits_for_files() {
        let ahead = Ahead::default();
        let needs = [ahead.need(content("a")), ahead.need(content("b"))];
        assert!(ahead.idle().now_or_never().is_none());
        drop(needs);
        assert!(ahead.idle().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_guess_can_be_stopped_before_anybody_works_on_it() {
        let home = tempfile::tempdir().unwrap();
        let nowhere = postq_runtime::channel::connect_lazy("http://127.0.0.1:1", None).unwrap();
        let files = Workspace::over(nowhere).with_cache(home.path(), 1 << 20).unwrap();
        let input = v1::Snapshot {
            content: content("a").as_bytes().to_vec(),
            provenance: content("b").as_bytes().to_vec(),
            ..Default::default()
        };
        let work = files.prefetch(&input);
        files.stop_prefetch();
        // Else it fails: nobody is there.
        work.await.unwrap();
    }
}
