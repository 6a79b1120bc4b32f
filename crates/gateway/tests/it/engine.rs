//! An engine that a test plays: what it answers to a request stands there byte for byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    /// As text; what is none has signs of replacement.
    pub(crate) body: String,
    pub(crate) bytes: Vec<u8>,
}

/// What an engine does.
pub(crate) enum Act {
    /// Sends bytes.
    Say(Vec<u8>),
    /// Waits until the test lets it go on, or has gone.
    Wait(Arc<Mutex<Receiver<()>>>),
    /// Says the same until nobody listens.
    Repeat(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// A played engine. It ends with the test.
pub(crate) struct Played {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
}

/// A JSON answer.
pub(crate) fn json(status: &str, text: &str) -> Vec<Act> {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", text.len());
    vec![Act::Say(format!("{head}\r\n{text}").into_bytes())]
}

/// The head of a stream of events.
pub(crate) const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A chunk of a stream.
pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

impl Played {
    pub(crate) fn new(plays: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (plays, all) = (Arc::new(plays), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (plays, all) = (Arc::clone(&plays), Arc::clone(&all));
                std::thread::spawn(move || connection(stream, &*plays, &all));
            }
        });
        Self { address, asked }
    }

    /// Which answers every request with the same text.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::new(move |_| json("200 OK", text))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

fn connection(stream: TcpStream, plays: &dyn Fn(&Asked) -> Vec<Act>, all: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => head.push_str(&line.to_lowercase()),
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let asked = Asked { head, body: String::from_utf8_lossy(&body).into_owned(), bytes: body };
        all.lock().unwrap().push(asked.clone());
        for act in plays(&asked) {
            let said = match act {
                Act::Say(bytes) => reader.get_mut().write_all(&bytes),
                Act::Wait(wait) => {
                    // Whoever has gone has let go.
                    let _gone = wait.lock().unwrap().recv();
                    Ok(())
                }
                Act::Repeat(bytes) => loop {
                    if let Err(error) = reader.get_mut().write_all(&bytes) {
                        break Err(error);
                    }
                },
                Act::Close => return,
            };
            if said.is_err() {
                return;
            }
        }
    }
}
