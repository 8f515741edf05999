//! A part of a snapshot made a snapshot of its own: what stays of a job's files.
//!
//! Invariant: every node of what is given out is in the store.

use std::sync::Arc;

use bytes::Bytes;
use postq_common::{
    patterns::Patterns,
    select::{Selected, select},
    tree::{Digest, Measure, Nodes, Snapshot, Step, TreeError, measure},
};

use super::{Blobs, MergeError, joins::off};

/// What was chosen.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// Without provenance.
    pub snapshot: Snapshot,
    /// How much it is.
    pub measure: Measure,
}

impl Blobs {
    /// What `patterns` choose of a snapshot, with what is below it.
    pub async fn choose(
        &self,
        of: Snapshot,
        patterns: Arc<Patterns>,
    ) -> Result<Chosen, MergeError> {
        let work = move |nodes: &mut Nodes| {
            let choose = |path: &[u8], is_folder, is_above_kept| {
                patterns.choose(path, is_folder, is_above_kept)
            };
            let selected = match select(nodes, &Snapshot::default(), &of, &choose)? {
                Step::Need(digests) => return Ok(Step::Need(digests)),
                Step::Done(selected) => selected,
            };
            for (digest, bytes) in &selected.nodes {
                nodes.insert(*digest, bytes.clone())?;
            }
            Ok(match measure(nodes, selected.content)? {
                Step::Need(digests) => Step::Need(digests),
                Step::Done(measure) => Step::Done((selected, measure)),
            })
        };
        let (selected, measure) = self.settle(work).await?;
        let Selected { content, times, nodes } = selected;
        self.keep_tree(content, times, nodes).await?;
        let snapshot = Snapshot { content, times, ..Snapshot::default() };
        Ok(Chosen { snapshot, measure })
    }

    /// Runs a pure algorithm until it has the nodes it needs.
    async fn settle<T: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut Nodes) -> Result<Step<T>, TreeError> + Send + 'static,
    ) -> Result<T, MergeError> {
        let mut nodes = Nodes::default();
        loop {
            let (back, again, stepped) = off(move || {
                let stepped = step(&mut nodes);
                (nodes, step, stepped)
            })
            .await;
            (nodes, step) = (back, again);
            match stepped? {
                Step::Done(done) => return Ok(done),
                Step::Need(digests) => {
                    for (digest, bytes) in self.read_all(digests).await? {
                        nodes.insert(digest, bytes)?;
                    }
                }
            }
        }
    }

    /// Keeps the new nodes of a tree, the roots of which are given.
    async fn keep_tree(
        &self,
        content: Option<Digest>,
        times: Option<Digest>,
        nodes: Vec<(Digest, Bytes)>,
    ) -> Result<(), MergeError> {
        // Where the whole was chosen there are no new ones.
        let roots: Vec<Digest> = content.into_iter().chain(times).collect();
        self.put_all(nodes).await?;
        match self.find_missing(&roots).await?.first() {
            None => Ok(()),
            Some(lost) => Err(super::BlobError::Missing(*lost).into()),
        }
    }
}
