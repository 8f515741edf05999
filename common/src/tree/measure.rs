//! How much a content tree holds.

use super::{Digest, Directory, Kind, Nodes, Pass, Step, TreeError};

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// How many files there are.
    pub files: u64,
    /// Of all files together.
    pub bytes: u64,
}

/// Counts the files below `root`.
pub fn measure(nodes: &mut Nodes, root: Option<Digest>) -> Result<Step<Measure>, TreeError> {
    let step = Pass::run(nodes, |pass| {
        let mut measure = Measure::default();
        let mut open = vec![(root, 0)];
        while let Some((digest, depth)) = open.pop() {
            let Some(directory) = pass.get::<Directory>(digest)? else { continue };
            for entry in directory.entries() {
                pass.visit(depth)?;
                match entry.kind {
                    Kind::File { size, .. } => {
                        measure.files += 1;
                        measure.bytes = measure.bytes.saturating_add(size);
                    }
                    Kind::Directory { digest, .. } => open.push((digest, depth + 1)),
                    Kind::Symlink { .. } => {}
                }
            }
        }
        Ok(measure)
    })?;
    Ok(match step {
        Step::Need(digests) => Step::Need(digests),
        Step::Done((measure, _)) => Step::Done(measure),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, Node};

    #[test]
    fn files_are_counted_where_they_stand() {
        let mut nodes = Nodes::default();
        let mut put = |entries| {
            let (digest, bytes) = Directory::new(entries).unwrap().seal().unwrap().unwrap();
            nodes.insert(digest, bytes).unwrap();
            digest
        };
        let file = |name: &'static str, size| Entry {
            name: name.into(),
            kind: Kind::File { digest: Digest::of(b"x"), size, bits: 0o644 },
        };
        let below = put(vec![file("a", 3), file("b", 4)]);
        let folder = |name: &'static str, digest| Entry {
            name: name.into(),
            kind: Kind::Directory { digest, bits: 0o755 },
        };
        let entries = vec![folder("d", Some(below)), folder("e", Some(below)), folder("f", None)];
        let root = put(entries);
        assert_eq!(
            measure(&mut nodes, Some(root)),
            Ok(Step::Done(Measure { files: 4, bytes: 14 }))
        );
        assert_eq!(measure(&mut nodes, None), Ok(Step::Done(Measure::default())));
        let lost = Digest::of(b"lost");
        assert_eq!(measure(&mut nodes, Some(lost)), Ok(Step::Need(vec![lost])));
    }
}
