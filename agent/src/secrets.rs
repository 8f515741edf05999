//! Where the values of secrets come from: the agent's environment and its directory of secrets.
//!
//! Invariant: no value is in a message, and no reference leads out of the directory.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// More is no secret but a file: what one variable of a process may have, in bytes.
const LARGEST: u64 = 128 * 1024 - 1;
/// Variables of the agent's own, its token among them.
const OURS: &str = "POSTQ_";

/// Finds the values of secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretSource {
    dir: Option<PathBuf>,
}

impl SecretSource {
    /// Files are looked for in `dir`.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// The values by the names of their variables. The fault is for the task. Blocks on the disk.
    pub(crate) fn resolve(
        &self,
        references: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let found = references.iter().map(|(name, reference)| {
            let value = self.value(reference);
            let value = value.map_err(|why| format!("secret {name} ({reference}): {why}"))?;
            Ok((name.clone(), value))
        });
        found.collect()
    }

    fn value(&self, reference: &str) -> Result<String, String> {
        if let Some(variable) = reference.strip_prefix("env:") {
            let value = env::var_os(variable).filter(|_| !variable.starts_with(OURS));
            let value = value.ok_or("this agent has no such variable for tasks")?;
            return value.into_string().map_err(|_| not_text());
        }
        let dir =
            self.dir.as_ref().ok_or("this agent has no directory of secrets (--secrets-dir)")?;
        let name = reference.strip_prefix("file:").unwrap_or(reference);
        read(dir, name)
    }
}

fn read(dir: &Path, name: &str) -> Result<String, String> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "this agent does not have it".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    // Those who mount secrets do it by links inside of the directory.
    let real = fs::canonicalize(dir.join(name)).map_err(unreadable)?;
    let inside = fs::canonicalize(dir).map_err(unreadable)?;
    if !real.starts_with(inside) {
        return Err("it leads out of the directory of secrets".to_owned());
    }
    let metadata = fs::metadata(&real).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let value = String::from_utf8(fs::read(real).map_err(unreadable)?).map_err(|_| not_text())?;
    // Editors end a file with a line end.
    let value = value
        .strip_suffix('\n')
        .map_or(value.as_str(), |value| value.strip_suffix('\r').unwrap_or(value));
    match OsStr::new(value).as_encoded_bytes().contains(&0) {
        true => Err(not_text()),
        false => Ok(value.to_owned()),
    }
}

fn not_text() -> String {
    "it is not text that a variable can hold".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_the_directory_and_from_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("secrets");
        fs::create_dir_all(dir.join("..data")).unwrap();
        fs::write(dir.join("..data/db"), "of kubernetes\n").unwrap();
        std::os::unix::fs::symlink("..data/db", dir.join("db")).unwrap();
        fs::write(base.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", dir.join("link")).unwrap();
        fs::write(dir.join("binary"), b"\xff").unwrap();
        fs::write(dir.join("nul"), b"a\0b").unwrap();
        fs::write(dir.join("large"), vec![b'x'; 128 * 1024]).unwrap();
        let source = SecretSource::new(Some(dir));
        let value = |reference: &str| source.value(reference);
        assert_eq!(value("db").unwrap(), "of kubernetes");
        assert_eq!(value("file:db").unwrap(), "of kubernetes");
        assert!(value("env:PATH").is_ok());
        for (reference, wanted) in [
            ("none", "does not have it"),
            ("link", "leads out"),
            ("binary", "not text"),
            ("nul", "not text"),
            ("large", "more than"),
            ("file:..data", "no file"),
            ("env:POSTQ_TOKEN", "no such variable"),
            ("env:NO_SUCH_VARIABLE", "no such variable"),
        ] {
            let fault = value(reference).unwrap_err();
            assert!(fault.contains(wanted), "{reference}: {fault}");
        }
        assert!(SecretSource::default().value("db").unwrap_err().contains("--secrets-dir"));
    }
}
