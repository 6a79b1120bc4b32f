//! Where a log is read: C2SP tlog-tiles, over HTTP or from a folder. What comes is believed by nobody until it is verified.

use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::Error;

/// Gives the resources of a log by their paths: `checkpoint`, `tile/entries/000`.
pub trait Source: Send {
    /// The resource, of at most `limit` bytes; none where there is no such resource.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where it cannot be said; [`Error::Malformed`] where it is longer.
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error>;
}

/// A folder with `checkpoint` and `tile/`.
#[derive(Debug)]
pub struct FolderSource(PathBuf);

impl FolderSource {
    /// Reads the folder.
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

impl Source for FolderSource {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let full = self.0.join(path);
        let place = full.display().to_string();
        let failed =
            |error: std::io::Error| Error::Unreachable { place: place.clone(), reason: error.to_string() };
        let file = match std::fs::File::open(&full) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        within(bytes, limit, &place).map(Some)
    }
}

/// A server of tiles.
#[derive(Debug)]
pub struct HttpSource {
    base: String,
    agent: ureq::Agent,
}

impl HttpSource {
    /// Asks at an address; what takes longer than `patience` does not come.
    pub fn new(url: &str, patience: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        Self { base: url.trim_end_matches('/').to_owned(), agent }
    }
}

impl Source for HttpSource {
    fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let place = format!("{}/{path}", self.base);
        let failed = |reason: String| Error::Unreachable { place: place.clone(), reason };
        let mut response = self.agent.get(&place).call().map_err(|error| failed(error.to_string()))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(failed(format!("status {status}"))),
        }
        let body = response.body_mut().with_config().limit(limit as u64 + 1).read_to_vec();
        within(body.map_err(|error| failed(error.to_string()))?, limit, &place).map(Some)
    }
}

fn within(bytes: Vec<u8>, limit: usize, place: &str) -> Result<Vec<u8>, Error> {
    if bytes.len() <= limit {
        return Ok(bytes);
    }
    Err(Error::Malformed { place: place.to_owned(), reason: format!("it is longer than {limit} bytes") })
}
