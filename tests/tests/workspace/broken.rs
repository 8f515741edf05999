//! Connections that break in the middle of files: what has arrived is kept, the rest comes again.

use std::net::SocketAddr;

use postq_agent::workspace::Workspace;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

use crate::files::{Served, channel, seen, serve, write};

/// A way to `to` whose first connections each break after they have carried so many bytes back.
async fn breaking_way(to: SocketAddr, breaks: Vec<u64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut breaks = breaks.into_iter();
        while let Ok((near, _)) = listener.accept().await {
            let bytes = breaks.next().unwrap_or(u64::MAX);
            tokio::spawn(carry(near, to, bytes));
        }
    });
    address
}

async fn carry(mut near: TcpStream, to: SocketAddr, bytes: u64) {
    let mut far = TcpStream::connect(to).await.unwrap();
    let (mut near_in, mut near_out) = near.split();
    let (mut far_in, mut far_out) = far.split();
    let mut back = AsyncReadExt::take(&mut far_in, bytes);
    // Either end of it is the end of both.
    tokio::select! {
        _ = copy(&mut near_in, &mut far_out) => {}
        _ = copy(&mut back, &mut near_out) => {}
    }
    let _ = near_out.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_goes_on_where_its_stream_broke() {
    let served = Served::start().await;
    let dir = served.directory("from");
    for number in 0..6_u8 {
        write(&dir, format!("file-{number}"), vec![number; 700_000]);
    }
    let taken = served.workspace().upload_dir(&dir).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve(listener, &served.blobs, Vec::new());
    // Within the first file, within a later one, and almost at the end of what is left.
    let breaks = vec![100_000, 1_800_000, 1_500_000];
    let way = breaking_way(address, breaks).await;
    let to = served.directory("to");
    Workspace::over(channel(way)).checkout(&taken.snapshot, &to).await.unwrap();
    assert_eq!(seen(&to), seen(&dir));
}
