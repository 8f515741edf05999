//! The store and the database belong together.

use std::fs;

use postq_coordinator::{
    store::Store,
    workspace::{Blobs, OpenError},
};
use postq_tests::Database;
use uuid::Uuid;

#[tokio::test]
async fn a_store_keeps_its_id_and_another_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let database = Database::create().await;
    let index = Store::open(database.options().clone(), 1);
    let open = |url: &str, expected| {
        let (url, index) = (url.to_owned(), index.clone());
        async move { Blobs::create_or_open(&url, expected, index).await }
    };
    let path = scratch.path().join("a/store").to_str().unwrap().to_owned();
    let made = open(&path, None).await.unwrap().store_id();
    let opened = open(&format!("file://{path}"), Some(made)).await.unwrap();
    assert_eq!(opened.store_id(), made);
    let other = Uuid::now_v7();
    let refused = open(&path, Some(other)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Other { found, .. } if found == made), "{refused}");

    let empty = scratch.path().join("empty").to_str().unwrap().to_owned();
    let refused = open(&empty, Some(made)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Gone { .. }), "{refused}");
    let refused = open("ftp://bucket", None).await.unwrap_err();
    assert!(matches!(refused, OpenError::Unsupported(_)), "{refused}");
    fs::write(format!("{path}/store-id"), "?").unwrap();
    let refused = open(&path, Some(made)).await.unwrap_err();
    assert!(matches!(refused, OpenError::BadId(_)), "{refused}");
}
