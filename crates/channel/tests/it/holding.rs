//! What a channel promises: who answers holds the key that was named.

use std::time::Duration;

use channel::{ChannelKey, connector, knock, server_name};
use statement::{Bytes, PublicKey, Scheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);

/// Echoes what comes over channels of this key, for ever.
async fn echo(key: ChannelKey) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let acceptor = key.acceptor().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A caller that expects another key breaks off.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = [0; 5];
            if stream.read_exact(&mut bytes).await.is_ok() {
                stream.write_all(&bytes).await.unwrap();
            }
        }
    });
    (address, task)
}

async fn ask(address: &str, key: &PublicKey) -> std::io::Result<[u8; 5]> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector(key).unwrap().connect(server_name(), stream).await?;
    stream.write_all(b"hello").await?;
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn the_holder_of_the_key_is_reached_and_nobody_else() {
    let (mine, other) = (ChannelKey::generate().unwrap(), ChannelKey::generate().unwrap());
    let public = mine.public().clone();
    public.check().unwrap();
    let (address, _task) = echo(mine).await;
    assert_eq!(&ask(&address, &public).await.unwrap(), b"hello");
    let refused = ask(&address, other.public()).await.unwrap_err();
    assert!(refused.to_string().contains("holds another key"), "{refused}");
    // A refused caller costs nobody else anything.
    assert_eq!(&ask(&address, &public).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_knock_answers_with_the_key_that_is_held() {
    let key = ChannelKey::generate().unwrap();
    let public = key.public().clone();
    let (address, _task) = echo(key).await;
    let found = tokio::task::spawn_blocking(move || knock(&address, PATIENCE)).await.unwrap();
    assert_eq!(found.unwrap(), public);
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_no_channel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let (told, knocked) = (address.clone(), address.clone());
    let found = tokio::task::spawn_blocking(move || knock(&knocked, PATIENCE)).await.unwrap();
    assert_eq!(found.unwrap_err().code(), "CS-CHN-003");
    let key = ChannelKey::generate().unwrap();
    ask(&told, key.public()).await.unwrap_err();
}

#[test]
fn keys_of_other_schemes_are_no_channel_keys() {
    let other = PublicKey { public: Bytes::new(vec![4; 65]), scheme: Scheme::EcdsaP256Sha256 };
    assert_eq!(connector(&other).err().unwrap().code(), "CS-CHN-002");
    let small_order = PublicKey { public: Bytes::new(vec![0; 31]), scheme: Scheme::Ed25519 };
    assert_eq!(connector(&small_order).err().unwrap().code(), "CS-CHN-002");
    assert_eq!(knock("127.0.0.1:1", PATIENCE).unwrap_err().code(), "CS-CHN-003");
}

#[test]
fn a_start_of_the_machine_has_one_name() {
    assert_eq!(channel::boot().unwrap(), channel::boot().unwrap());
}
