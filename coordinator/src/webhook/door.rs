//! Where webhooks may lead, and the secrets that they are signed with.
//!
//! Invariant: secrets are never shown, and never leave this process but as signatures.

use std::{collections::BTreeMap, fmt, fs, path::Path, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use postq_common::webhook;
use serde_json::{Value, json};

/// Before a secret that is written in base64.
const ENCODED: &str = "whsec_";

/// What an operator has allowed.
#[derive(Clone, Default)]
pub struct Door {
    allowed: Vec<String>,
    secrets: BTreeMap<String, Vec<u8>>,
}

/// Why what an operator wrote cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Not an address.
    #[error("--webhook-allow {0} {1}")]
    BadAddress(String, String),
    /// Not a directory of secrets.
    #[error("cannot read the secrets of webhooks in {path}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not a secret.
    #[error("the secret of webhooks in {0} is empty, or no base64 behind whsec_")]
    BadSecret(PathBuf),
    /// Nothing could be signed.
    #[error(
        "--webhook-allow wants --webhook-secrets DIRECTORY, with a file for each secret; one named `default` is for webhooks that name none"
    )]
    NoSecrets,
}

impl Door {
    /// Reads what an operator wrote: addresses, and a directory with a file per secret.
    pub fn read(allowed: &[String], secrets: Option<&Path>) -> Result<Self, DoorError> {
        for address in allowed {
            if let Some(fault) = webhook::url_fault(address) {
                return Err(DoorError::BadAddress(address.clone(), fault));
            }
        }
        let secrets = secrets.map(read_secrets).transpose()?.unwrap_or_default();
        if !allowed.is_empty() && secrets.is_empty() {
            return Err(DoorError::NoSecrets);
        }
        Ok(Self { allowed: allowed.to_vec(), secrets })
    }

    /// Whether an address may be sent to.
    pub fn is_allowed(&self, url: &str) -> bool {
        webhook::url_fault(url).is_none()
            && self.allowed.iter().any(|allowed| webhook::is_allowed(url, allowed))
    }

    /// Whether anything may be sent by TLS.
    pub fn wants_tls(&self) -> bool {
        self.allowed.iter().any(|allowed| allowed.starts_with("https:"))
    }

    /// The secret of that name.
    pub fn secret(&self, name: &str) -> Option<&[u8]> {
        self.secrets.get(name).map(Vec::as_slice)
    }

    /// As the database keeps it for those who submit.
    pub fn shown(&self) -> Value {
        json!({"allow": self.allowed, "secrets": self.secrets.keys().collect::<Vec<_>>()})
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door{}", self.shown())
    }
}

fn read_secrets(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, DoorError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| DoorError::Unreadable { path, source }
    };
    let mut secrets = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // Mounted secrets have hidden neighbours.
        let Some(name) = name.filter(|name| webhook::secret_fault(name).is_none()) else {
            continue;
        };
        if path.is_file() {
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            let secret = key(text.trim()).ok_or_else(|| DoorError::BadSecret(path.clone()))?;
            secrets.insert(name.to_owned(), secret);
        }
    }
    Ok(secrets)
}

fn key(text: &str) -> Option<Vec<u8>> {
    let key = match text.strip_prefix(ENCODED) {
        Some(encoded) => STANDARD.decode(encoded).ok()?,
        None => text.as_bytes().to_vec(),
    };
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_files_and_are_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("default"), "hush\n").unwrap();
        fs::write(directory.path().join("orders"), "whsec_aHVzaA==\n").unwrap();
        fs::write(directory.path().join(".hidden"), "").unwrap();
        let door = Door::read(&["https://h/".to_owned()], Some(directory.path())).unwrap();
        assert_eq!(door.secret("default"), door.secret("orders"));
        assert_eq!(door.secret("other"), None);
        assert!(door.is_allowed("https://h/x") && !door.is_allowed("https://h/../x"));
        let shown = format!("{door:?}");
        assert!(shown.contains("orders") && !shown.contains("hush"), "{shown}");
        fs::write(directory.path().join("bad"), "whsec_?").unwrap();
        let error = Door::read(&[], Some(directory.path())).unwrap_err();
        assert!(matches!(error, DoorError::BadSecret(_)), "{error}");
    }

    #[test]
    fn nothing_is_allowed_without_a_word_and_nothing_unsigned() {
        assert!(!Door::default().is_allowed("https://h/x"));
        let address = ["https://h".to_owned()];
        assert!(matches!(Door::read(&address, None).unwrap_err(), DoorError::NoSecrets));
        let bad = ["h".to_owned()];
        assert!(matches!(Door::read(&bad, None).unwrap_err(), DoorError::BadAddress(..)));
    }
}
