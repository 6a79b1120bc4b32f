//! What slow and many peers get of a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Limits, serve_on};

struct Served {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn served(limits: Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
    let task = tokio::spawn(async move {
        serve_on(&listener, &router, limits, async {
            drop(stopped.await);
        })
        .await;
    });
    Served { address, stop, task }
}

async fn asked(served: &Served) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Reads until the server ends the connection.
async fn ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // Cut off or closed: it ends.
    drop(stream.read_to_end(&mut rest).await);
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn who_never_finishes_a_head_is_cut_off() {
    let head_within = Duration::from_millis(50);
    let limits = Limits { connections: 4, connections_of_one: 4, head_within, connection_within: LONG };
    let served = served(limits).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    ended(&mut slow).await;
    assert!(asked(&served).await.ends_with("here"));
}

#[tokio::test]
async fn who_never_finishes_at_all_is_cut_off() {
    let connection_within = Duration::from_millis(50);
    let limits = Limits { connections: 4, connections_of_one: 4, head_within: LONG, connection_within };
    let served = served(limits).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    ended(&mut slow).await;
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections() {
    let limits = Limits { connections: 8, connections_of_one: 2, head_within: LONG, connection_within: LONG };
    let served = served(limits).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        // One that was answered was let in.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: log\r\n\r\n").await.unwrap();
        assert_ne!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        kept.push(stream);
    }
    let mut third = TcpStream::connect(served.address).await.unwrap();
    ended(&mut third).await;
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_says_nothing() {
    let limits = Limits { connections: 2, connections_of_one: 2, head_within: LONG, connection_within: LONG };
    let served = served(limits).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: log\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    served.stop.send(()).unwrap();
    served.task.await.unwrap();
}
