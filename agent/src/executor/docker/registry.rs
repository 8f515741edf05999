//! Credentials of registries, from a file as the docker command writes it.
//!
//! It is read anew for each pull, because credentials are renewed. Invariant: no credential is in a
//! message.

use std::{collections::BTreeMap, env, fs, io, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use bollard::auth::DockerCredentials;
use serde::Deserialize;

/// How the docker command names its own registry.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for the registry of an image, where the file has some.
pub(super) fn credentials(
    file: Option<&PathBuf>,
    image: &str,
) -> Result<Option<DockerCredentials>, String> {
    let path = match (file, default_file()) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => path,
        (None, None) => return Ok(None),
    };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let config: Config = serde_json::from_slice(&text)
        .map_err(|error| format!("{} holds no credentials: {error}", path.display()))?;
    find(&config, registry_of(image)).map_err(|why| format!("{}: {why}", path.display()))
}

fn default_file() -> Option<PathBuf> {
    let dir = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")))?;
    Some(dir.join("config.json"))
}

fn find(config: &Config, registry: &str) -> Result<Option<DockerCredentials>, String> {
    let is_it = |name: &&String| host_of(name) == host_of(registry);
    let Some(name) = config.auths.keys().find(is_it) else {
        return Ok(None);
    };
    let entry = &config.auths[name];
    let (mut username, mut password) = (entry.username.clone(), entry.password.clone());
    if let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) {
        let bad = || format!("the credentials for {registry} are not base64 of USER:PASSWORD");
        let text = STANDARD.decode(auth.trim()).ok().and_then(|text| String::from_utf8(text).ok());
        let text = text.ok_or_else(bad)?;
        let (user, secret) = text.trim_end_matches('\0').split_once(':').ok_or_else(bad)?;
        (username, password) = (Some(user.to_owned()), Some(secret.to_owned()));
    }
    if username.is_none() && entry.identitytoken.is_none() {
        let helper = config.helpers.keys().find(is_it).is_some() || config.store.is_some();
        return match helper {
            true => Err(format!(
                "the credentials for {registry} are kept by a helper program, which this agent does \
                 not run; write them into a file for --registry-auth-file"
            )),
            false => Ok(None),
        };
    }
    Ok(Some(DockerCredentials {
        username,
        password,
        identitytoken: entry.identitytoken.clone(),
        serveraddress: Some(name.clone()),
        ..DockerCredentials::default()
    }))
}

/// Where an image comes from.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => HUB,
    }
}

/// The host in the name of a registry, which is written with and without a scheme and a path.
fn host_of(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let host = name.split('/').next().unwrap_or(name);
    if ["docker.io", "registry-1.docker.io"].contains(&host) { "index.docker.io" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_by_the_registry_of_the_image() {
        let auth = STANDARD.encode("me:s3:cret");
        let text = format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{auth}"}},
                "registry.test:5000": {{"username": "u", "password": "p"}},
                "kept.test": {{}}}}, "credHelpers": {{"kept.test": "x"}}}}"#
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        fs::write(&file, text).unwrap();
        let of = |image: &str| credentials(Some(&file), image);
        let hub = of("debian:12").unwrap().unwrap();
        assert_eq!((hub.username.unwrap(), hub.password.unwrap()), ("me".into(), "s3:cret".into()));
        assert!(of("team/app").unwrap().is_some());
        let other = of("registry.test:5000/team/app:1").unwrap().unwrap();
        assert_eq!(other.serveraddress.as_deref(), Some("registry.test:5000"));
        assert_eq!(of("ghcr.test/app").unwrap(), None);
        assert!(of("kept.test/app").unwrap_err().contains("helper program"));

        fs::write(&file, r#"{"auths": {"a.test": {"auth": "%%%"}}}"#).unwrap();
        let fault = of("a.test/app").unwrap_err();
        assert!(fault.contains("not base64") && !fault.contains("%%%"), "{fault}");
        assert!(credentials(Some(&dir.path().join("none")), "x").is_err());
    }
}
