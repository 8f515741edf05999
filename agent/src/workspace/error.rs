//! What can go wrong between a snapshot and a directory.

use postq_common::{
    patterns::BadPattern,
    tree::{BadDigest, BadNode, Digest, TreeError},
};
use tonic::{Code, Status};

/// Why files could not be checked out or kept.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The file system refuses.
    #[error("cannot {verb} `{path}`")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// Within the workspace, or the workspace itself.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Two names in one directory of the snapshot are one name there.
    #[error(
        "`{path}` and a name beside it are the same to this file system, which ignores case or rewrites names; \
         use one that does not, or rename one of them"
    )]
    SameName {
        /// The second of them, within the workspace.
        path: String,
    },
    /// A process still wrote it.
    #[error("`{path}` changed while it was read")]
    Changed {
        /// Within the workspace.
        path: String,
    },
    /// A directory that no tree can hold.
    #[error("the directory `{path}` cannot be kept")]
    Unfit {
        /// Within the workspace.
        path: String,
        /// Why.
        source: BadNode,
    },
    /// A limit of the job or of this agent.
    #[error("there are more than {limit} {what}, which is the limit here")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// A line of `ignore` or `outputs`.
    #[error(transparent)]
    BadPattern(#[from] BadPattern),
    /// The directory to fill holds something already.
    #[error("`{path}` is not empty")]
    NotEmpty {
        /// Of the directory.
        path: String,
    },
    /// The message holds no snapshot.
    #[error("the snapshot is malformed")]
    BadSnapshot(#[from] BadDigest),
    /// The snapshot holds a tree that is damaged, hostile or too large.
    #[error("the snapshot is invalid")]
    Tree(#[from] TreeError),
    /// The snapshot contradicts itself.
    #[error("the snapshot says that the blob {digest} has {said} bytes, but it has {found}")]
    WrongSize {
        /// Of the blob.
        digest: Digest,
        /// In the tree.
        said: u64,
        /// In the store.
        found: u64,
    },
    /// What arrived is not what was asked for.
    #[error("the blob {0} arrived damaged")]
    Damaged(Digest),
    /// The coordinator sent what nobody asked for.
    #[error("the coordinator does not follow the protocol: {0}")]
    Protocol(&'static str),
    /// The store has lost a blob of the snapshot, or holds it damaged; the message names it.
    #[error("files are lost: {}", .0.message())]
    Lost(Status),
    /// The coordinator refused, or was not reached for long.
    #[error("the coordinator cannot {verb}: {}", source.message())]
    Remote {
        /// What was asked.
        verb: &'static str,
        /// What it said.
        source: Status,
    },
    /// No answer in the time that even a slow connection needs.
    #[error("the coordinator did not {verb} in time")]
    Late {
        /// What was asked.
        verb: &'static str,
    },
}

impl WorkspaceError {
    /// Only where it is needed is the path made text.
    pub(super) fn io(verb: &'static str, path: &[u8]) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { verb, path: shown(path), source }
    }

    /// The same while something is made where nothing was: what is there already has another name.
    pub(super) fn new_name(verb: &'static str, path: &[u8]) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Self::SameName { path: shown(path) },
            _ => Self::io(verb, path)(source),
        }
    }

    pub(super) fn remote(verb: &'static str) -> impl FnOnce(Status) -> Self {
        move |source| match source.code() {
            Code::NotFound | Code::DataLoss => Self::Lost(source),
            _ => Self::Remote { verb, source },
        }
    }

    /// Whether the same may work later without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Late { .. } => true,
            Self::Remote { source, .. } => matches!(
                source.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::Aborted
                    | Code::DeadlineExceeded
            ),
            _ => false,
        }
    }
}

/// A path for a person; the root is `.`.
pub(super) fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { String::from_utf8_lossy(path).into_owned() }
}
