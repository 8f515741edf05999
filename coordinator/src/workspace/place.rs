//! Where objects are: a directory, or a bucket of S3, or of what speaks like it.
//!
//! A bucket can also be reached by agents themselves, by URLs that are signed here for one object and
//! some minutes. Invariant: no URL that is given out can be used for anything but that object.

use std::{path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    ObjectStore,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
    signer::Signer,
};

use super::OpenError;

/// Long enough for the largest pack on a slow line.
const URL_LIVES: Duration = Duration::from_mins(15);

/// Objects, and the way to them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Where it is a directory.
    pub(super) directory: Option<Arc<std::path::Path>>,
    signs: Option<Arc<Signs>>,
}

#[derive(Debug)]
struct Signs {
    bucket: AmazonS3,
    prefix: Path,
}

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Put,
}

impl Place {
    /// A directory, as a path or `file://` URL, which is made if absent; or `s3://BUCKET/PREFIX`, with
    /// credentials, region and endpoint from the variables that AWS' own tools read.
    pub(super) fn open(url: &str) -> Result<Self, OpenError> {
        match url.split_once("://") {
            None => directory(url, url),
            Some(("file", path)) if path.starts_with('/') => directory(url, path),
            Some(("s3", rest)) => bucket(url, rest),
            Some(_) => Err(OpenError::Unsupported(url.to_owned())),
        }
    }

    /// Whether others than the coordinators can be let in.
    pub(super) fn is_open(&self) -> bool {
        self.signs.is_some()
    }

    /// A URL by which whoever has it can do that with one object; none where only the coordinators
    /// reach the store.
    pub(super) async fn sign(
        &self,
        verb: Verb,
        object: &Path,
    ) -> Result<Option<String>, object_store::Error> {
        let Some(signs) = &self.signs else { return Ok(None) };
        let method = match verb {
            Verb::Get => http::Method::GET,
            Verb::Put => http::Method::PUT,
        };
        let path = signs.prefix.parts().chain(object.parts()).collect();
        let url = signs.bucket.signed_url(method, &path, URL_LIVES).await?;
        Ok(Some(url.into()))
    }
}

fn directory(url: &str, path: &str) -> Result<Place, OpenError> {
    if path.is_empty() {
        return Err(OpenError::Unsupported(url.to_owned()));
    }
    let path = PathBuf::from(path);
    if let Err(source) = std::fs::create_dir_all(&path) {
        return Err(OpenError::Directory { path, source });
    }
    let store = LocalFileSystem::new_with_prefix(&path)
        .map_err(|source| OpenError::Store { at: url.to_owned(), source })?;
    let objects = Arc::new(store.with_fsync(true));
    Ok(Place { objects, directory: Some(path.into()), signs: None })
}

fn bucket(url: &str, rest: &str) -> Result<Place, OpenError> {
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = Path::parse(prefix.trim_end_matches('/'));
    let (false, Ok(prefix)) = (name.is_empty(), prefix) else {
        return Err(OpenError::Unsupported(url.to_owned()));
    };
    postq_runtime::tls::provide();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
    let endpoints = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoints.iter().find_map(|key| builder.get_config_value(key));
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        // Whoever writes it so means it.
        builder = builder.with_allow_http(true);
    }
    let bucket = builder.build();
    let bucket = bucket.map_err(|source| OpenError::Store { at: url.to_owned(), source })?;
    let objects = Arc::new(PrefixStore::new(bucket.clone(), prefix.clone()));
    let signs = Some(Arc::new(Signs { bucket, prefix }));
    Ok(Place { objects, directory: None, signs })
}
