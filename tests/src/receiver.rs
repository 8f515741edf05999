//! A server that receives webhooks, and answers as the test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

/// What came in one request.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path that was asked for.
    pub path: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: String,
}

impl Received {
    /// The job that it tells of.
    pub fn job(&self) -> Uuid {
        self.headers["webhook-id"].parse().expect("a job's id")
    }

    /// What it tells.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body of JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    /// The next answers; then all is well. None: no answer at all.
    answers: Vec<Option<u16>>,
}

/// Listens on a port of its own until the test ends.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts listening; these are its first answers, 200 all others. None: never an answer.
    pub async fn start(answers: &[Option<u16>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = answers.iter().rev().copied().collect();
        let state = Arc::new(Mutex::new(State { received: Vec::new(), answers }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Where it listens, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that has come.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().expect("a receiver that did not panic").received.clone()
    }
}

/// One connection, which may carry several requests.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(received) = read(&mut stream).await {
        let answer = {
            let mut state = state.lock().expect("a receiver that did not panic");
            state.received.push(received);
            state.answers.pop().unwrap_or(Some(200))
        };
        let Some(status) = answer else { return std::future::pending().await };
        let head =
            format!("HTTP/1.1 {status} Said\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let path = line.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body: String::from_utf8(body).ok()? })
}
