//! Who may come in: bearer tokens, checked in one place before any service.
//!
//! Invariant: without a token that allows it, nothing but the two health checks answers.

use std::{path::Path, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;
use tonic::Status;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Both of the others.
    Any,
    /// Submits and reads jobs.
    Client,
    /// Executes attempts.
    Agent,
}

/// The tokens that are accepted.
#[derive(Clone, Default)]
pub struct Tokens {
    /// None: everybody may come in.
    known: Option<Arc<Vec<(Role, blake3::Hash)>>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.known.as_ref().map_or(0, |known| known.len()))
    }
}

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read the token file {path}")]
    Unreadable {
        /// As given.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is no token. Its text is not repeated.
    #[error("{path}, line {line}: write TOKEN, client TOKEN or agent TOKEN")]
    BadLine {
        /// As given.
        path: String,
        /// From 1.
        line: usize,
    },
    /// There is none in it, which would lock everybody out.
    #[error("there is no token in {0}; write one per line")]
    Empty(String),
}

impl Tokens {
    /// Reads a file with one token per line: `TOKEN` for everything, `client TOKEN`, `agent TOKEN`.
    /// Empty lines and lines that begin with `#` are left out.
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenFileError::Unreadable { path: shown.clone(), source })?;
        let mut known = Vec::new();
        for (line, words) in (1..).zip(text.lines().map(str::trim)) {
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            let (role, token) = match words.split_whitespace().collect::<Vec<_>>()[..] {
                [token] => (Role::Any, token),
                ["client", token] => (Role::Client, token),
                ["agent", token] => (Role::Agent, token),
                _ => return Err(TokenFileError::BadLine { path: shown, line }),
            };
            known.push((role, blake3::hash(token.as_bytes())));
        }
        match known.is_empty() {
            true => Err(TokenFileError::Empty(shown)),
            false => Ok(Self { known: Some(Arc::new(known)) }),
        }
    }

    /// What is wrong with a request to `path`, if anything.
    fn refuse(&self, path: &str, authorization: Option<&str>) -> Option<Status> {
        let known = self.known.as_ref()?;
        if is_open(path) {
            return None;
        }
        let Some(token) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
            let message = "a token is needed here: --token or POSTQ_TOKEN";
            return Some(Status::unauthenticated(message));
        };
        let given = blake3::hash(token.trim().as_bytes());
        // Every token is compared, each in constant time.
        let role = known.iter().fold(None, |found, (role, hash)| {
            let is_same = bool::from(hash.as_bytes().ct_eq(given.as_bytes()));
            if is_same { Some(*role) } else { found }
        });
        match role {
            None => Some(Status::unauthenticated("this token is not known here")),
            Some(role) if !role.allows(path) => {
                Some(Status::permission_denied(format!("this token does not allow {path}")))
            }
            Some(_) => None,
        }
    }
}

impl Role {
    fn allows(self, path: &str) -> bool {
        let is_dispatch = path.starts_with("/postq.v1.DispatchService/");
        let is_files = path.starts_with("/postq.v1.WorkspaceService/");
        match self {
            Self::Any => true,
            Self::Client => !is_dispatch,
            Self::Agent => is_dispatch || is_files,
        }
    }
}

fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz") || path.starts_with("/grpc.health.v1.Health/")
}

/// The layer.
pub async fn check(State(tokens): State<Tokens>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(refused) = tokens.refuse(request.uri().path(), authorization) else {
        return next.run(request).await;
    };
    let is_grpc = request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    match is_grpc {
        true => refused.into_http::<axum::body::Body>(),
        false => {
            (http::StatusCode::UNAUTHORIZED, format!("{}\n", refused.message())).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn tokens(text: &str) -> Result<Tokens, TokenFileError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Tokens::read(file.path())
    }

    #[test]
    fn a_token_opens_what_its_role_allows() {
        let tokens = tokens("# ours\nclient c\nagent a\nboth\n").unwrap();
        let submit = "/postq.v1.JobService/SubmitJob";
        let connect = "/postq.v1.DispatchService/Connect";
        assert!(tokens.refuse(submit, Some("Bearer c")).is_none());
        assert!(tokens.refuse(connect, Some("Bearer c")).is_some());
        assert!(tokens.refuse(submit, Some("Bearer a")).is_some());
        assert!(tokens.refuse(connect, Some("Bearer a")).is_none());
        assert!(tokens.refuse(submit, Some("Bearer both")).is_none());
        assert!(tokens.refuse(submit, Some("Bearer x")).is_some());
        assert!(tokens.refuse(submit, None).is_some());
        assert!(tokens.refuse("/healthz", None).is_none());
        assert!(tokens.refuse("/metrics", None).is_some());
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        assert!(matches!(tokens("# none\n"), Err(TokenFileError::Empty(_))));
        assert!(matches!(tokens("a b c\n"), Err(TokenFileError::BadLine { line: 1, .. })));
        assert!(Tokens::default().refuse("/anything", None).is_none());
    }
}
