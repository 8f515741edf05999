//! Finding the store, or making it.
//!
//! A store carries an id that the database holds as well: a coordinator that was pointed at another
//! directory by mistake would tell every running job that its files are lost.

use std::{path::PathBuf, str::FromStr};

use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};
use uuid::Uuid;

use super::{Blobs, place::Place};
use crate::store::Store;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither a directory nor a bucket.
    #[error("`{0}` is no blob store; write a directory, file:///DIRECTORY, or s3://BUCKET/PREFIX")]
    Unsupported(String),
    /// The directory cannot be made or read.
    #[error("cannot use {path} as the blob store")]
    Directory {
        /// Of the store.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no store, though there should be.
    #[error("there is no blob store at {at}: the database belongs to the store {expected}")]
    Gone {
        /// As given.
        at: String,
        /// What the database says.
        expected: Uuid,
    },
    /// The store belongs to another database.
    #[error("the blob store at {at} is {found}, but the database belongs to the store {expected}")]
    Other {
        /// As given.
        at: String,
        /// What the store says.
        found: Uuid,
        /// What the database says.
        expected: Uuid,
    },
    /// The store's id cannot be read.
    #[error("the id of the blob store at {0} is damaged")]
    BadId(String),
    /// The store does not answer as it should.
    #[error("the blob store at {at} cannot be opened")]
    Store {
        /// As given.
        at: String,
        /// What the store says.
        source: object_store::Error,
    },
}

impl Blobs {
    /// Opens the store at `url`: a directory, as a path or `file://` URL, made if absent; or
    /// `s3://BUCKET/PREFIX`. With
    /// `expected`, what the database holds, only that very store will do; without, a store that
    /// has no id yet is given one (see [`Blobs::store_id`]). Where blobs are is told by `index`.
    pub async fn create_or_open(
        url: &str,
        expected: Option<Uuid>,
        index: Store,
    ) -> Result<Self, OpenError> {
        let place = Place::open(url)?;
        let objects = &*place.objects;
        let at = || url.to_owned();
        let found = match read_id(objects, url).await? {
            Some(found) => found,
            None => match expected {
                Some(expected) => return Err(OpenError::Gone { at: at(), expected }),
                None => write_id(objects, url).await?,
            },
        };
        match expected {
            Some(expected) if expected != found => {
                Err(OpenError::Other { at: at(), found, expected })
            }
            _ => Ok(Self::new(place, index, found)),
        }
    }
}

fn id_place() -> Path {
    Path::from("store-id")
}

async fn read_id(store: &dyn ObjectStore, at: &str) -> Result<Option<Uuid>, OpenError> {
    let failed = |source| OpenError::Store { at: at.to_owned(), source };
    let found = match store.get(&id_place()).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let text = found.bytes().await.map_err(failed)?;
    let id = std::str::from_utf8(&text).ok().and_then(|text| Uuid::from_str(text.trim()).ok());
    id.map(Some).ok_or_else(|| OpenError::BadId(at.to_owned()))
}

/// Gives the store an id; the first of several coordinators wins.
async fn write_id(store: &dyn ObjectStore, at: &str) -> Result<Uuid, OpenError> {
    let id = Uuid::now_v7();
    let text = format!("{id}\n");
    match store.put_opts(&id_place(), text.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(id),
        Err(object_store::Error::AlreadyExists { .. }) => {
            read_id(store, at).await?.ok_or_else(|| OpenError::BadId(at.to_owned()))
        }
        Err(source) => Err(OpenError::Store { at: at.to_owned(), source }),
    }
}
