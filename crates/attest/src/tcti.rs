//! Ways to a TPM, named as the TPM tools name them.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;

/// Longest answer of a TPM, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 4096;
/// What a TPM may take for one answer: making an RSA key can take half a minute.
const PATIENCE: Duration = Duration::from_mins(2);
const HEADER_BYTES: usize = 10;

/// A way to a TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcti {
    /// A device of the kernel's, best its resource manager.
    Device(PathBuf),
    /// A Unix socket where `swtpm` listens.
    Unix(PathBuf),
    /// A TCP socket where `swtpm` listens.
    Tcp {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    },
}

impl Tcti {
    /// Where the kernel's resource manager is.
    pub fn kernel() -> Self {
        Self::Device(PathBuf::from("/dev/tpmrm0"))
    }

    pub(crate) fn open(&self) -> Result<Channel, Error> {
        let refuse = |source| Error::Open { what: self.to_string(), source };
        let channel = match self {
            Self::Device(path) => OpenOptions::new().read(true).write(true).open(path).map(Channel::Device),
            Self::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Channel::Unix(stream))
            }),
            Self::Tcp { host, port } => connect(host, *port).map(Channel::Tcp),
        };
        channel.map_err(refuse)
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| std::io::Error::other("the host has no address"))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl FromStr for Tcti {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Tcti { text: text.escape_debug().take(200).collect() };
        let (kind, rest) = text.split_once(':').ok_or_else(refuse)?;
        match kind {
            "device" if Path::new(rest).is_absolute() => Ok(Self::Device(PathBuf::from(rest))),
            "swtpm" => match rest.strip_prefix("path=") {
                Some(path) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
                Some(_) => Err(refuse()),
                None => {
                    let (host, port) = rest
                        .strip_prefix("host=")
                        .and_then(|rest| rest.split_once(",port="))
                        .ok_or_else(refuse)?;
                    let port = port.parse().map_err(|_| refuse())?;
                    if host.is_empty() {
                        return Err(refuse());
                    }
                    Ok(Self::Tcp { host: host.to_owned(), port })
                }
            },
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Unix(path) => write!(f, "swtpm:path={}", path.display()),
            Self::Tcp { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

/// An open way: a command goes in whole, an answer comes out whole.
#[derive(Debug)]
pub(crate) enum Channel {
    Device(File),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Channel {
    /// Sends a command and reads the answer: at most [`ANSWER_BYTES_MAX`].
    pub(crate) fn transmit(&mut self, command: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Device(file) => {
                file.write_all(command)?;
                // The kernel hands an answer out in one read.
                let mut answer = vec![0; ANSWER_BYTES_MAX];
                let length = file.read(&mut answer)?;
                answer.truncate(length);
                Ok(answer)
            }
            Self::Unix(stream) => over(stream, command),
            Self::Tcp(stream) => over(stream, command),
        }
    }
}

fn over(stream: &mut (impl Read + Write), command: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(command)?;
    stream.flush()?;
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head)?;
    let [_, _, b0, b1, b2, b3, ..] = head;
    let length = usize::try_from(u32::from_be_bytes([b0, b1, b2, b3])).unwrap_or(usize::MAX);
    if !(HEADER_BYTES..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(std::io::Error::other("it announces an answer of a size that no TPM gives"));
    }
    let mut answer = head.to_vec();
    answer.resize(length, 0);
    stream.read_exact(answer.get_mut(HEADER_BYTES..).unwrap_or_default())?;
    Ok(answer)
}
