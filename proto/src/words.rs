//! A message of an agent's stream as the words it holds, in the order in which they were said.

use std::iter;

use crate::v1::{ConnectRequest, ConnectResponse, connect_request, connect_response};

impl ConnectRequest {
    /// What it says, and what it says behind that; nothing for words of kinds that are not known.
    pub fn words(self) -> impl Iterator<Item = Option<connect_request::Message>> {
        iter::once(self.message).chain(self.more.into_iter().map(|next| next.message))
    }
}

impl ConnectResponse {
    /// What it says, and what it says behind that; nothing for words of kinds that are not known.
    pub fn words(self) -> impl Iterator<Item = Option<connect_response::Message>> {
        iter::once(self.message).chain(self.more.into_iter().map(|next| next.message))
    }
}
