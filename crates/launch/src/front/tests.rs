use channel::{ChannelKey, connector, server_name};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::*;

const KEY: &str = "a-key-for-these-tests";

/// An engine that answers every request with the request's own head, and the launcher before it.
struct Scene {
    folder: tempfile::TempDir,
    address: String,
    key: statement::PublicKey,
    leave: watch::Sender<bool>,
    served: JoinHandle<()>,
}

async fn scene(callers: Callers) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket_in(folder.path());
    let engine = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = engine.accept().await {
            tokio::spawn(async move {
                while let Some(asked) = request(&mut stream).await {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", asked.len());
                    stream.write_all(format!("{head}{asked}").as_bytes()).await.unwrap();
                }
            });
        }
    });
    let channel = ChannelKey::generate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let front = Arc::new(Front { entrance: Entrance::Socket(socket), callers });
    let (leave, leaving) = watch::channel(false);
    let acceptor = channel.acceptor().unwrap();
    let served = tokio::spawn(serve(front, listener, acceptor, leaving, Duration::from_secs(30)));
    Scene { folder, address, key: channel.public().clone(), leave, served }
}

/// The text of one request, whose body is announced.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(whole);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.extend_from_slice(&piece[..read]),
        }
    }
}

impl Scene {
    async fn open(&self) -> channel::client::TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        connector(&self.key).unwrap().connect(server_name(), stream).await.unwrap()
    }

    async fn ask(&self, line: &str, headers: &str) -> String {
        let mut stream = self.open().await;
        let asked = format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 2\r\n\r\n{{}}");
        stream.write_all(asked.as_bytes()).await.unwrap();
        request(&mut stream).await.unwrap()
    }
}

#[tokio::test]
async fn what_leaves_the_state_as_it_is_passes_and_nothing_else() {
    let scene = scene(Callers::default()).await;
    let answer =
        scene.ask("POST /v1/chat/completions", "x-request-id: 7\r\nauthorization: Bearer x\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-request-id: 7"), "{answer}");
    // The gateway's key is the launcher's matter, and so is the name that the engine is asked by.
    assert!(!answer.contains("authorization") && answer.contains("host: localhost"), "{answer}");
    for (line, status) in [
        ("POST /v1/load_lora_adapter", "404"),
        ("POST /v1/chat/completions/../load_lora_adapter", "404"),
        ("POST /slots/0?action=restore", "404"),
        ("POST /props", "404"),
        ("GET /v1/chat/completions", "405"),
        ("POST /health", "405"),
    ] {
        let answer = scene.ask(line, "").await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{line}: {answer}");
    }
}

#[tokio::test]
async fn who_has_no_key_is_told_so_and_reaches_nothing() {
    let callers = Callers::read(format!("# gateways\n\n{KEY}\n").as_bytes()).unwrap();
    let scene = scene(callers).await;
    for headers in [
        String::new(),
        "authorization: Bearer another-key-for-tests\r\n".to_owned(),
        format!("authorization: {KEY}\r\n"),
        format!("authorization: Bearer {KEY}\r\nauthorization: Bearer {KEY}\r\n"),
    ] {
        let answer = scene.ask("POST /v1/completions", &headers).await;
        assert_eq!(answer.split(' ').nth(1), Some("401"), "{headers}: {answer}");
    }
    let answer = scene.ask("POST /v1/completions", &format!("authorization: Bearer {KEY}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn one_connection_is_used_again_and_an_engine_that_is_gone_is_told() {
    let scene = scene(Callers::default()).await;
    let mut stream = scene.open().await;
    for _ in 0..3 {
        let asked = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(asked.as_bytes()).await.unwrap();
        let answer = request(&mut stream).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    std::fs::remove_file(socket_in(scene.folder.path())).unwrap();
    let answer = scene.ask("GET /v1/models", "").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn told_to_leave_it_ends_what_is_open_and_takes_nothing_more() {
    let scene = scene(Callers::default()).await;
    let mut stream = scene.open().await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    request(&mut stream).await.unwrap();
    scene.leave.send_replace(true);
    scene.served.await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    TcpStream::connect(&scene.address).await.unwrap_err();
}

#[test]
fn files_of_keys_are_read_strictly() {
    for (file, line) in [("", 0), ("# nobody\n", 0), ("short\n", 1), ("a-key-for-these-tests\nshort\n", 2)] {
        let error = Callers::read(file.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Keys { line: found, .. } if found == line), "{file:?}: {error}");
    }
    assert_eq!(Callers::read(&vec![b'#'; KEYS_BYTES_MAX + 1]).unwrap_err().code(), "CS-LCH-013");
}
