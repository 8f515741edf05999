//! Pages of a listing: their size, and the token that leads to the next one.

use std::str::FromStr;

use tonic::Status;

use crate::wire::status;

/// Answers stay below the 4 MiB that gRPC clients accept by default.
pub const ANSWER_BYTES: usize = 3 * 1024 * 1024;
/// Rows of a page where the client does not say.
const DEFAULT: i64 = 100;
/// Most rows of a page.
const MAX: i64 = 1000;

/// One page as asked for.
#[derive(Debug)]
pub struct Page<'a> {
    /// Rows.
    pub size: i64,
    token: &'a str,
}

impl<'a> Page<'a> {
    /// Checks the size.
    pub fn of(size: i32, token: &'a str) -> Result<Self, Status> {
        let size = match i64::from(size) {
            0 => DEFAULT,
            size @ 1..=MAX => size,
            other => {
                let message = format!("{other} is not a page size; 1 to {MAX} is");
                return Err(status::bad_field("page_size", message));
            }
        };
        Ok(Self { size, token })
    }

    /// What the page begins behind; none for the first one.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>, Status> {
        if self.token.is_empty() {
            return Ok(None);
        }
        self.token.parse().map(Some).map_err(|_| {
            let message = "not a token of this listing; use next_page_token as it came";
            status::bad_field("page_token", message)
        })
    }

    /// Cuts rows, of which one more than the size was read, to the page; the token of the next one.
    pub fn next<T>(&self, rows: &mut Vec<T>, token: impl Fn(&T) -> String) -> String {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last().map(token).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_page_is_its_last_row_while_more_follow() {
        let page = Page::of(2, "").unwrap();
        let mut rows = vec![1, 2, 3];
        assert_eq!(page.next(&mut rows, i32::to_string), "2");
        assert_eq!(rows, [1, 2]);
        assert_eq!(page.next(&mut rows, i32::to_string), "");
    }

    #[test]
    fn a_size_beyond_reason_is_refused() {
        assert!(Page::of(-1, "").is_err());
        assert!(Page::of(1001, "").is_err());
        assert!(Page::of(1, "x").unwrap().after::<i32>().is_err());
    }
}
