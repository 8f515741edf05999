//! What a coordinator that died has left of objects it was writing to a directory.
//!
//! A store that is a directory takes an object under a name of its own with a `#` and a number, and
//! gives it its name when it is whole; it never lists what is not. Blocking.

use std::{fs, io, path::Path, time::SystemTime};

/// Removes what was begun in the folders of `directory` and not touched since `before`; how many.
pub(super) fn remove(directory: &Path, before: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for folder in found(fs::read_dir(directory))?.into_iter().flatten() {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for entry in found(fs::read_dir(&folder))?.into_iter().flatten() {
            let entry = entry?;
            let is_staged = entry.file_name().to_str().is_some_and(|name| name.contains('#'));
            // Another collector, or its writer, may be faster.
            let Some(look) = found(entry.metadata())?.filter(|look| is_staged && look.is_file())
            else {
                continue;
            };
            if look.modified()? < before && found(fs::remove_file(entry.path()))?.is_some() {
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// What is gone is no error.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
