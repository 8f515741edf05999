//! The way from a client (agent, command line, tests) to a coordinator: one tonic channel with
//! the same keepalive, limits and credentials everywhere.
//!
//! It knows no service of `postq.v1`. Invariant: a connection that carries no byte for
//! [`KEEPALIVE_INTERVAL`] + [`KEEPALIVE_TIMEOUT`] is broken and ends every call on it.

use std::{net::SocketAddr, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Endpoint,
};

use crate::telemetry;

/// Largest message in either direction; set it on every generated client and server, because
/// tonic's own default is 4 MiB.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;
/// A connection without traffic is pinged this often.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// A ping must be answered within this time, or the connection is given up.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// Where an address names no port.
const HTTP_PORT: u16 = 80;
/// What a peer may send on one stream, and on all of a connection, before it hears that it was read:
/// files are slow with less. Both sides use the same.
pub const STREAM_WINDOW: u32 = 4 << 20;
/// As [`STREAM_WINDOW`], of a connection.
pub const CONNECTION_WINDOW: u32 = 16 << 20;
/// Largest frame that a peer may send. Each is a system call on both sides; what waits behind one,
/// such as a ping, waits two milliseconds where a network carries a gigabit per second.
pub const FRAME_SIZE: u32 = 256 << 10;
/// How long making a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What the generated clients are made of: `JobServiceClient<Channel>`.
pub type Channel = InterceptedService<tonic::transport::Channel, Bearer>;

/// Why an address or a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The text is not the address of a coordinator.
    #[error("`{url}` is not the address of a coordinator: {problem}; write http://HOST:PORT")]
    BadUrl {
        /// As given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The token cannot stand in an HTTP header; its text is not repeated here.
    #[error("the token holds characters that cannot be sent (only visible ASCII can)")]
    BadToken,
    /// No connection came about.
    #[error("cannot reach the coordinator at {url}")]
    Unreachable {
        /// As given.
        url: String,
        /// What the transport says.
        source: tonic::transport::Error,
    },
}

/// Adds the bearer token and the trace context of the current span to every call.
#[derive(Clone, Default)]
pub struct Bearer {
    header: Option<MetadataValue<Ascii>>,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bearer({})", if self.header.is_some() { "a token" } else { "no token" })
    }
}

impl Bearer {
    /// Credentials from `--token`; none where it is absent or empty.
    pub fn new(token: Option<&str>) -> Result<Self, ChannelError> {
        let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else {
            return Ok(Self::default());
        };
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().map_err(|_| ChannelError::BadToken)?;
        header.set_sensitive(true);
        Ok(Self { header: Some(header) })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request.metadata_mut().insert("authorization", header.clone());
        }
        if telemetry::extract(request.metadata()).is_none()
            && let Some(traceparent) = telemetry::traceparent_of_current_span()
        {
            telemetry::inject(request.metadata_mut(), &traceparent);
        }
        Ok(request)
    }
}

/// The address as tonic wants it, with keepalive and limits; `HOST:PORT` means http.
pub fn endpoint(url: &str) -> Result<Endpoint, ChannelError> {
    let bad = |problem: &str| ChannelError::BadUrl { url: url.to_owned(), problem: problem.into() };
    let text = url.trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: http::Uri = text.parse().map_err(|error| bad(&format!("{error}")))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(bad("TLS is not built in; use a proxy that ends it")),
        _ => return Err(bad("it must start with http://")),
    }
    if uri.host().unwrap_or_default().is_empty() {
        return Err(bad("the host is missing"));
    }
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    // In [::1]:7432 only what follows the bracket is a port.
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    if after_host.contains(':') && uri.port_u16().is_none() {
        return Err(bad("the port must be a number up to 65535"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(bad("nothing may follow the port"));
    }
    Ok(Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE)
        .tcp_nodelay(true))
}

/// The host of an address of a coordinator, without the brackets of IPv6, and its port.
pub fn host_and_port(url: &str) -> Result<(String, u16), ChannelError> {
    let endpoint = endpoint(url)?;
    let host = endpoint.uri().host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, endpoint.uri().port_u16().unwrap_or(HTTP_PORT)))
}

/// A channel that connects at its first call, and again whenever it must.
pub fn connect_lazy(url: &str, token: Option<&str>) -> Result<Channel, ChannelError> {
    connect_lazy_at(url, None, token)
}

/// The same, to `address` in place of what the host's name leads to.
pub fn connect_lazy_at(
    url: &str,
    address: Option<SocketAddr>,
    token: Option<&str>,
) -> Result<Channel, ChannelError> {
    let bearer = Bearer::new(token)?;
    let named = endpoint(url)?;
    let endpoint = match address {
        // A proxy in front may go by the name.
        Some(address) => {
            let origin = named.uri().clone();
            endpoint(&SocketAddr::new(address.ip(), address.port()).to_string())?.origin(origin)
        }
        None => named,
    };
    Ok(InterceptedService::new(endpoint.connect_lazy(), bearer))
}

/// A channel that is connected when this returns; fails at once where nobody listens.
pub async fn connect(url: &str, token: Option<&str>) -> Result<Channel, ChannelError> {
    let bearer = Bearer::new(token)?;
    let channel = endpoint(url)?
        .connect()
        .await
        .map_err(|source| ChannelError::Unreachable { url: url.to_owned(), source })?;
    Ok(InterceptedService::new(channel, bearer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_scheme_means_http() {
        let with = endpoint("http://localhost:7432").unwrap();
        let without = endpoint(" localhost:7432 ").unwrap();
        assert_eq!(with.uri(), without.uri());
        assert_eq!(endpoint("[::1]:7432").unwrap().uri().host(), Some("[::1]"));
        assert_eq!(host_and_port("[::1]:7432").unwrap(), ("::1".to_owned(), 7432));
        assert_eq!(host_and_port("http://host").unwrap(), ("host".to_owned(), 80));
    }

    #[test]
    fn a_bad_address_is_named_with_its_problem() {
        for (url, problem) in [
            ("", ""),
            ("https://host:1", "TLS"),
            ("ftp://host", "http://"),
            ("http://:7432", ""),
            ("host:99999", "port"),
            ("http://host:1/path", "nothing may follow"),
            ("http://ho st:1", ""),
        ] {
            let message = endpoint(url).unwrap_err().to_string();
            assert!(message.contains(&format!("`{url}`")), "{message}");
            assert!(message.contains(problem), "{message}");
        }
    }

    #[test]
    fn a_token_is_sent_but_never_shown() {
        let mut bearer = Bearer::new(Some("s3cret\n")).unwrap();
        assert!(!format!("{bearer:?}").contains("s3cret"));
        let request = bearer.call(Request::new(())).unwrap();
        let header = request.metadata().get("authorization").unwrap();
        assert_eq!(header, "Bearer s3cret");
        assert!(!format!("{header:?}").contains("s3cret"));
        assert!(Bearer::new(Some("two\nlines")).is_err());
    }

    #[tokio::test]
    async fn nobody_listening_is_a_clear_error() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(&closed.to_string(), None).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot reach the coordinator at {closed}"));
    }
}
